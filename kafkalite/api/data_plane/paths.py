"""The data plane as OpenAPI path items: FastAPI never sees it, so they are written by hand."""

from typing import Any, Final

import msgspec

from kafkalite.api.data_plane.packed_schemas import PACKED_SCHEMAS
from kafkalite.api.replies import parameter, reference, replies
from kafkalite.model.errors import (
    CoordinatorNotAvailableError,
    CorruptMessageError,
    FencedInstanceIdError,
    FencedMemberEpochError,
    GroupIdNotFoundError,
    GroupMaxSizeReachedError,
    InvalidGroupIdError,
    InvalidRecordError,
    InvalidRequestError,
    InvalidSessionTimeoutError,
    KafkaStorageError,
    LeaderNotAvailableError,
    MessageTooLargeError,
    NotAcceptableError,
    NotEnoughReplicasError,
    NotLeaderOrFollowerError,
    OffsetOutOfRangeError,
    RequestTimedOutError,
    RequestTooLargeError,
    StaleMemberEpochError,
    UnknownMemberIdError,
    UnknownTopicOrPartitionError,
    UnsupportedAssignorError,
    UnsupportedMediaTypeError,
)
from kafkalite.wire.admin_messages import PartitionOutcomes
from kafkalite.wire.group_messages import (
    HeartbeatRequest,
    HeartbeatResponse,
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetFetchResponse,
    StreamAck,
)
from kafkalite.wire.messages import FetchRequest, FetchResponse, ProduceRequest, ProduceResponse

DATA_PLANE_BODIES: Final[tuple[type[msgspec.Struct], ...]] = (
    ProduceRequest,
    ProduceResponse,
    FetchRequest,
    FetchResponse,
    HeartbeatRequest,
    HeartbeatResponse,
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetFetchResponse,
    StreamAck,
)
_MSGPACK: Final = "application/msgpack"
_JSON: Final = "application/json"
_NDJSON: Final = "application/x-ndjson"

_ENCODING: Final = {
    "type": "string",
    "enum": ["json", "text", "base64"],
    "default": "json",
    "description": "How the member beside it holds the bytes.",
}
_HEADER: Final = {
    "type": "object",
    "required": ["key"],
    "properties": {
        "key": {"type": "string"},
        "value": {"type": ["string", "null"]},
        "value_encoding": {"type": "string", "enum": ["text", "base64"], "default": "text"},
    },
}
_HEADERS_ITEM: Final = reference("RecordHeader")
_RECORD: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "value": {"description": "Any JSON, kept as the bytes that came; null: no value."},
        "key": {"description": "Any JSON, or null; chooses the partition where none is named."},
        "partition": {"type": ["integer", "null"], "minimum": 0},
        "timestamp": {"type": ["integer", "null"], "description": "ms since the epoch."},
        "headers": {
            "oneOf": [
                {"type": "array", "items": _HEADERS_ITEM},
                {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
                {"type": "null"},
            ]
        },
        "value_encoding": _ENCODING,
        "key_encoding": _ENCODING,
    },
}
_READ_RECORD: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "offset": {"type": "integer"},
        "timestamp": {"type": "integer"},
        "key": {},
        "value": {},
        "headers": {"type": "array", "items": _HEADERS_ITEM},
        "key_encoding": {"type": "string", "enum": ["text", "base64"]},
        "value_encoding": {"type": "string", "enum": ["text", "base64"]},
    },
}
_RECORD_RESULT: Final[dict[str, Any]] = {
    "type": "object",
    "description": "One a record, in the order sent: where it is, or why it is not.",
    "properties": {
        "partition": {"type": "integer"},
        "offset": {"type": "integer"},
        "error": {"type": "string"},
        "error_code": {"type": "integer"},
        "message": {"type": "string"},
    },
}
EXAMPLES: Final[dict[str, list[object]]] = {
    "HeartbeatRequest": [{"topics": ["flights"], "client_id": "board"}],
    "OffsetCommitRequest": [{"offsets": [{"topic": "flights", "partition": 0, "offset": 42}]}],
}
"""Of bodies that are described as structs."""
SCHEMAS: Final[dict[str, Any]] = {
    **PACKED_SCHEMAS,
    "RecordHeader": _HEADER,
    "Record": {**_RECORD, "examples": [{"key": "UA", "value": {"flight": 1545}}]},
    "NewRecords": {
        "type": "object",
        "required": ["records"],
        "properties": {
            "records": {
                "type": "array",
                "items": reference("Record"),
            }
        },
        "examples": [{"records": [{"key": "UA", "value": {"flight": 1545}}, {"value": "bye"}]}],
    },
    "RecordResults": {
        "type": "object",
        "properties": {"offsets": {"type": "array", "items": _RECORD_RESULT}},
    },
    "RecordsPage": {
        "type": "object",
        "properties": {
            "topic": {"type": "string"},
            "partition": {"type": "integer"},
            "records": {"type": "array", "items": _READ_RECORD},
            "next_offset": {"type": "integer", "description": "Where to read on."},
            "high_watermark": {"type": "integer"},
            "log_start_offset": {"type": "integer"},
        },
    },
}


_EITHER: Final = (_JSON, _MSGPACK)
"""What is answered in whichever of both the client likes, or else in that of its body."""


def data_plane_paths() -> dict[str, Any]:
    """Path items of the native data path, of the records endpoints and of what consumers ask."""
    topic = parameter("topic", "path", {"type": "string"}, "Name of a topic.")
    partition = parameter("partition", "path", {"type": "integer", "minimum": 0}, "Its number.")
    one = "/v1/topics/{topic}/partitions/{partition}/records"
    return {
        "/v1/produce": {"post": _produce()},
        "/v1/fetch": {"post": _fetch()},
        "/v1/topics/{topic}/records": {"post": _post_records("produce_records", [topic])},
        one: {
            "post": _post_records("produce_partition_records", [topic, partition]),
            "get": _get_records([topic, partition]),
        },
        **_group_paths(),
    }


def _group_paths() -> dict[str, Any]:
    group = parameter("group", "path", {"type": "string"}, "Id of a consumer group.")
    topic = parameter("topic", "query", {"type": "string"}, "Of this topic only.")
    partition = parameter("partition", "query", {"type": "integer"}, "And of this partition only.")
    return {
        "/v1/groups/{group}/heartbeat": {"post": _heartbeat(group)},
        "/v1/groups/{group}/offsets": {
            "post": _commit_offsets(group),
            "get": {
                "tags": ["groups"],
                "summary": "Committed offsets",
                "operationId": "committed_offsets",
                "description": "Where a group goes on reading; partitions without a committed "
                "offset are left out.",
                "parameters": [group, topic, partition],
                "responses": _documented(
                    replies(
                        OffsetFetchResponse,
                        InvalidRequestError,
                        InvalidGroupIdError,
                        NotAcceptableError,
                        CoordinatorNotAvailableError,
                        media=_EITHER,
                    )
                ),
            },
            "delete": {
                "tags": ["groups"],
                "summary": "Delete committed offsets",
                "operationId": "delete_offsets",
                "description": "Forget the offsets of a topic, or of one of its partitions, as "
                "long as no member is subscribed to it. What became of each partition is in its "
                "result.",
                "parameters": [group, {**topic, "required": True}, partition],
                "responses": _documented(
                    replies(
                        PartitionOutcomes,
                        InvalidRequestError,
                        InvalidGroupIdError,
                        GroupIdNotFoundError,
                        CoordinatorNotAvailableError,
                        media=_EITHER,
                    )
                ),
            },
        },
    }


def _heartbeat(group: dict[str, Any]) -> dict[str, Any]:
    return {
        "tags": ["groups"],
        "summary": "Join a group, stay in it, leave it",
        "operationId": "heartbeat",
        "description": "All that a member has to say, in one call: `member_epoch` 0 joins, -1 "
        "leaves, -2 leaves a static member's place free for its session timeout, and the epoch of "
        "the last answer keeps the membership alive. The answer's `assignment` is all that the "
        "member may consume. What else it owns it shall stop to consume, commit, and leave out of "
        "the `owned` of its next heartbeat: only then somebody else gets it. With `max_wait_ms` "
        "the answer waits for news.",
        "parameters": [group],
        "requestBody": _body(
            {_JSON: reference("HeartbeatRequest"), _MSGPACK: reference("HeartbeatRequest")}
        ),
        "responses": _documented(
            replies(
                HeartbeatResponse,
                InvalidRequestError,
                InvalidGroupIdError,
                InvalidSessionTimeoutError,
                UnsupportedAssignorError,
                UnknownMemberIdError,
                FencedMemberEpochError,
                FencedInstanceIdError,
                GroupMaxSizeReachedError,
                UnsupportedMediaTypeError,
                CoordinatorNotAvailableError,
                media=_EITHER,
            )
        ),
    }


def _commit_offsets(group: dict[str, Any]) -> dict[str, Any]:
    return {
        "tags": ["groups"],
        "summary": "Commit offsets",
        "operationId": "commit_offsets",
        "description": "Where the group goes on reading. While it has members, only they commit, "
        "and only of partitions that they hold; else anybody does, without `member_id` and "
        "`member_epoch`. Answered with 200 whenever the member is who it says it is; what became "
        "of each partition is in its result.",
        "parameters": [group],
        "requestBody": _body(
            {_JSON: reference("OffsetCommitRequest"), _MSGPACK: reference("OffsetCommitRequest")}
        ),
        "responses": _documented(
            replies(
                OffsetCommitResponse,
                InvalidRequestError,
                InvalidGroupIdError,
                UnknownMemberIdError,
                StaleMemberEpochError,
                UnsupportedMediaTypeError,
                CoordinatorNotAvailableError,
                media=_EITHER,
            )
        ),
    }


def _produce() -> dict[str, Any]:
    return {
        "tags": ["records"],
        "summary": "Append record batches",
        "operationId": "produce",
        "description": "Whole batches for any number of partitions, as msgpack. Answered with 200 "
        "whenever the request itself can be read; what became of each partition is in its result.",
        "requestBody": _body({_MSGPACK: reference("ProduceRequest")}),
        "responses": _documented(
            replies(
                ProduceResponse,
                InvalidRequestError,
                RequestTooLargeError,
                UnsupportedMediaTypeError,
                media=_MSGPACK,
            )
        ),
    }


def _fetch() -> dict[str, Any]:
    return {
        "tags": ["records"],
        "summary": "Read record batches",
        "operationId": "fetch",
        "description": "Whole batches of any number of partitions, as msgpack; waits up to "
        "`max_wait_ms` while there are fewer than `min_bytes`.",
        "requestBody": _body({_MSGPACK: reference("FetchRequest")}),
        "responses": _documented(
            replies(
                FetchResponse,
                InvalidRequestError,
                RequestTooLargeError,
                UnsupportedMediaTypeError,
                media=_MSGPACK,
            )
        ),
    }


def _post_records(operation: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "tags": ["records"],
        "summary": "Produce records",
        "operationId": operation,
        "description": "Records in whatever media type suits; none named means JSON. Answered with "
        "200 as soon as one record was taken: `offsets` says for each where it is or why it is "
        "not. Where none was, the answer is the problem of the first, with `offsets` beside it.",
        "parameters": [
            *parameters,
            parameter(
                "acks",
                "query",
                {"type": "string", "enum": ["0", "1", "all", "-1"], "default": "all"},
                "When to answer: at once, when the leader has it, when all in-sync replicas do.",
            ),
            parameter(
                "timeout_ms",
                "query",
                {"type": "integer", "default": 30_000},
                "How long acks=all may take.",
            ),
            parameter("key", "query", {"type": "string"}, "Key of a text or plain body."),
            parameter(
                "partition",
                "query",
                {"type": "integer"},
                "Partition of records that name none themselves.",
            ),
        ],
        "requestBody": _body(
            {
                _JSON: reference("NewRecords"),
                _NDJSON: reference("Record"),
                _MSGPACK: reference("PackedRecords"),
                "text/plain": {
                    "type": "string",
                    "description": "One record a line.",
                    "examples": ["UA 1545\nUA 1714\n"],
                },
                "application/octet-stream": {
                    "type": "string",
                    "format": "binary",
                    "description": "The body is one record's value.",
                },
            }
        ),
        "responses": _documented(
            _reply("Where the records are.", {_JSON: reference("RecordResults")})
            | {202: {"description": "With acks=0: taken, and nothing more is known."}}
            | replies(
                None,
                InvalidRequestError,
                UnknownTopicOrPartitionError,
                MessageTooLargeError,
                RequestTooLargeError,
                UnsupportedMediaTypeError,
                NotLeaderOrFollowerError,
                CorruptMessageError,
                InvalidRecordError,
                LeaderNotAvailableError,
                NotEnoughReplicasError,
                KafkaStorageError,
                RequestTimedOutError,
            )
        ),
    }


def _get_records(parameters: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "tags": ["records"],
        "summary": "Read records",
        "operationId": "read_records",
        "description": "A page of records from an offset on. Keys and values that are JSON come as "
        "they are; other bytes come as base64 and say so in `key_encoding` or `value_encoding`.",
        "parameters": [
            *parameters,
            parameter(
                "offset",
                "query",
                {"type": "string", "default": "earliest", "examples": ["0", "latest"]},
                "`earliest`, `latest` or a number.",
            ),
            parameter("max_bytes", "query", {"type": "integer"}, "Bytes after which to stop."),
            parameter(
                "timeout_ms",
                "query",
                {"type": "integer", "default": 0},
                "How long to wait while there is nothing to read.",
            ),
            parameter(
                "text",
                "query",
                {"type": "boolean", "default": False},
                "UTF-8 that is not JSON comes as text instead of base64, and says so.",
            ),
        ],
        "responses": _documented(
            _reply(
                "A page of records.",
                {
                    _JSON: reference("RecordsPage"),
                    _NDJSON: _READ_RECORD,
                    _MSGPACK: reference("PackedPage"),
                },
            )
            | replies(
                None,
                InvalidRequestError,
                UnknownTopicOrPartitionError,
                NotAcceptableError,
                OffsetOutOfRangeError,
                NotLeaderOrFollowerError,
                CorruptMessageError,
                LeaderNotAvailableError,
                KafkaStorageError,
            )
        ),
    }


def _documented(responses: dict[int | str, Any]) -> dict[str, Any]:
    return {str(status): response for status, response in responses.items()}


def _body(schemas: dict[str, Any]) -> dict[str, Any]:
    content = {media: {"schema": schema} for media, schema in schemas.items()}
    return {"required": True, "content": content}


def _reply(description: str, schemas: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    content = {media: {"schema": schema} for media, schema in schemas.items()}
    return {200: {"description": description, "content": content}}
