"""Query parameters of consumer requests."""

from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from kafkalite.api.rest.errors import unprocessable
from kafkalite.api.rest.json_body import whole_number
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.rest_records import OnError

MAX_BYTES: Final = 16 << 20
"""Of keys and values in one answer, whatever is asked for."""
_DEFAULT_BYTES: Final = 1 << 20
_MAX_COUNT: Final = 100_000
_MAX_FIELDS: Final = 2_000
_MAX_PARTITION: Final = 2**31 - 1


class RecordsQuery(NamedTuple):
    """How records are asked for."""

    timeout_ms: int | None
    """How long to wait for the first; None: as the instance has it."""
    max_bytes: int
    on_error: OnError


def parse_records_query(raw: bytes) -> RecordsQuery:
    """What a query string says; parameters that are not known are passed over.

    Raises:
        RestError: 422, one of them cannot be used.
    """
    found = dict(_pairs(raw))
    on_error = found.get("on_error", OnError.FAIL).lower()
    if on_error not in set(OnError):
        raise unprocessable(f"on_error must be one of {', '.join(OnError)}")
    max_bytes = _number(found, "max_bytes")
    return RecordsQuery(
        _number(found, "timeout"),
        _DEFAULT_BYTES if max_bytes is None else min(max_bytes, MAX_BYTES),
        OnError(on_error),
    )


class PageQuery(NamedTuple):
    """Which records of a partition are asked for, without a consumer instance."""

    offset: int | None
    """Of the first; None: the first that there is."""
    is_latest: bool
    """Whether they begin after the last one that there is."""
    timestamp: int | None
    """Of the first, or a later one, in place of its offset."""
    max_records: int
    records: RecordsQuery


def parse_page_query(raw: bytes) -> PageQuery:
    """What a query string says; parameters that are not known are passed over.

    Raises:
        RestError: 422, one of them cannot be used.
    """
    found = dict(_pairs(raw))
    named = found.get("offset", "earliest").lower()
    if named in {"earliest", "latest"}:
        found.pop("offset", None)
    timestamp = _number(found, "timestamp")
    if timestamp is not None and "offset" in found:
        raise unprocessable("Records begin at an offset or at a timestamp, not at both")
    count = _number(found, "count")
    if count == 0:
        raise unprocessable("count must be 1 or more")
    return PageQuery(
        _number(found, "offset"),
        named == "latest",
        timestamp,
        _MAX_COUNT if count is None else min(count, _MAX_COUNT),
        parse_records_query(raw),
    )


def parse_partitions_query(raw: bytes) -> list[TopicPartition] | None:
    """The partitions of `?topic=t&partition=0&...`; None where it names none.

    Raises:
        RestError: 422, a topic is without partition, or the other way round.
    """
    pairs = _pairs(raw)
    topics = [text for name, text in pairs if name == "topic"]
    numbers = [whole_number(text) for name, text in pairs if name == "partition"]
    if not topics and not numbers:
        return None
    if len(topics) != len(numbers):
        raise unprocessable("each topic needs a partition: ?topic=t&partition=0")
    partitions = []
    for topic, number in zip(topics, numbers, strict=True):
        if number is None or not 0 <= number <= _MAX_PARTITION:
            raise unprocessable("partition must be the number of a partition")
        partitions.append(TopicPartition(topic, number))
    return partitions


def _number(found: dict[str, str], name: str) -> int | None:
    if name not in found:
        return None
    number = whole_number(found[name])
    if number is None or number < 0:
        raise unprocessable(f"{name} must be a whole number, 0 or more")
    return number


def _pairs(raw: bytes) -> list[tuple[str, str]]:
    if not raw:
        return []
    try:
        return parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS
        )
    except ValueError as error:
        raise unprocessable(f"The query string cannot be read: {error}") from error
