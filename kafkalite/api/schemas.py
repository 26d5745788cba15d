"""What the control plane takes: request bodies and query strings, strictly.

They settle shape and type only. Whether a name, a number of partitions or a setting may be, the
broker decides, in Kafka's words. What is answered is in `answers.py`.
"""

from difflib import get_close_matches
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

DEFAULT_TIMEOUT_MS: Final = 30_000
MAX_TIMEOUT_MS: Final = 300_000

_INT_32: Final = 2**31 - 1
_INT_64: Final = 2**63 - 1


def _config_text(value: object) -> object:
    """Settings are text, but a number or a boolean in JSON leaves no doubt about what is meant."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


ConfigText = Annotated[
    str,
    BeforeValidator(_config_text),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
]
TimeoutMs = Annotated[
    int,
    Field(
        ge=0,
        le=MAX_TIMEOUT_MS,
        description="How long to wait until this broker sees the change; it goes on after that.",
    ),
]
ReplicaAssignment = list[list[Annotated[int, Field(ge=0, le=_INT_32)]]]


class _Named(BaseModel):
    """A body or a query string in which only the declared names may occur."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _know_every_name(cls, value: Any) -> Any:  # noqa: ANN401 - whatever was sent
        unknown = [name for name in value if name not in cls.model_fields] if _is_map(value) else []
        if unknown:
            near = get_close_matches(str(unknown[0]), cls.model_fields, n=1)
            meant = (
                f"did you mean '{near[0]}'?" if near else f"it knows {', '.join(cls.model_fields)}"
            )
            raise PydanticCustomError(
                "unknown_name",
                "there is no '{name}' here; {meant}",
                {"name": str(unknown[0])[:100], "meant": meant},
            )
        return value


def _is_map(value: object) -> bool:
    return isinstance(value, dict)


class Body(_Named):
    """A JSON object whose values have exactly the declared types: `"2"` is not a number."""

    model_config = ConfigDict(strict=True)


class CreateTopicBody(Body):
    """A topic to create; what is left out comes from the broker's settings."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"name": "flights", "partitions": 2, "config": {"retention.ms": "86400000"}},
                {"name": "flights", "replica_assignment": [[0, 1], [1, 0]]},
            ]
        }
    )

    name: str = Field(description="1 to 249 of ASCII letters, digits, '.', '_' and '-'.")
    partitions: int | None = Field(
        None, ge=-_INT_32, le=_INT_32, description="By default `num.partitions`."
    )
    replication_factor: int | None = Field(
        None, ge=-_INT_32, le=_INT_32, description="By default `default.replication.factor`."
    )
    replica_assignment: ReplicaAssignment | None = Field(
        None,
        description="The broker ids of each partition, the preferred leader first; in place of "
        "`partitions` and `replication_factor`.",
    )
    config: dict[str, ConfigText] = Field({}, description="The topic's own settings.")
    validate_only: bool = Field(
        False, description="Check everything, create nothing; answered with 200."
    )
    timeout_ms: TimeoutMs = DEFAULT_TIMEOUT_MS


class AlterTopicBody(Body):
    """What to change of a topic. Partitions are added first, then the settings are changed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"partition_count": 4},
                {"config": {"retention.ms": "3600000", "max.message.bytes": None}},
            ]
        }
    )

    partition_count: int | None = Field(
        None,
        ge=-_INT_32,
        le=_INT_32,
        description="How many there shall be; it can only grow.",
    )
    replica_assignment: ReplicaAssignment | None = Field(
        None, description="The broker ids of each added partition; needs `partition_count`."
    )
    config: dict[str, ConfigText | None] = Field(
        {}, description="Settings to change; null goes back to the broker's value."
    )
    timeout_ms: TimeoutMs = DEFAULT_TIMEOUT_MS

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.partition_count is None and self.replica_assignment is not None:
            raise PydanticCustomError(
                "needs_partition_count",
                "replica_assignment is for added partitions: partition_count must say how many "
                "there shall be",
            )
        if self.partition_count is None and not self.config:
            raise PydanticCustomError(
                "nothing_to_change", "nothing to change: give partition_count, config or both"
            )
        return self


class AlterConfigBody(Body):
    """Settings of a broker to change."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"config": {"log.retention.ms": "3600000"}}]}
    )

    config: dict[str, ConfigText | None] = Field(
        min_length=1, description="null goes back to the value of the file or the default."
    )


class DeleteRecordsBody(Body):
    """Up to where to delete the records of a partition."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"before_offset": 1000}]})

    before_offset: int = Field(
        ge=-1,
        le=_INT_64,
        description="The first offset to keep; -1: delete all below the high watermark.",
    )


BrokerNumber = Annotated[int, Field(ge=0, le=_INT_32)]
PartitionNumber = Annotated[int, Field(ge=0, le=_INT_32)]


class PartitionName(Body):
    """A partition."""

    topic: str
    partition: PartitionNumber


class PartitionTarget(PartitionName):
    """A partition and the brokers that it shall be on."""

    replicas: list[BrokerNumber] = Field(description="The preferred leader first.")


class ReassignBody(Body):
    """Partitions to move."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"partitions": [{"topic": "flights", "partition": 0, "replicas": [1, 2]}]}]
        }
    )

    partitions: list[PartitionTarget] = Field(min_length=1)


class CancelReassignmentsBody(Body):
    """Partitions that shall not move any more."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"partitions": [{"topic": "flights", "partition": 0}]}]}
    )

    partitions: list[PartitionName] | None = Field(None, description="By default all that move.")
    timeout_ms: TimeoutMs = DEFAULT_TIMEOUT_MS


class ProposeAssignmentBody(Body):
    """Topics to spread over brokers."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"topics": ["flights"], "brokers": [0, 1, 2]}]}
    )

    topics: list[str] = Field(min_length=1)
    brokers: list[BrokerNumber] = Field(min_length=1)
    rack_aware: bool = Field(True, description="Alternate the racks of the brokers.")


class ElectLeadersBody(Body):
    """Partitions to elect leaders of."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"kind": "preferred"},
                {"kind": "unclean", "partitions": [{"topic": "flights", "partition": 0}]},
            ]
        }
    )

    kind: Literal["preferred", "unclean"] = Field(
        description="The first of the replicas, or, where there is no leader, whoever lives: that "
        "may lose records."
    )
    partitions: list[PartitionName] | None = Field(
        None, min_length=1, description="By default all."
    )


class MetadataBody(Body):
    """Topics to find the leaders of."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"topics": ["flights"]}, {}]})

    topics: list[str] | None = Field(None, description="By default all there are.")


class TimeoutQuery(_Named):
    """How long a change may take."""

    timeout_ms: TimeoutMs = DEFAULT_TIMEOUT_MS


class ConfigQuery(_Named):
    """Which settings to describe."""

    all: bool = Field(False, description="Also those that nobody has set.")


class OffsetsQuery(_Named):
    """Which offset to look up."""

    at: str | None = Field(
        None,
        max_length=20,
        description="`earliest`, `latest`, `max-timestamp`, or milliseconds since the epoch: the "
        "first record that is not older.",
        examples=["earliest", "1357016400000"],
    )
