"""The streams of groups as OpenAPI path items."""

from typing import Any, Final

from kafkalite.api.replies import reference, replies
from kafkalite.api.streams.event_stream import EVENT_STREAM
from kafkalite.model.errors import (
    BrokerNotAvailableError,
    CoordinatorNotAvailableError,
    GroupMaxSizeReachedError,
    InvalidGroupIdError,
    InvalidRequestError,
    InvalidTopicError,
    NetworkError,
    NotAcceptableError,
    RequestTimedOutError,
    RequestTooLargeError,
    UnknownMemberIdError,
    UnsupportedMediaTypeError,
)
from kafkalite.wire.group_messages import OffsetCommitResponse

_STRING: Final = {"type": "string"}
_GROUP: Final = {
    "name": "group",
    "in": "path",
    "required": True,
    "schema": _STRING,
    "description": "Id of a consumer group.",
}
_QUERY: Final[tuple[tuple[str, dict[str, Any], str], ...]] = (
    ("topics", _STRING, "Names of topics, with commas between them; or `pattern`."),
    ("pattern", _STRING, "A regular expression (RE2) for whole names of topics."),
    (
        "format",
        {"type": "string", "enum": ["json", "binary", "text"], "default": "json"},
        "How keys and values stand in the events; what does not fit comes as base64, and says so.",
    ),
    (
        "auto.offset.reset",
        {"type": "string", "enum": ["earliest", "latest", "none"], "default": "latest"},
        "Where to begin where the group has committed nothing.",
    ),
    (
        "max_bytes",
        {"type": "integer", "minimum": 1, "maximum": 4 << 20, "default": 256 << 10},
        "Of keys and values in one event.",
    ),
    (
        "max_records",
        {"type": "integer", "minimum": 1, "maximum": 100_000, "default": 500},
        "In one event.",
    ),
    (
        "max.inflight",
        {"type": "integer", "minimum": 1, "maximum": 1_000_000, "default": 5_000},
        "Records that are sent beyond what is acknowledged.",
    ),
    ("client.id", {**_STRING, "default": "stream"}, "For people who look at the group."),
    (
        "group.instance.id",
        _STRING,
        "The place in the group to take, whoever has it now; made up where it is left out.",
    ),
    ("last.event.id", _STRING, "As the header Last-Event-ID, for who cannot set it."),
)


def group_stream_paths() -> dict[str, Any]:
    """Path items of `/v1/groups/G/stream`."""
    return {
        "/v1/groups/{group}/stream": {"get": _listen()},
        "/v1/groups/{group}/stream/ack": {"post": _acknowledge()},
    }


def _listen() -> dict[str, Any]:
    query = [
        {"name": name, "in": "query", "schema": schema, "description": text}
        for name, schema, text in _QUERY
    ]
    last = {
        "name": "Last-Event-ID",
        "in": "header",
        "schema": _STRING,
        "description": "Id of the last event that the client got; browsers send it by themselves. "
        "It acknowledges all up to that event.",
    }
    good = {
        "description": "Server-sent events: `member`, `assigned`, `records`, `revoked`, `lost`, "
        "`paused`, `trouble`, and last `fenced`, `closed` or `error`.",
        "content": {EVENT_STREAM: {"schema": _STRING}},
    }
    refusals = replies(
        None,
        InvalidRequestError,
        InvalidTopicError,
        InvalidGroupIdError,
        NotAcceptableError,
        GroupMaxSizeReachedError,
        BrokerNotAvailableError,
        CoordinatorNotAvailableError,
    )
    return {
        "tags": ["groups"],
        "summary": "Records pushed to a member of a group",
        "operationId": "stream",
        "description": "Makes the client a member of the group for as long as it listens, and "
        "pushes the records of its partitions. What is acknowledged, by `stream/ack` or by coming "
        "back with `Last-Event-ID`, is committed; all else comes again.",
        "parameters": [_GROUP, *query, last],
        "responses": {"200": good} | {str(status): each for status, each in refusals.items()},
    }


def _acknowledge() -> dict[str, Any]:
    schema = reference("StreamAck")
    answers = replies(
        OffsetCommitResponse,
        InvalidRequestError,
        InvalidGroupIdError,
        UnknownMemberIdError,
        RequestTooLargeError,
        UnsupportedMediaTypeError,
        NetworkError,
        CoordinatorNotAvailableError,
        RequestTimedOutError,
    )
    return {
        "tags": ["groups"],
        "summary": "Acknowledge an event of a stream",
        "operationId": "acknowledge",
        "description": "Commits all that was sent up to an event. What became of each partition is "
        "in its result: one that is another member's by now is refused, the others are committed.",
        "parameters": [_GROUP],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {str(status): each for status, each in answers.items()},
    }
