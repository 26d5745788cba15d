"""The streams of topics as OpenAPI path items."""

from typing import Any, Final

from kafkalite.api.data_plane.packed_schemas import PACKED_BYTES, PACKED_HEADERS
from kafkalite.api.replies import reference, replies
from kafkalite.api.streams.event_stream import EVENT_STREAM
from kafkalite.api.streams.topic_stream import (
    DEFAULT_BYTES,
    DEFAULT_RECORDS,
    MAX_BYTES,
    MAX_RECORDS,
)
from kafkalite.model.errors import (
    BrokerNotAvailableError,
    InvalidRequestError,
    InvalidRequiredAcksError,
    InvalidTopicError,
    LeaderNotAvailableError,
    NotAcceptableError,
    UnknownTopicOrPartitionError,
    UnsupportedMediaTypeError,
)
from kafkalite.wire.media import Media

_STRING: Final = {"type": "string"}
_TOPIC: Final = {
    "name": "topic",
    "in": "path",
    "required": True,
    "schema": _STRING,
    "description": "Name of a topic.",
}
_TAIL_QUERY: Final[tuple[tuple[str, dict[str, Any], str], ...]] = (
    ("partitions", _STRING, "Numbers with commas between them; all where it is left out."),
    (
        "from",
        {**_STRING, "default": "latest", "examples": ["earliest", "0:17,1:4"]},
        "`earliest`, `latest`, or offsets of partitions; those left out from their beginning.",
    ),
    (
        "at",
        {"type": "integer", "minimum": 0},
        "Instead of `from`: the first record of that time (ms since the epoch) or a later one.",
    ),
    (
        "max_bytes",
        {"type": "integer", "minimum": 1, "maximum": MAX_BYTES, "default": DEFAULT_BYTES},
        "Of keys and values in one event.",
    ),
    (
        "max_records",
        {"type": "integer", "minimum": 1, "maximum": MAX_RECORDS, "default": DEFAULT_RECORDS},
        "In one event.",
    ),
    (
        "text",
        {"type": "boolean", "default": False},
        "UTF-8 that is not JSON comes as text instead of base64, and says so.",
    ),
    ("last.event.id", _STRING, "As the header Last-Event-ID, for who cannot set it."),
)
_RECORDS_QUERY: Final[tuple[tuple[str, dict[str, Any], str], ...]] = (
    (
        "acks",
        {"type": "string", "enum": ["0", "1", "all", "-1"], "default": "all"},
        "When to report: at once, when the leader has it, when all in-sync replicas do.",
    ),
    ("timeout_ms", {"type": "integer", "default": 30_000}, "How long acks=all may take."),
    ("partition", {"type": "integer", "minimum": 0}, "Of records that name none themselves."),
    (
        "report",
        {"type": "string", "enum": ["all", "errors"], "default": "all"},
        "Whether each line is reported, or only those that were not taken.",
    ),
)
_TAIL_LINE: Final[dict[str, Any]] = {
    "type": "object",
    "description": "A record, or an event, which has the member `event`.",
    "properties": {
        "partition": {"type": "integer"},
        "offset": {"type": "integer"},
        "timestamp": {"type": "integer"},
        "key": {},
        "value": {},
        "headers": {
            "type": "array",
            "items": reference("RecordHeader"),
        },
        "event": {
            "type": "string",
            "enum": ["start", "moved", "trouble", "alive", "end", "closed"],
        },
        "id": {"type": "string", "description": "Where to go on."},
        "offsets": {"type": "object", "additionalProperties": {"type": "integer"}},
    },
}
_PACKED_TAIL_LINE: Final[dict[str, Any]] = {
    **_TAIL_LINE,
    "properties": {
        **_TAIL_LINE["properties"],
        "key": PACKED_BYTES,
        "value": PACKED_BYTES,
        "headers": PACKED_HEADERS,
    },
}
_LINE_REPORT: Final[dict[str, Any]] = {
    "type": "object",
    "description": "What became of a line, or, last, of all.",
    "properties": {
        "line": {"type": "integer", "minimum": 1},
        "partition": {"type": "integer"},
        "offset": {"type": "integer"},
        "error": {"type": "string"},
        "error_code": {"type": "integer"},
        "message": {"type": "string"},
        "retriable": {"type": "boolean"},
        "event": {"type": "string", "const": "end"},
        "lines": {"type": "integer"},
        "records": {"type": "integer"},
        "errors": {"type": "integer"},
        "reason": {"type": "string", "description": "Why nothing behind `lines` was taken."},
    },
}
STREAM_SCHEMAS: Final[dict[str, Any]] = {
    "TailLine": _TAIL_LINE,
    "PackedTailLine": _PACKED_TAIL_LINE,
    "LineReport": _LINE_REPORT,
}


def stream_paths() -> dict[str, Any]:
    """Path items of `/v1/topics/T/stream` and `/v1/topics/T/records/stream`."""
    return {
        "/v1/topics/{topic}/stream": {"get": _tail()},
        "/v1/topics/{topic}/records/stream": {"post": _records()},
    }


def _tail() -> dict[str, Any]:
    last = {
        "name": "Last-Event-ID",
        "in": "header",
        "schema": _STRING,
        "description": "Id of the last event that the client got; browsers send it by themselves.",
    }
    good = {
        "description": "Server-sent events: `start`, `records`, `moved`, `trouble`, and last `end` "
        "or `closed`; or the same as lines of JSON, or msgpack, a record each.",
        "content": {
            EVENT_STREAM: {"schema": _STRING},
            Media.NDJSON.value: {"schema": reference("TailLine")},
            Media.MSGPACK.value: {"schema": reference("PackedTailLine")},
        },
    }
    refusals = replies(
        None,
        InvalidRequestError,
        InvalidTopicError,
        UnknownTopicOrPartitionError,
        NotAcceptableError,
        BrokerNotAvailableError,
        LeaderNotAvailableError,
    )
    return {
        "tags": ["records"],
        "summary": "Live tail of a topic",
        "operationId": "tail",
        "description": "Pushes a topic's records as they come, without a group. Who comes back "
        "with `Last-Event-ID`, to whichever broker, goes on exactly behind that event.",
        "parameters": [_TOPIC, *_query(_TAIL_QUERY), last],
        "responses": {"200": good} | {str(status): each for status, each in refusals.items()},
    }


def _records() -> dict[str, Any]:
    record = {Media.NDJSON.value: {"schema": reference("Record")}}
    good = {
        "description": "A report a line, while the body goes on; last the `end` with all counts.",
        "content": {Media.NDJSON.value: {"schema": reference("LineReport")}},
    }
    refusals = replies(
        None,
        InvalidRequestError,
        InvalidRequiredAcksError,
        UnknownTopicOrPartitionError,
        UnsupportedMediaTypeError,
        BrokerNotAvailableError,
    )
    return {
        "tags": ["records"],
        "summary": "Produce records without an end",
        "operationId": "produce_stream",
        "description": "A record a line, for as long as the client likes. Each line is reported in "
        "turn; one that is not taken ends nothing. No more of the body is read than is reported.",
        "parameters": [_TOPIC, *_query(_RECORDS_QUERY)],
        "requestBody": {"required": False, "content": record},
        "responses": {"200": good} | {str(status): each for status, each in refusals.items()},
    }


def _query(rows: tuple[tuple[str, dict[str, Any], str], ...]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "schema": schema, "description": text}
        for name, schema, text in rows
    ]
