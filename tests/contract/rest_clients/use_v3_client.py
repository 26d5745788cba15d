"""Administers topics, produces and looks at groups with a client of version 3: BASE_URL"""

import json
import sys
from collections.abc import Callable
from typing import Any

from kafka_mcp.api_client import Api

api = Api(sys.argv[1])


def refusal(ask: Callable[[], object]) -> str:
    """What the client says of a request that is refused."""
    try:
        ask()
    except Exception as error:  # noqa: BLE001 - it raises no other
        return str(error)
    raise AssertionError("it was not refused")


def names(listing: dict[str, Any], field: str) -> list[Any]:
    return [each[field] for each in listing["data"]]


cluster = api.list_clusters()["data"][0]["cluster_id"]
assert api.get_cluster()["cluster_id"] == cluster
created = api.create_topic("v3", 2, 1, {"retention.ms": 86_400_000, "cleanup.policy": "delete"})
assert created["partitions_count"] == 2, created
said: dict[str, Any] = {
    "topics": [name for name in names(api.list_topics(), "topic_name") if name == "v3"],
    "partitions": names(api.list_partitions("v3"), "partition_id"),
    "brokers": names(api.list_brokers(), "broker_id"),
    "again": refusal(lambda: api.create_topic("v3")),
    "no topic": refusal(lambda: api.get_topic("nope")),
}
assert api.get_topic("v3")["topic_name"] == "v3"
assert api.get_partition("v3", 1)["partition_id"] == 1
assert api.get_broker(said["brokers"][0])["port"] > 0

api.update_topic_config("v3", "retention.ms", 7_200_000)
api.update_topic_configs("v3", {"segment.ms": 70_000, "compression.type": "gzip"})
configs = {each["name"]: each["value"] for each in api.list_topic_configs("v3")["data"]}
said["configs"] = [configs[name] for name in ("retention.ms", "segment.ms", "compression.type")]

header = {"name": "h", "value": "AAE="}
said["reports"] = [
    (report["error_code"], report.get("offset"), report.get("value"))
    for report in (
        api.produce_record("v3", {"n": 1}, key="k", partition_id=0, headers=[header]),
        api.produce_record("v3", "text", value_format="STRING", partition_id=0),
        api.produce_record("v3", "AP8=", value_format="BINARY", partition_id=0),
        api.produce_record("v3", {"n": 1}, value_format="AVRO", partition_id=0),
    )
]

api.create_consumer("v3-group", "one", fmt="binary")
api.subscribe_consumer("v3-group", "one", ["v3"])
read = api.consume_records("v3-group", "one", timeout=5_000, fmt="binary")
said["read"] = [(record["value"], record.get("headers")) for record in read]
api.commit_offsets("v3-group", "one")
api.produce_record("v3", None, partition_id=0)
assert "v3-group" in names(api.list_consumer_groups(), "consumer_group_id")
said["group"] = api.get_consumer_group("v3-group")["state"]
said["consumers"] = names(api.list_consumers("v3-group"), "instance_id")
said["lags"] = names(api.get_group_lags("v3-group"), "lag")
said["lag"] = api.get_group_lag_summary("v3-group")["total_lag"]
api.delete_consumer("v3-group", "one")
said["group without consumers"] = api.get_consumer_group("v3-group")["state"]
api.delete_topic("v3")
print(json.dumps(said))
