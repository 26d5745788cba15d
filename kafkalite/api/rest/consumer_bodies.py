"""What the bodies of consumer requests ask for."""

import logging
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, cast, get_args

from kafkalite.api.rest.errors import ILLEGAL_STATE, INVALID_CONFIG, RestError, unprocessable
from kafkalite.api.rest.json_body import (
    MAX_OFFSET,
    Fields,
    decode_object,
    int_field,
    list_field,
    partition_of,
    text_field,
    true_or_false,
    whole_number,
)
from kafkalite.broker.consumers.commits import OffsetToKeep
from kafkalite.broker.consumers.definition import ConsumerDefinition, Dialect, OffsetReset
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.rest_records import EmbeddedFormat

MAX_NAME_LENGTH: Final = 240
"""Of an instance: it is part of the id of a member of the group, of 255."""

_MAX_MIN_BYTES: Final = 10_000_000
_MAX_TOPICS: Final = 10_000
_CONFLUENT_KEYS: Final = ("auto.commit.enable", "id", "responseMinBytes", "requestWaitMs")
_STRIMZI_KEYS: Final = ("enable.auto.commit", "isolation.level")
_SCHEMA_FORMATS: Final = frozenset(
    {EmbeddedFormat.AVRO, EmbeddedFormat.JSONSCHEMA, EmbeddedFormat.PROTOBUF}
)
_KNOWN_KEYS: Final = frozenset(
    {
        *_CONFLUENT_KEYS,
        *_STRIMZI_KEYS,
        "name",
        "format",
        "auto.offset.reset",
        "fetch.min.bytes",
        "consumer.request.timeout.ms",
        "topic.metadata.refresh.interval.ms",
    }
)
_ISOLATION_LEVELS: Final = ("read_committed", "read_uncommitted")
_MAX_LOGGED_KEYS: Final = 1_000
_ONE_WAY_ONLY: Final = (
    "IllegalStateError: You must choose only one way to configure your consumer: "
    "(1) subscribe to specific topics by name, "
    "(2) subscribe to topics matching a regex pattern, "
    "(3) assign itself specific topic-partitions."
)

_log = logging.getLogger(__name__)
_logged_keys: set[str] = set()


class ConsumerDefaults(NamedTuple):
    """What counts where a create body says nothing."""

    dialect: Dialect = "confluent"
    auto_offset_reset: OffsetReset = "latest"


class NewConsumer(NamedTuple):
    """An instance to be created; without a name it gets one."""

    name: str | None
    definition: ConsumerDefinition


class WantedSubscription(NamedTuple):
    """Topics or a pattern; neither: the subscription ends."""

    topics: tuple[str, ...]
    pattern: str | None


class WantedPositions(NamedTuple):
    """Where to go on reading."""

    offsets: dict[TopicPartition, int]
    times: dict[TopicPartition, int]
    """Milliseconds since the Unix epoch."""


def parse_create(body: bytes, defaults: ConsumerDefaults) -> NewConsumer:
    """The instance that a body describes; what it does not know is passed over.

    Raises:
        RestError: 422, one of its fields cannot be used.
    """
    fields = {name: given for name, given in decode_object(body).items() if given is not None}
    for name in fields.keys() - _KNOWN_KEYS - _logged_keys:
        if len(_logged_keys) < _MAX_LOGGED_KEYS:
            _logged_keys.add(name)
            _log.info("Consumers are created with %r, which has no meaning here", name[:100])
    wanted = _format(fields)
    definition = ConsumerDefinition(
        format=wanted,
        dialect=_dialect(fields, wanted, defaults.dialect),
        auto_offset_reset=_offset_reset(fields, defaults.auto_offset_reset),
        auto_commit=_auto_commit(fields),
        fetch_min_bytes=max(
            _config_number(fields, ("responseMinBytes", "fetch.min.bytes"), -1, _MAX_MIN_BYTES)
            or 1,
            1,
        ),
        request_timeout_ms=_config_number(
            fields, ("requestWaitMs", "consumer.request.timeout.ms"), 0, 2**31 - 1
        ),
    )
    if fields.get("isolation.level", _ISOLATION_LEVELS[0]) not in _ISOLATION_LEVELS:
        raise _bad_config("isolation.level must be read_committed or read_uncommitted")
    return NewConsumer(_name(fields), definition)


def _name(fields: Fields) -> str | None:
    key = "id" if "id" in fields else "name"
    if key not in fields:
        return None
    name = text_field(fields, key)
    if len(name) > MAX_NAME_LENGTH or not name.isprintable():
        raise unprocessable(
            f"{key} must be {MAX_NAME_LENGTH} characters at most, all of them printable"
        )
    return name


def _format(fields: Fields) -> EmbeddedFormat:
    given = fields.get("format", EmbeddedFormat.BINARY)
    if isinstance(given, str) and given.lower() in set(EmbeddedFormat):
        return EmbeddedFormat(given.lower())
    raise _bad_config("Invalid format type.")


def _dialect(fields: Fields, wanted: EmbeddedFormat, default: Dialect) -> Dialect:
    if wanted in _SCHEMA_FORMATS or any(key in fields for key in _CONFLUENT_KEYS):
        return "confluent"
    if wanted is EmbeddedFormat.TEXT or any(key in fields for key in _STRIMZI_KEYS):
        return "strimzi"
    return default


def _offset_reset(fields: Fields, default: OffsetReset) -> OffsetReset:
    given = fields.get("auto.offset.reset", default)
    if isinstance(given, str) and given.lower() in get_args(OffsetReset):
        return cast("OffsetReset", given.lower())
    raise _bad_config("auto.offset.reset must be earliest, latest or none")


def _auto_commit(fields: Fields) -> bool:
    for key in ("auto.commit.enable", "enable.auto.commit"):
        if key in fields:
            found = true_or_false(fields[key])
            if found is None:
                raise _bad_config(f"{key} must be true or false")
            return found
    return True


def _config_number(fields: Fields, keys: tuple[str, ...], least: int, most: int) -> int | None:
    for key in keys:
        if key in fields:
            number = whole_number(fields[key])
            if number is None or not least <= number <= most:
                raise _bad_config(f"Expected {key} to be a whole number from {least} to {most}")
            return number
    return None


def _bad_config(message: str) -> RestError:
    return RestError(INVALID_CONFIG, message)


def parse_subscription(body: bytes) -> WantedSubscription:
    """What a consumer subscribes to.

    Raises:
        RestError: 409, topics and a pattern; 422, neither, or not what they should be.
    """
    fields = decode_object(body)
    topics, pattern = fields.get("topics"), fields.get("topic_pattern")
    if topics is None and pattern is None:
        raise unprocessable("A list (of Topics type) or a topic_pattern must be specified.")
    if topics is not None and pattern is not None:
        raise RestError(ILLEGAL_STATE, _ONE_WAY_ONLY)
    if pattern is not None:
        return WantedSubscription((), text_field(fields, "topic_pattern"))
    if not isinstance(topics, list) or not all(isinstance(topic, str) for topic in topics):
        raise unprocessable("Topics is expected to be list of strings")
    if len(topics) > _MAX_TOPICS or any(not 0 < len(topic) <= 249 for topic in topics):
        raise unprocessable(f"topics must be {_MAX_TOPICS} names of 1 to 249 characters at most")
    return WantedSubscription(tuple(dict.fromkeys(topics)), None)


def parse_partitions(body: bytes) -> list[TopicPartition]:
    """Partitions, each once.

    Raises:
        RestError: 422, the list is missing or wrong.
    """
    entries = list_field(decode_object(body), "partitions")
    return list(dict.fromkeys(map(partition_of, entries)))


def parse_positions(body: bytes) -> WantedPositions:
    """Where to go on reading: at offsets, at points in time, or both.

    Raises:
        RestError: 422, something is missing or wrong.
    """
    fields = decode_object(body)
    if fields.get("offsets") is None and fields.get("timestamps") is None:
        raise unprocessable("offsets is missing")
    offsets, times = fields.get("offsets"), fields.get("timestamps")
    return WantedPositions(
        {}
        if offsets is None
        else {
            partition_of(entry): int_field(entry, "offset", 0, MAX_OFFSET)
            for entry in list_field(fields, "offsets")
        },
        {}
        if times is None
        else {partition_of(entry): _time(entry) for entry in list_field(fields, "timestamps")},
    )


def _time(entry: Fields) -> int:
    given = entry.get("timestamp")
    number = whole_number(given)
    if number is not None and number >= 0:
        return number
    try:
        moment = datetime.fromisoformat(text_field(entry, "timestamp"))
    except ValueError as error:
        raise unprocessable(f"timestamp must be a time of ISO 8601: {error}") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(round(moment.timestamp() * 1000), 0)


def parse_commit(body: bytes, dialect: Dialect) -> dict[TopicPartition, OffsetToKeep] | None:
    """What a consumer commits; None: all that it was given.

    Raises:
        RestError: 422, something is missing or wrong.
    """
    fields = decode_object(body)
    if not fields:
        return None
    # Confluent's clients say which record was the last, Strimzi's which one is the next.
    ahead = 1 if dialect == "confluent" else 0
    return {
        partition_of(entry): OffsetToKeep(
            int_field(entry, "offset", -ahead, MAX_OFFSET - ahead) + ahead, _metadata(entry)
        )
        for entry in list_field(fields, "offsets")
    }


def _metadata(entry: Fields) -> str:
    given: Any = entry.get("metadata")
    if given is None:
        return ""
    if not isinstance(given, str):
        raise unprocessable("metadata must be a string")
    return given
