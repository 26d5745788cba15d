"""What OpenAPI says of the consumers of REST Proxy's version 2, which FastAPI never sees."""

from typing import Any, Final

from kafkalite.api.replies import SCHEMA_REFERENCE
from kafkalite.api.rest.errors import MEDIA
from kafkalite.api.rest.paths import CREATE, OPERATIONS
from kafkalite.wire.rest_records import EmbeddedFormat, OnError

_MEDIA: Final = MEDIA.decode("ascii")
_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "integer"}


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _schema(name: str) -> dict[str, Any]:
    return {"$ref": SCHEMA_REFERENCE.format(name=name)}


_PLACE: Final = {"topic": _TEXT, "partition": {"type": "integer", "minimum": 0}}
_OFFSET: Final = {**_PLACE, "offset": _NUMBER, "metadata": _TEXT}
REST_SCHEMAS: Final[dict[str, Any]] = {
    "RestError": {
        **_object({"error_code": _NUMBER, "message": _TEXT}, "error_code", "message"),
        "description": "An error of this API: five digits, or the HTTP status.",
    },
    "NewConsumer": {
        **_object(
            {
                "name": {**_TEXT, "description": "Of the instance; one is made up without it."},
                "format": {"enum": [each.value for each in EmbeddedFormat], "default": "binary"},
                "auto.offset.reset": {"enum": ["earliest", "latest", "none"]},
                "auto.commit.enable": {"type": ["boolean", "string"], "default": True},
                "enable.auto.commit": {"type": ["boolean", "string"], "default": True},
                "fetch.min.bytes": {"type": "integer", "minimum": -1, "maximum": 10_000_000},
                "consumer.request.timeout.ms": {"type": "integer", "minimum": 0},
                "isolation.level": {"enum": ["read_uncommitted", "read_committed"]},
            }
        ),
        "description": "Unknown keys are passed over. `auto.commit.enable` makes it an instance "
        "of Confluent's dialect, in which committing offset N stores N + 1; `enable.auto.commit` "
        "one of Strimzi's, in which it stores N.",
        "examples": [{"name": "c1", "format": "json", "auto.offset.reset": "earliest"}],
    },
    "ConsumerCreated": _object({"instance_id": _TEXT, "base_uri": _TEXT}),
    "WantedSubscription": {
        **_object({"topics": _list(_TEXT), "topic_pattern": _TEXT}),
        "description": "One of both.",
    },
    "Subscription": _object(
        {
            "topics": _list(_TEXT),
            "partitions": _list({"type": "object", "additionalProperties": _list(_NUMBER)}),
        }
    ),
    "ConsumerPartitions": _object(
        {"partitions": _list(_object(_PLACE, "topic", "partition"))}, "partitions"
    ),
    "ConsumerPositions": _object(
        {
            "offsets": _list(_object(_OFFSET, "topic", "partition", "offset")),
            "timestamps": _list(
                _object(
                    {**_PLACE, "timestamp": {**_TEXT, "description": "ISO 8601"}},
                    "topic",
                    "partition",
                    "timestamp",
                )
            ),
        }
    ),
    "ConsumerOffsets": _object(
        {"offsets": _list(_object(_OFFSET, "topic", "partition", "offset"))}
    ),
    "ConsumerRecord": _object(
        {
            "topic": _TEXT,
            "key": {"description": "In the instance's format; null: none."},
            "value": {"description": "In the instance's format; null: none."},
            "partition": _NUMBER,
            "offset": _NUMBER,
            "timestamp": _NUMBER,
            "headers": _list(
                _object({"key": _TEXT, "value": {"type": ["string", "null"]}}, "key", "value")
            ),
        }
    ),
}

_SUMMARIES: Final[dict[tuple[str, str], tuple[str, str, str]]] = {
    ("POST", CREATE): (
        "create_consumer",
        "Create a consumer instance",
        "Any broker serves it, under its URL, also after the death of the one that did so far: "
        "then from the committed offsets on.",
    ),
    ("DELETE", ""): (
        "delete_consumer",
        "Delete a consumer instance",
        "Commits what it was given, unless it shall not, and leaves the group.",
    ),
    ("POST", "subscription"): (
        "subscribe_consumer",
        "Subscribe to topics",
        "By names or by a pattern; returns once partitions are assigned. No topics: unsubscribe.",
    ),
    ("GET", "subscription"): (
        "consumer_subscription",
        "What a consumer instance reads",
        "Topics, and the partitions that are assigned.",
    ),
    ("DELETE", "subscription"): (
        "unsubscribe_consumer",
        "Unsubscribe",
        "Ends a subscription or an assignment.",
    ),
    ("POST", "assignments"): (
        "assign_consumer",
        "Read partitions of one's own choice",
        "Without being a member of the group; not together with a subscription.",
    ),
    ("GET", "assignments"): (
        "consumer_assignments",
        "Partitions that are assigned",
        "Those of a subscription, too.",
    ),
    ("POST", "positions"): (
        "seek_consumer",
        "Go on reading elsewhere",
        "At offsets, or at points in time.",
    ),
    ("POST", "positions/beginning"): (
        "seek_consumer_to_beginning",
        "Go on at the first records",
        "That there are.",
    ),
    ("POST", "positions/end"): (
        "seek_consumer_to_end",
        "Go on after the last records",
        "That there are.",
    ),
    ("GET", "records"): (
        "consumer_records",
        "Read records",
        "At once where there are some, else as soon as one comes. Asking for the next ones says "
        "that the last ones were dealt with: only then are they committed automatically.",
    ),
    ("POST", "offsets"): (
        "commit_consumer",
        "Commit offsets",
        "Without a body, of all that was delivered. Answered 200 `[]`, or 204 in Strimzi's "
        "dialect.",
    ),
    ("GET", "offsets"): (
        "consumer_offsets",
        "Committed offsets",
        "Of the partitions in the body, in the query, or of all that are assigned.",
    ),
}
_BODIES: Final = {
    CREATE: "NewConsumer",
    "subscription": "WantedSubscription",
    "assignments": "ConsumerPartitions",
    "positions": "ConsumerPositions",
    "positions/beginning": "ConsumerPartitions",
    "positions/end": "ConsumerPartitions",
    "offsets": "ConsumerOffsets",
}
_ANSWERS: Final = {
    ("POST", CREATE): "ConsumerCreated",
    ("GET", "subscription"): "Subscription",
    ("GET", "assignments"): "ConsumerPartitions",
    ("GET", "offsets"): "ConsumerOffsets",
}


def rest_paths() -> dict[str, Any]:
    """Path items of all that is below `/consumers`."""
    items: dict[str, Any] = {}
    for operation, methods in OPERATIONS.items():
        path = "/consumers/{group}"
        if operation != CREATE:
            path += "/instances/{instance}" + (f"/{operation}" if operation else "")
        items[path] = {method.lower(): _operation(method, operation) for method in methods}
    return items


def _operation(method: str, operation: str) -> dict[str, Any]:
    name, summary, description = _SUMMARIES[method, operation]
    described: dict[str, Any] = {
        "tags": ["consumers"],
        "summary": summary,
        "operationId": name,
        "description": description,
        "parameters": _parameters(method, operation),
        "responses": {**_good_answer(method, operation), "default": _error()},
    }
    if method == "POST":
        described["requestBody"] = {
            "required": operation not in {CREATE, "offsets"},
            "content": {_MEDIA: {"schema": _schema(_BODIES[operation])}},
        }
    return described


def _good_answer(method: str, operation: str) -> dict[str, Any]:
    if operation == "records":
        content = {
            f"application/vnd.kafka.{each.value}.v2+json": {
                "schema": _list(_schema("ConsumerRecord"))
            }
            for each in (EmbeddedFormat.BINARY, EmbeddedFormat.JSON, EmbeddedFormat.TEXT)
        }
        return {"200": {"description": "Records; none: time was up.", "content": content}}
    if (method, operation) == ("POST", "offsets"):
        content = {_MEDIA: {"schema": _list({})}}
        return {
            "200": {"description": "Done.", "content": content},
            "204": {"description": "Done, in Strimzi's dialect."},
        }
    answer = _ANSWERS.get((method, operation))
    if answer is None:
        return {"204": {"description": "Done.", "content": {}}}
    content = {_MEDIA: {"schema": _schema(answer)}}
    return {"200": {"description": "What was asked for.", "content": content}}


def _error() -> dict[str, Any]:
    return {"description": "Any error.", "content": {_MEDIA: {"schema": _schema("RestError")}}}


def _parameters(method: str, operation: str) -> list[dict[str, Any]]:
    found = [_parameter("group", "path", _TEXT, "The consumer group.")]
    if operation != CREATE:
        found.append(_parameter("instance", "path", _TEXT, "Name of the instance."))
    if operation == "records":
        found += [
            _parameter("timeout", "query", _NUMBER, "How long to wait, in ms; at most 30,000."),
            _parameter("max_bytes", "query", _NUMBER, "Of keys and values; one record at least."),
            _parameter(
                "on_error",
                "query",
                {"enum": [each.value for each in OnError], "default": "fail"},
                "What becomes of a record that does not fit the instance's format.",
            ),
        ]
    if (method, operation) == ("GET", "offsets"):
        found += [
            _parameter("topic", "query", _list(_TEXT), "With `partition`, as often as wanted."),
            _parameter("partition", "query", _list(_NUMBER), "Of the `topic` in the same place."),
        ]
    return found


def _parameter(name: str, where: str, schema: dict[str, Any], text: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": where,
        "required": where == "path",
        "schema": schema,
        "description": text,
    }
