"""What OpenAPI says of the consumers of REST Proxy's version 2, which FastAPI never sees."""

from typing import Any, Final

from kafkalite.api.replies import parameter, reference
from kafkalite.api.rest.consumer_bodies import MAX_NAME_LENGTH
from kafkalite.api.rest.errors import MEDIA
from kafkalite.api.rest.json_body import MAX_OFFSET
from kafkalite.api.rest.openapi_errors import ERROR_SCHEMAS, error_response, error_responses
from kafkalite.api.rest.paths import CREATE, OPERATIONS
from kafkalite.wire.rest_records import EmbeddedFormat, OnError

_MEDIA: Final = MEDIA.decode("ascii")
_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "integer"}
_COUNT: Final = {"type": "integer", "minimum": 0}


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _one_of(*texts: str) -> dict[str, Any]:
    return {"enum": [*map(str, texts), None]}


_MOST: Final = 2**31 - 1
_TOPIC: Final = {**_TEXT, "minLength": 1}
_PLACE: Final = {"topic": _TOPIC, "partition": {"type": "integer", "minimum": 0, "maximum": _MOST}}
_OFFSET: Final = {
    **_PLACE,
    "offset": {"type": "integer", "minimum": -1, "maximum": MAX_OFFSET - 1},
    "metadata": _TEXT,
}
_SWITCH: Final = {
    "type": ["boolean", "string", "null"],
    "pattern": "^(true|false)$",
}
REST_SCHEMAS: Final[dict[str, Any]] = {
    **ERROR_SCHEMAS,
    "NewConsumer": {
        **_object(
            {
                "name": {
                    "type": ["string", "null"],
                    "minLength": 1,
                    "maxLength": MAX_NAME_LENGTH,
                    "description": "Of the instance; one is made up without it.",
                },
                "format": _one_of(*EmbeddedFormat),
                "auto.offset.reset": _one_of("earliest", "latest", "none"),
                "auto.commit.enable": _SWITCH,
                "enable.auto.commit": _SWITCH,
                "fetch.min.bytes": {
                    "type": ["integer", "null"],
                    "minimum": -1,
                    "maximum": 10_000_000,
                },
                "consumer.request.timeout.ms": {
                    "type": ["integer", "null"],
                    "minimum": 0,
                    "maximum": _MOST,
                    "description": "How long a request for records waits, unless it says so.",
                },
                "isolation.level": _one_of("read_uncommitted", "read_committed"),
            }
        ),
        "description": "Unknown keys are passed over, and null is as if it were left out: then "
        "the format is binary, and offsets are committed automatically. "
        "`auto.commit.enable` makes it an instance of Confluent's dialect, in which committing "
        "offset N stores N + 1; `enable.auto.commit` one of Strimzi's, in which it stores N.",
        "examples": [{"name": "c1", "format": "json", "auto.offset.reset": "earliest"}],
    },
    "ConsumerCreated": _object({"instance_id": _TEXT, "base_uri": _TEXT}),
    "WantedSubscription": {
        **_object(
            {
                "topics": _list({**_TOPIC, "maxLength": 249}),
                "topic_pattern": {**_TEXT, "minLength": 1, "description": "RE2, of whole names."},
            }
        ),
        "minProperties": 1,
        "description": "One of both.",
        "examples": [{"topics": ["flights"]}, {"topic_pattern": "flights-.*"}],
    },
    "Subscription": _object(
        {
            "topics": _list(_TEXT),
            "partitions": _list({"type": "object", "additionalProperties": _list(_NUMBER)}),
        }
    ),
    "ConsumerPartitions": {
        **_object({"partitions": _list(_object(_PLACE, "topic", "partition"))}, "partitions"),
        "examples": [{"partitions": [{"topic": "flights", "partition": 0}]}],
    },
    "ConsumerPositions": {
        **_object(
            {
                "offsets": _list(
                    _object(
                        {**_OFFSET, "offset": {"type": "integer", "minimum": 0}},
                        "topic",
                        "partition",
                        "offset",
                    )
                ),
                "timestamps": _list(
                    _object(
                        {
                            **_PLACE,
                            "timestamp": {
                                **_TEXT,
                                "format": "date-time",
                                "description": "ISO 8601: the first record then, or later.",
                            },
                        },
                        "topic",
                        "partition",
                        "timestamp",
                    )
                ),
            }
        ),
        "minProperties": 1,
        "description": "Offsets, times, or both.",
        "examples": [
            {"offsets": [{"topic": "flights", "partition": 0, "offset": 1}]},
            {
                "timestamps": [
                    {"topic": "flights", "partition": 0, "timestamp": "2013-01-01T10:00:00Z"}
                ]
            },
        ],
    },
    "ConsumerOffsets": {
        **_object({"offsets": _list(_object(_OFFSET, "topic", "partition", "offset"))}),
        "examples": [
            {"offsets": [{"topic": "flights", "partition": 0, "offset": 1, "metadata": "board"}]},
            {},
        ],
    },
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
_CODES: Final[dict[tuple[str, str], tuple[int, ...]]] = {
    ("POST", CREATE): (40902, 42204, 429),
    ("POST", "subscription"): (40903,),
    ("POST", "assignments"): (40903,),
    ("POST", "positions"): (40401, 40903),
    ("POST", "positions/beginning"): (40401, 40903),
    ("POST", "positions/end"): (40401, 40903),
    ("GET", "records"): (40601, 40903, 422, 500),
    ("POST", "offsets"): (40401, 40402, 40903),
    ("GET", "offsets"): (422,),
}
"""Of operations that are refused for more than all of them: with which codes."""
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
        "responses": {
            **_good_answer(method, operation),
            **_refusals(method, operation),
            "default": error_response("Any other error."),
        },
    }
    if method == "POST":
        described["requestBody"] = {
            "required": operation not in {CREATE, "offsets"},
            "content": {_MEDIA: {"schema": reference(_BODIES[operation])}},
        }
    return described


def _good_answer(method: str, operation: str) -> dict[str, Any]:
    if operation == "records":
        content = {
            f"application/vnd.kafka.{each.value}.v2+json": {
                "schema": _list(reference("ConsumerRecord"))
            }
            for each in EmbeddedFormat
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
    content = {_MEDIA: {"schema": reference(answer)}}
    return {"200": {"description": "What was asked for.", "content": content}}


def _refusals(method: str, operation: str) -> dict[str, Any]:
    codes = {400, 406, *_CODES.get((method, operation), ())}
    if method == "POST":
        codes |= {415, 422}
    if operation == CREATE:
        return error_responses(*codes)
    return error_responses(*codes, 40403, 429, statuses_only=True)


def _parameters(method: str, operation: str) -> list[dict[str, Any]]:
    found = [parameter("group", "path", _TEXT, "The consumer group.")]
    if operation != CREATE:
        found.append(parameter("instance", "path", _TEXT, "Name of the instance."))
    if operation == "records":
        found += [
            parameter("timeout", "query", _COUNT, "How long to wait, in ms; at most 30,000."),
            parameter("max_bytes", "query", _COUNT, "Of keys and values; one record at least."),
            parameter(
                "on_error",
                "query",
                {"enum": [each.value for each in OnError], "default": "fail"},
                "What becomes of a record that does not fit the instance's format.",
            ),
        ]
    if (method, operation) == ("GET", "offsets"):
        found += [
            parameter("topic", "query", _list(_TEXT), "With `partition`, as often as wanted."),
            parameter("partition", "query", _list(_NUMBER), "Of the `topic` in the same place."),
        ]
    return found
