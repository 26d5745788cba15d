"""Schemas of REST Proxy's version 3 for the OpenAPI document: resources, bodies and reports."""

from typing import Any, Final

from kafkalite.api.replies import reference
from kafkalite.api.v3.openapi_examples import CLUSTER_ID, RESOURCES
from kafkalite.wire.v3_records import KINDS, MAX_ENTRIES

Schema = dict[str, Any]

LISTED: Final = (
    "KafkaCluster",
    "KafkaBroker",
    "KafkaTopic",
    "KafkaPartition",
    "KafkaReplica",
    "KafkaTopicConfig",
    "KafkaConsumerGroup",
    "KafkaConsumer",
    "KafkaConsumerAssignment",
    "KafkaConsumerLag",
)
"""Kinds that there are lists of."""

_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "integer"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_FLAG: Final = {"type": "boolean"}
_MAYBE_TEXT: Final = {"type": ["string", "null"]}
_MAYBE_COUNT: Final = {"type": ["integer", "null"], "minimum": 0}
_BASE64: Final = {"type": ["string", "null"], "contentEncoding": "base64"}
_STATES: Final = (
    "UNKNOWN", "PREPARING_REBALANCE", "COMPLETING_REBALANCE", "STABLE", "DEAD", "EMPTY",
)  # fmt: skip


def _object(properties: Schema, *required: str) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


_LINK: Final = reference("V3Link")
_MAYBE_LINK: Final = {"anyOf": [_LINK, {"type": "null"}]}
_OF_TOPIC: Final = {"topic_name": _TEXT}
_OF_PARTITION: Final = {**_OF_TOPIC, "partition_id": _COUNT}
_OF_GROUP: Final = {"consumer_group_id": _TEXT}
_PARTITION: Final = {
    **_OF_PARTITION,
    "leader": _MAYBE_LINK,
    "replicas": _LINK,
    "reassignment": _LINK,
}
_SYNONYM: Final = _object(
    {"name": _TEXT, "value": _MAYBE_TEXT, "source": _TEXT}, "name", "value", "source"
)
_FIELDS: Final[dict[str, Schema]] = {
    "KafkaCluster": {
        "controller": _MAYBE_LINK,
        "acls": _LINK,
        "brokers": _LINK,
        "broker_configs": _LINK,
        "consumer_groups": _LINK,
        "topics": _LINK,
        "partition_reassignments": _LINK,
    },
    "KafkaBroker": {
        "broker_id": _COUNT,
        "host": _TEXT,
        "port": _COUNT,
        "rack": _MAYBE_TEXT,
        "configs": _LINK,
        "partition_replicas": _LINK,
    },
    "KafkaTopic": {
        **_OF_TOPIC,
        "is_internal": _FLAG,
        "replication_factor": _COUNT,
        "partitions_count": _COUNT,
        "partitions": _LINK,
        "configs": _LINK,
        "partition_reassignments": _LINK,
        "authorized_operations": _list(_TEXT),
    },
    "KafkaPartition": _PARTITION,
    "KafkaPartitionWithOffsets": {
        **_PARTITION,
        "earliest_offset": _COUNT,
        "latest_offset": _COUNT,
    },
    "KafkaReplica": {
        **_OF_PARTITION,
        "broker_id": _COUNT,
        "is_leader": _FLAG,
        "is_in_sync": _FLAG,
        "broker": _LINK,
    },
    "KafkaTopicConfig": {
        **_OF_TOPIC,
        "name": _TEXT,
        "value": _MAYBE_TEXT,
        "is_default": _FLAG,
        "is_read_only": _FLAG,
        "is_sensitive": _FLAG,
        "source": _TEXT,
        "synonyms": _list(_SYNONYM),
    },
    "KafkaConsumerGroup": {
        **_OF_GROUP,
        "is_simple": {**_FLAG, "description": "Whether it has no consumers."},
        "partition_assignor": _TEXT,
        "state": {"enum": list(_STATES)},
        "type": _TEXT,
        "is_mixed_consumer_group": _FLAG,
        "coordinator": _MAYBE_LINK,
        "consumers": _LINK,
        "lag_summary": _LINK,
    },
    "KafkaConsumer": {
        **_OF_GROUP,
        "consumer_id": _TEXT,
        "instance_id": _MAYBE_TEXT,
        "client_id": _TEXT,
        "assignments": _LINK,
    },
    "KafkaConsumerAssignment": {
        **_OF_GROUP,
        "consumer_id": _TEXT,
        **_OF_PARTITION,
        "partition": _LINK,
        "lag": _LINK,
    },
    "KafkaConsumerLag": {
        **_OF_GROUP,
        **_OF_PARTITION,
        "current_offset": _COUNT,
        "log_end_offset": {**_MAYBE_COUNT, "description": "null: nobody leads the partition."},
        "lag": _MAYBE_COUNT,
        "consumer_id": {**_TEXT, "description": "Empty: nobody consumes it."},
        "instance_id": _MAYBE_TEXT,
        "client_id": _TEXT,
    },
    "KafkaConsumerGroupLagSummary": {
        **_OF_GROUP,
        "max_lag_consumer_id": _TEXT,
        "max_lag_instance_id": _MAYBE_TEXT,
        "max_lag_client_id": _TEXT,
        "max_lag_topic_name": _TEXT,
        "max_lag_partition_id": _COUNT,
        "max_lag": _COUNT,
        "total_lag": _COUNT,
        "max_lag_consumer": _LINK,
        "max_lag_partition": _LINK,
    },
}
_METADATA: Final = _object({"self": _TEXT, "resource_name": _TEXT}, "self", "resource_name")
_LIST_METADATA: Final = _object({"self": _TEXT, "next": {"type": "null"}}, "self", "next")


def _resource(kind: str) -> Schema:
    fields = {
        "kind": {"const": kind},
        "metadata": reference("V3Metadata"),
        "cluster_id": _TEXT,
        **_FIELDS[kind],
    }
    return {**_object(fields, *fields), "examples": [RESOURCES[kind]]}


def _listing(kind: str) -> Schema:
    fields = {
        "kind": {"const": f"{kind}List"},
        "metadata": reference("V3ListMetadata"),
        "data": _list(reference(kind)),
    }
    return _object(fields, *fields)


_DATA: Final = {
    **_object(
        {
            "type": {
                "enum": [*KINDS, None],
                "description": "BINARY, where it is left out, is base64.",
            },
            "data": {"description": "null, or nothing: no key, or no value."},
        }
    ),
    "type": ["object", "null"],
}
_HEADER: Final = {
    **_object({"name": _TEXT, "value": _BASE64}, "name"),
    "additionalProperties": False,
}
_RECORD: Final[Schema] = {
    "partition_id": _MAYBE_COUNT,
    "headers": {**_list(_HEADER), "type": ["array", "null"]},
    "key": _DATA,
    "value": _DATA,
    "timestamp": {"type": ["string", "null"], "format": "date-time"},
}
_SENT: Final = {
    "key": {"type": "STRING", "data": "UA"},
    "value": {"type": "JSON", "data": {"n": 1}},
}
_REPORTED_DATA: Final = _object({"type": {"enum": [*KINDS]}, "size": _COUNT}, "type", "size")
_PLACE: Final[Schema] = {
    "cluster_id": _TEXT,
    "topic_name": _TEXT,
    "partition_id": _COUNT,
    "offset": _COUNT,
    "timestamp": {
        "type": ["string", "null"],
        "format": "date-time",
        "description": "null where the broker's time replaces it (LogAppendTime).",
    },
    "key": _REPORTED_DATA,
    "value": _REPORTED_DATA,
}
_STORED: Final = {
    "cluster_id": CLUSTER_ID,
    "topic_name": "flights",
    "partition_id": 0,
    "offset": 17,
    "timestamp": "2026-01-31T12:00:00.000Z",
    "key": {"type": "STRING", "size": 2},
    "value": {"type": "JSON", "size": 7},
}
_ERROR: Final = {"error_code": _NUMBER, "message": _TEXT}
_DIGITS: Final[Schema] = {"pattern": "^-?[0-9]+$"}
_GIVEN_NUMBER: Final[Schema] = {"type": ["integer", "string"], **_DIGITS}
"""Of a body: Confluent's server takes strings for what they say, and so does this."""
_GIVEN_NUMBER_OR_NOT: Final[Schema] = {"type": ["integer", "string", "null"], **_DIGITS}
_GIVEN_SWITCH: Final[Schema] = {
    "type": ["boolean", "string", "integer", "null"],
    "pattern": "^(true|false|0|1)$",
    "minimum": 0,
    "maximum": 1,
}
_GIVEN_SETTING: Final[Schema] = {"type": ["string", "number", "boolean"]}
_CONFIG: Final = {"name": _TEXT, "value": {"type": ["string", "number", "boolean", "null"]}}
_ASSIGNMENT: Final = _object(
    {"partition_id": _GIVEN_NUMBER, "broker_ids": _list(_GIVEN_NUMBER)},
    "partition_id",
    "broker_ids",
)


def _body(properties: Schema, *required: str, example: object) -> Schema:
    return {
        **_object(properties, *required),
        "additionalProperties": False,
        "examples": [example],
    }


V3_SCHEMAS: Final[dict[str, Schema]] = {
    "V3Link": _object({"related": _TEXT}, "related"),
    "V3Metadata": _METADATA,
    "V3ListMetadata": _LIST_METADATA,
    **{kind: _resource(kind) for kind in _FIELDS},
    **{f"{kind}List": _listing(kind) for kind in LISTED},
    "V3NewTopic": _body(
        {
            "topic_name": _TEXT,
            "partitions_count": _GIVEN_NUMBER_OR_NOT,
            "replication_factor": _GIVEN_NUMBER_OR_NOT,
            "replicas_assignments": {
                "anyOf": [
                    _list(_ASSIGNMENT),
                    {"type": "object", "additionalProperties": _list(_GIVEN_NUMBER)},
                    {"type": "null"},
                ],
                "description": "In place of the two numbers; the preferred leader first.",
            },
            "configs": {
                **_list({**_object(_CONFIG, "name"), "additionalProperties": False}),
                "type": ["array", "null"],
            },
            "validate_only": _GIVEN_SWITCH,
        },
        "topic_name",
        example={
            "topic_name": "flights",
            "partitions_count": 3,
            "configs": [{"name": "retention.ms", "value": "86400000"}],
        },
    ),
    "V3Partitions": _body(
        {"partitions_count": _GIVEN_NUMBER}, "partitions_count", example={"partitions_count": 6}
    ),
    "V3Config": _body({"value": _GIVEN_SETTING}, "value", example={"value": "86400000"}),
    "V3ConfigChanges": _body(
        {
            "data": _list(
                {
                    **_object({**_CONFIG, "operation": {"enum": ["SET", "DELETE", None]}}, "name"),
                    "additionalProperties": False,
                }
            ),
            "validate_only": _GIVEN_SWITCH,
        },
        "data",
        example={
            "data": [
                {"name": "compression.type", "value": "gzip"},
                {"name": "retention.ms", "operation": "DELETE"},
            ]
        },
    ),
    "V3Record": _body(_RECORD, example=_SENT),
    "V3Report": {
        **_object({**_ERROR, **_PLACE}, "error_code"),
        "description": "200 and where the record went, or why it is not stored.",
        "examples": [{"error_code": 200, **_STORED}],
    },
    "V3Batch": _body(
        {
            "entries": {
                **_list(
                    {
                        **_object(
                            {"id": {**_TEXT, "pattern": "^[0-9A-Za-z_-]{1,80}$"}, **_RECORD}, "id"
                        ),
                        "additionalProperties": False,
                    }
                ),
                "minItems": 1,
                "maxItems": MAX_ENTRIES,
            }
        },
        "entries",
        example={"entries": [{"id": "1", **_SENT}]},
    ),
    "V3BatchReport": {
        **_object(
            {
                "successes": _list(
                    _object({"id": _TEXT, **_PLACE}, "id", "partition_id", "offset")
                ),
                "failures": _list(_object({"id": _TEXT, **_ERROR}, "id", *_ERROR)),
            },
            "successes",
            "failures",
        ),
        "examples": [{"successes": [{"id": "1", **_STORED}], "failures": []}],
    },
}
