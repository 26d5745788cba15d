"""What OpenAPI says of REST Proxy's topics and produce, which FastAPI never sees."""

from typing import Any, Final

from kafkalite.api.replies import parameter, reference
from kafkalite.api.rest import topics_paths as paths
from kafkalite.api.rest.errors import MEDIA
from kafkalite.api.rest.openapi_errors import CODES, RANGE, error_response, error_responses
from kafkalite.wire.rest_records import EmbeddedFormat, OnError

_MEDIA: Final = MEDIA.decode("ascii")
_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "integer"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_NULLABLE: Final = {"type": ["integer", "null"]}
_EMBEDDED: Final[dict[EmbeddedFormat, tuple[str, dict[str, Any], object]]] = {
    EmbeddedFormat.JSON: ("JsonRecords", {"description": "Any JSON; null: none."}, {"dest": "IAH"}),
    EmbeddedFormat.BINARY: (
        "BinaryRecords",
        {"type": ["string", "null"], "contentEncoding": "base64"},
        "SUFI",
    ),
    EmbeddedFormat.TEXT: ("TextRecords", {"type": ["string", "null"]}, "IAH"),
}
"""Of each format that can be produced: its schema, that of its keys and values, and one of them."""


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _records(embedded: dict[str, Any], example: object) -> dict[str, Any]:
    header = _object({"key": _TEXT, "value": {**_EMBEDDED[EmbeddedFormat.BINARY][1]}}, "key")
    record = _object(
        {
            "key": embedded,
            "value": embedded,
            "partition": {
                "type": ["integer", "string", "null"],
                "minimum": 0,
                "pattern": "^[0-9]{1,10}$",
                "description": "Counts more than that of the path.",
            },
            "timestamp": {"type": ["integer", "null"], "minimum": 0},
            "headers": {**_list(header), "type": ["array", "null"]},
        }
    )
    return {
        **_object(
            {
                "records": {**_list({**record, "additionalProperties": False}), "minItems": 1},
                **{
                    name: {"description": "Taken, and passed over: there are no schemas."}
                    for name in ("key_schema", "key_schema_id", "value_schema", "value_schema_id")
                },
            },
            "records",
        ),
        "additionalProperties": False,
        "examples": [{"records": [{"key": example, "value": example}]}],
    }


_PARTITION: Final = _object(
    {
        "partition": _COUNT,
        "leader": {**_NUMBER, "description": "-1: none."},
        "replicas": _list(
            _object(
                {"broker": _NUMBER, "leader": {"type": "boolean"}, "in_sync": {"type": "boolean"}}
            )
        ),
    },
    "partition",
    "leader",
    "replicas",
)
TOPICS_SCHEMAS: Final[dict[str, Any]] = {
    **{name: _records(embedded, example) for name, embedded, example in _EMBEDDED.values()},
    "ProducedOffsets": {
        **_object(
            {
                "offsets": _list(
                    _object(
                        {
                            "partition": _NULLABLE,
                            "offset": _NULLABLE,
                            "error_code": {
                                **_NULLABLE,
                                "description": "50003: send it again; 50002: do not.",
                            },
                            "error": {"type": ["string", "null"]},
                            "message": _TEXT,
                        },
                        "partition",
                        "offset",
                        "error_code",
                        "error",
                    )
                ),
                "key_schema_id": {"type": "null"},
                "value_schema_id": {"type": "null"},
            },
            "offsets",
        ),
        "description": "One entry a record, in their order.",
    },
    "RestPartition": _PARTITION,
    "RestTopic": _object(
        {
            "name": _TEXT,
            "configs": {
                "type": "object",
                "additionalProperties": {"type": ["string", "null"]},
                "description": "All that is in force.",
            },
            "partitions": _list(reference("RestPartition")),
        },
        "name",
        "configs",
        "partitions",
    ),
    "RestOffsets": _object(
        {"beginning_offset": _NUMBER, "end_offset": _NUMBER}, "beginning_offset", "end_offset"
    ),
    "NewTopic": {
        **_object(
            {
                "topic_name": _TEXT,
                "partitions_count": {"type": ["integer", "string", "null"]},
                "replication_factor": {"type": ["integer", "string", "null"]},
            },
            "topic_name",
        ),
        "examples": [{"topic_name": "flights", "partitions_count": 3}],
    },
}

_ORDER: Final = "Errors have REST Proxy's codes, or the HTTP status."
_PRODUCED: Final = (
    "Answers once the records are safe. A topic that does not exist is created where "
    "auto.create.topics.enable is set. The formats that need a registry of schemas are refused: "
    "42201, 42202, 42205. A body whose type names no format (`application/json`, "
    "`application/vnd.kafka.v2+json`, or none) is of `rest.default.format`: binary, unless it was "
    "set otherwise."
)
_DESCRIBED: Final[dict[tuple[str, str], tuple[str, str, str, str]]] = {
    ("GET", paths.ROOT): ("rest_root", "cluster", "Version of the server", _ORDER),
    ("GET", paths.BROKERS): ("rest_brokers", "brokers", "Ids of the live brokers", _ORDER),
    ("GET", paths.TOPICS): (
        "rest_topics",
        "topics",
        "Names of the topics",
        "Without those that Kafka keeps for itself.",
    ),
    ("GET", paths.TOPIC): (
        "rest_topic",
        "topics",
        "Describe a topic",
        "Its settings, and its partitions.",
    ),
    ("GET", paths.PARTITIONS): (
        "rest_partitions",
        "partitions",
        "Describe a topic's partitions",
        "Leader and replicas of each.",
    ),
    ("GET", paths.PARTITION): (
        "rest_partition",
        "partitions",
        "Describe a partition",
        "Its leader and replicas.",
    ),
    ("GET", paths.OFFSETS): (
        "rest_offsets",
        "partitions",
        "Where a partition begins and ends",
        "As consumers may read it.",
    ),
    ("GET", paths.RECORDS): (
        "rest_records",
        "records",
        "Read records",
        "Without a consumer instance. In the format that Accept names, or else "
        "`rest.default.format`.",
    ),
    ("POST", paths.TOPIC): (
        "rest_produce",
        "records",
        "Produce to a topic",
        _PRODUCED,
    ),
    ("POST", paths.PARTITION): (
        "rest_produce_to_partition",
        "records",
        "Produce to a partition",
        _PRODUCED,
    ),
    ("POST", paths.ADMIN_TOPICS): (
        "rest_create_topic",
        "topics",
        "Create a topic",
        "As Strimzi's bridge has it: 409 with 40002 where there is one of that name.",
    ),
    ("GET", paths.HEALTHY): (
        "rest_healthy",
        "probes",
        "Whether the process lives",
        "As Strimzi's bridge has it.",
    ),
    ("GET", paths.READY): (
        "rest_ready",
        "probes",
        "Whether it may be sent requests",
        "As Strimzi's bridge has it.",
    ),
}
_OF_PARTITION: Final = (400, 404, 40401, 40402, 406)
_OF_PRODUCE: Final = (400, 40401, 406, 415)
_UNTAKEN: Final = (422, 42201, 42202, 42205)
_CODES: Final[dict[tuple[str, str], tuple[int, ...]]] = {
    ("GET", paths.TOPIC): (40403, 406),
    ("GET", paths.PARTITIONS): (40401, 406),
    ("GET", paths.PARTITION): _OF_PARTITION,
    ("GET", paths.OFFSETS): _OF_PARTITION,
    ("GET", paths.RECORDS): (*_OF_PARTITION, RANGE, 422),
    ("POST", paths.TOPIC): _OF_PRODUCE,
    ("POST", paths.PARTITION): (*_OF_PRODUCE, 404, 40402),
    ("POST", paths.ADMIN_TOPICS): (400, 40002, 406, 415, 422),
    ("GET", paths.HEALTHY): (),
    ("GET", paths.READY): (),
}
"""Of each operation: the codes with which it is refused; 406 where none are given."""
_ANSWERS: Final[dict[str, dict[str, Any]]] = {
    paths.ROOT: _object({"version": _TEXT, "bridge_version": _TEXT}, "version", "bridge_version"),
    paths.BROKERS: _object({"brokers": _list(_NUMBER)}, "brokers"),
    paths.TOPICS: _list(_TEXT),
    paths.TOPIC: reference("RestTopic"),
    paths.PARTITIONS: _list(reference("RestPartition")),
    paths.PARTITION: reference("RestPartition"),
    paths.OFFSETS: reference("RestOffsets"),
}


def topics_paths() -> dict[str, Any]:
    """Path items of all that REST Proxy has beside its consumers."""
    return {
        path: {method.lower(): _operation(method, path) for method in methods}
        for path, methods in paths.METHODS.items()
    }


def _operation(method: str, path: str) -> dict[str, Any]:
    name, tag, summary, description = _DESCRIBED[method, path]
    described: dict[str, Any] = {
        "tags": [tag],
        "summary": summary,
        "operationId": name,
        "description": description,
        "parameters": _parameters(method, path),
        "responses": {
            **_refusals(method, path),
            **_good_answer(method, path),
            "default": error_response("Any other error."),
        },
    }
    if method == "POST":
        described["requestBody"] = {"required": True, "content": _bodies(path)}
    return described


def _bodies(path: str) -> dict[str, Any]:
    if path == paths.ADMIN_TOPICS:
        return {"application/json": {"schema": reference("NewTopic")}}
    return {
        f"application/vnd.kafka.{form.value}.v2+json": {"schema": reference(name)}
        for form, (name, _, _) in _EMBEDDED.items()
    }


def _good_answer(method: str, path: str) -> dict[str, Any]:
    if path in {paths.HEALTHY, paths.READY}:
        return {"200": {"description": "Yes; there is no body.", "content": {}}}
    if path == paths.ADMIN_TOPICS:
        content = {_MEDIA: {"schema": _object({})}}
        exists = {**error_response("40002: There is a topic of that name."), CODES: [40002]}
        return {"201": {"description": "It was created.", "content": content}, "409": exists}
    if path == paths.RECORDS:
        content = {
            f"application/vnd.kafka.{form.value}.v2+json": {
                "schema": _list(reference("ConsumerRecord"))
            }
            for form in _EMBEDDED
        }
        next_offset = {"schema": _NUMBER, "description": "Where the next page begins."}
        return {
            "200": {
                "description": "Records; none: there are no more.",
                "headers": {"X-Next-Offset": next_offset},
                "content": content,
            }
        }
    if method == "POST":
        refused = {"oneOf": [reference("ProducedOffsets"), reference("RestError")]}
        return {
            "200": _answer("At least one record was stored.", "ProducedOffsets"),
            "204": {"description": "They are queued (`async=true`).", "content": {}},
            "422": {
                "description": "None was stored, or the body cannot be taken: "
                + error_responses(*_UNTAKEN)["422"]["description"],
                "content": {_MEDIA: {"schema": refused}},
                CODES: list(_UNTAKEN),
            },
        }
    content = {_MEDIA: {"schema": _ANSWERS[path]}}
    return {"200": {"description": "What was asked for.", "content": content}}


def _refusals(method: str, path: str) -> dict[str, Any]:
    return error_responses(*_CODES.get((method, path), (406,)))


def _answer(description: str, schema: str) -> dict[str, Any]:
    return {"description": description, "content": {_MEDIA: {"schema": reference(schema)}}}


def _parameters(method: str, path: str) -> list[dict[str, Any]]:
    found = []
    if "{topic}" in path:
        found.append(parameter("topic", "path", _TEXT, "Name of a topic."))
    if "{partition}" in path:
        found.append(parameter("partition", "path", _COUNT, "Number of a partition."))
    if method == "POST" and path != paths.ADMIN_TOPICS:
        text = "Answer 204 before the records are safe: a loss is then not told."
        found.append(parameter("async", "query", {"type": "boolean", "default": False}, text))
    if path == paths.RECORDS:
        offset = {"oneOf": [_COUNT, {"enum": ["earliest", "latest"]}], "default": "earliest"}
        found += [
            parameter("offset", "query", offset, "Of the first record."),
            parameter("timestamp", "query", _COUNT, "Of the first record, or a later one (ms)."),
            parameter("count", "query", {**_COUNT, "minimum": 1}, "At most so many records."),
            parameter("timeout", "query", _COUNT, "How long to wait for the first, in ms."),
            parameter("max_bytes", "query", _COUNT, "Of keys and values; one record at least."),
            parameter(
                "on_error",
                "query",
                {"enum": [each.value for each in OnError], "default": "fail"},
                "What becomes of a record that does not fit the format.",
            ),
        ]
    return found
