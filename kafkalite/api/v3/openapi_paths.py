"""What OpenAPI says of REST Proxy's version 3, which FastAPI never sees."""

import re
from typing import Any, Final

from kafkalite.api.replies import parameter, reference
from kafkalite.api.v3 import paths
from kafkalite.api.v3.errors import MEDIA
from kafkalite.api.v3.openapi_examples import CLUSTER_ID

_MEDIA: Final = MEDIA.decode("ascii")
_NAMES: Final[dict[str, tuple[dict[str, Any], str, object]]] = {
    "cluster_id": ({"type": "string"}, "Id of the cluster, as `/v3/clusters` has it.", CLUSTER_ID),
    "broker_id": ({"type": "integer", "minimum": 0}, "Id of a broker.", 0),
    "topic_name": ({"type": "string"}, "Name of a topic.", "flights"),
    "name": ({"type": "string"}, "Name of a setting.", "retention.ms"),
    "partition_id": ({"type": "integer", "minimum": 0}, "Number of a partition.", 0),
    "consumer_group_id": ({"type": "string"}, "Id of a consumer group.", "boards"),
    "consumer_id": ({"type": "string"}, "Id of a consumer.", "m-1"),
}
_ERRORS: Final = "Errors have REST Proxy's codes, or the HTTP status."
_PRODUCED: Final = (
    "acks=all, to whichever broker leads. What names a schema, or a type that needs one, is "
    "refused (42205), as there is no registry of them."
)
_READS: Final[dict[str, tuple[str, str, str, str, str]]] = {
    paths.CLUSTERS: (
        "clusters",
        "cluster",
        "The cluster, in a list",
        "Each path below is also there with `/kafka` before it. " + _ERRORS,
        "KafkaClusterList",
    ),
    paths.CLUSTER: ("cluster", "cluster", "The cluster", _ERRORS, "KafkaCluster"),
    paths.BROKERS: ("brokers", "brokers", "List brokers", "Those that live.", "KafkaBrokerList"),
    paths.BROKER: ("broker", "brokers", "Describe a broker", "If it lives.", "KafkaBroker"),
    paths.BROKER_REPLICAS: (
        "broker_replicas",
        "brokers",
        "Replicas on a broker",
        "Of all partitions that it is assigned.",
        "KafkaReplicaList",
    ),
    paths.TOPICS: ("topics", "topics", "List topics", "By name.", "KafkaTopicList"),
    paths.TOPIC: ("topic", "topics", "Describe a topic", "40403: there is none.", "KafkaTopic"),
    paths.CONFIGS: (
        "topic_configs",
        "configs",
        "A topic's settings",
        "All that are in force.",
        "KafkaTopicConfigList",
    ),
    paths.CONFIG: (
        "topic_config",
        "configs",
        "A setting of a topic",
        "What it is, and where that comes from.",
        "KafkaTopicConfig",
    ),
    paths.PARTITIONS: (
        "partitions",
        "partitions",
        "List a topic's partitions",
        "By number.",
        "KafkaPartitionList",
    ),
    paths.PARTITION: (
        "partition",
        "partitions",
        "Describe a partition",
        "40402: there is none.",
        "KafkaPartition",
    ),
    paths.OFFSET: (
        "partition_offsets",
        "partitions",
        "Where a partition begins and ends",
        "As consumers may read it.",
        "KafkaPartitionWithOffsets",
    ),
    paths.REPLICAS: (
        "replicas",
        "partitions",
        "List a partition's replicas",
        "The preferred leader first.",
        "KafkaReplicaList",
    ),
    paths.REPLICA: (
        "replica",
        "partitions",
        "Describe a replica",
        "Whether it leads, and is in sync.",
        "KafkaReplica",
    ),
    paths.GROUPS: (
        "groups",
        "groups",
        "List groups",
        "Of all coordinators.",
        "KafkaConsumerGroupList",
    ),
    paths.GROUP: (
        "group",
        "groups",
        "Describe a group",
        "40405: there is none.",
        "KafkaConsumerGroup",
    ),
    paths.CONSUMERS: (
        "consumers",
        "groups",
        "List a group's consumers",
        "Its members.",
        "KafkaConsumerList",
    ),
    paths.CONSUMER: (
        "consumer",
        "groups",
        "Describe a consumer",
        "A member of a group.",
        "KafkaConsumer",
    ),
    paths.ASSIGNMENTS: (
        "assignments",
        "groups",
        "What a consumer consumes",
        "The partitions that it was assigned.",
        "KafkaConsumerAssignmentList",
    ),
    paths.ASSIGNMENT: (
        "assignment",
        "groups",
        "A partition that a consumer consumes",
        "If it was assigned to it.",
        "KafkaConsumerAssignment",
    ),
    paths.LAG_SUMMARY: (
        "lag_summary",
        "groups",
        "How far a group is altogether",
        "Where it lags most, and how much in all partitions whose end is known.",
        "KafkaConsumerGroupLagSummary",
    ),
    paths.LAGS: (
        "lags",
        "groups",
        "How far a group is",
        "In each partition that it has committed an offset of; 404: in none.",
        "KafkaConsumerLagList",
    ),
    paths.LAG: (
        "lag",
        "groups",
        "How far a group is in a partition",
        "If it has committed an offset.",
        "KafkaConsumerLag",
    ),
}
"""Of each GET: its name, tag, summary, description and what it answers."""
_NOTHING: Final = {"description": "It is done; there is no body.", "content": {}}


def _answer(description: str, schema: str) -> dict[str, Any]:
    return {"description": description, "content": {_MEDIA: {"schema": reference(schema)}}}


_CHANGES: Final[dict[tuple[str, str], tuple[str, str, str, str, str | None, dict[str, Any]]]] = {
    ("POST", paths.TOPICS): (
        "create_topic",
        "topics",
        "Create a topic",
        "Answers once all its partitions have leaders. 40002: it cannot be, or is there already.",
        "V3NewTopic",
        {
            "200": _answer("What it would be (`validate_only`).", "KafkaTopic"),
            "201": {
                **_answer("It was created.", "KafkaTopic"),
                "headers": {
                    "Location": {"schema": {"type": "string"}, "description": "Its `self`."}
                },
            },
        },
    ),
    ("PATCH", paths.TOPIC): (
        "add_partitions",
        "topics",
        "Add partitions",
        "Answers once all of them have leaders. 40002: there are as many already.",
        "V3Partitions",
        {"200": _answer("The topic as it is now.", "KafkaTopic")},
    ),
    ("DELETE", paths.TOPIC): (
        "delete_topic",
        "topics",
        "Delete a topic",
        "With all its records; answers once it is gone.",
        None,
        {"204": _NOTHING},
    ),
    ("PUT", paths.CONFIG): (
        "set_topic_config",
        "configs",
        "Set a setting of a topic",
        "Answers once it is in force.",
        "V3Config",
        {"204": _NOTHING},
    ),
    ("DELETE", paths.CONFIG): (
        "reset_topic_config",
        "configs",
        "Take a setting of a topic back",
        "What the brokers have for it holds then.",
        None,
        {"204": _NOTHING},
    ),
    ("POST", paths.ALTER_CONFIGS): (
        "alter_topic_configs",
        "configs",
        "Change settings of a topic together",
        "All of them, or none.",
        "V3ConfigChanges",
        {"204": _NOTHING},
    ),
    ("POST", paths.RECORDS): (
        "produce",
        "records",
        "Produce records, each with a report",
        "The body is one record, or any number of them one behind the other, for as long as the "
        "client likes (chunked). The answer is as many reports, in their order, with line ends "
        "between them, while the body goes on. A record that is not taken ends nothing; what is no "
        "JSON does. The HTTP status is 200 whatever the reports say. " + _PRODUCED,
        "V3Record",
        {"200": _answer("A report a record.", "V3Report")},
    ),
    ("POST", paths.BATCH): (
        "produce_batch",
        "records",
        "Produce a batch of records",
        "42208: something is wrong with the batch, and nothing was stored. " + _PRODUCED,
        "V3Batch",
        {"207": _answer("What became of each entry.", "V3BatchReport")},
    ),
}
"""Of each other method: its name, tag, summary, description, body and good answers."""


def v3_paths() -> dict[str, Any]:
    """Path items of all that there is."""
    return {
        path: {method.lower(): _operation(method, path) for method in methods}
        for path, methods in paths.METHODS.items()
    }


def _operation(method: str, path: str) -> dict[str, Any]:
    body = None
    if method == "GET":
        name, tag, summary, description, document = _READS[path]
        good = {"200": _answer("What was asked for.", document)}
    else:
        name, tag, summary, description, body, good = _CHANGES[method, path]
    described: dict[str, Any] = {
        "tags": [tag],
        "summary": summary,
        "operationId": f"v3_{name}",
        "description": description,
        "parameters": _parameters(path),
        "responses": {**good, "default": _answer("Any error.", "RestError")},
    }
    if body is not None:
        content = {_MEDIA: {"schema": reference(body)}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _parameters(path: str) -> list[dict[str, Any]]:
    found = []
    for name in re.findall(r"{(\w+)}", path):
        schema, text, example = _NAMES[name]
        found.append({**parameter(name, "path", schema, text), "example": example})
    if path == paths.OFFSET:
        only = {"enum": ["earliest_and_latest"]}
        found.append(parameter("offset_type", "query", only, "There is only this."))
    return found
