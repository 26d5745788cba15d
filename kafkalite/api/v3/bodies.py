"""Bodies of REST Proxy's version 3 that administer topics.

As Confluent's server does, they take numbers and truth values that are strings for what they say,
and values of settings, which are text, as numbers and truth values.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from kafkalite.api.rest.errors import BAD_REQUEST, UNPROCESSABLE, RestError
from kafkalite.api.v3.errors import BAD_PAYLOAD

_MAX_NUMBER: Final = 2**31 - 1
_UNKNOWN_FIELD: Final = re.compile(r"unknown field `(.{1,200}?)`")
_EMPTY: Final = "Payload error. Request body is empty. Data is required."

Number = Annotated[int, Meta(ge=-_MAX_NUMBER - 1, le=_MAX_NUMBER)]
SettingValue = str | int | float | bool
T = TypeVar("T")


class NewConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A setting of a topic that is to be."""

    name: str
    value: SettingValue | None = None

    @property
    def text(self) -> str | None:
        return None if self.value is None else _setting_text(self.value)


class ReplicasAssignment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a partition shall be, the preferred leader first."""

    partition_id: Number
    broker_ids: list[Number]


class CreateTopicBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /v3/clusters/{cluster_id}/topics`."""

    topic_name: str
    partitions_count: Number | None = None
    replication_factor: Number | None = None
    replicas_assignments: list[ReplicasAssignment] | dict[Number, list[Number]] | None = None
    configs: list[NewConfig] | None = None
    validate_only: bool | None = None

    def __post_init__(self) -> None:
        given = self.replicas_assignments
        if isinstance(given, list) and len({each.partition_id for each in given}) < len(given):
            raise ValueError("replicas_assignments names a partition twice")

    @property
    def assignment(self) -> Mapping[int, list[int]] | None:
        """Partition -> brokers, if anything is said of it."""
        given = self.replicas_assignments
        if isinstance(given, list):
            return {entry.partition_id: entry.broker_ids for entry in given} or None
        return given or None


class AlterTopicBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`PATCH /v3/clusters/{cluster_id}/topics/{topic_name}`."""

    partitions_count: Number


class UpdateConfigBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`PUT .../configs/{name}`."""

    value: SettingValue

    @property
    def text(self) -> str:
        return _setting_text(self.value)


class AlterConfigEntry(NewConfig, frozen=True, forbid_unknown_fields=True):
    """A setting that is to change."""

    operation: Literal["SET", "DELETE"] | None = None


class AlterConfigsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST .../configs:alter`."""

    data: list[AlterConfigEntry]
    validate_only: bool | None = None


def decode_body(body: bytes, kind: type[T]) -> T:
    """What a body holds.

    Raises:
        RestError: it is empty, no JSON, or says something else.
    """
    if not body.strip():
        raise RestError(BAD_PAYLOAD, _EMPTY)
    try:
        return msgspec.json.decode(body, type=kind, strict=False)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        unknown = _UNKNOWN_FIELD.search(str(error))
        if unknown is not None:
            raise RestError(UNPROCESSABLE, f"Unrecognized field: {unknown[1]}") from error
        raise RestError(BAD_REQUEST, f"Bad Request: {error}") from error


def _setting_text(value: SettingValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
