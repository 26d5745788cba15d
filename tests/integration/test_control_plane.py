"""The control plane of a real broker: one process, the embedded ZooKeeper, logs on disk."""

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from kafkalite.api.errors import PROBLEM_MEDIA_TYPE
from tests.support.broker import BrokerProcess
from tests.support.zookeeper import EmbeddedZooKeeper

pytestmark = pytest.mark.slow

_DEADLINE_S = 20.0
_JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def broker(
    tmp_path_factory: pytest.TempPathFactory, embedded_zookeeper: EmbeddedZooKeeper
) -> Iterator[BrokerProcess]:
    connect = f"{embedded_zookeeper.hosts}/control-{uuid.uuid4().hex}"
    with BrokerProcess(tmp_path_factory.mktemp("control-plane"), connect) as running:
        yield running


@pytest.fixture
def client(broker: BrokerProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=broker.url, timeout=30) as http:
        yield http


@pytest.fixture
def topic(client: httpx.Client) -> str:
    """A topic with two partitions."""
    name = f"t-{uuid.uuid4().hex[:12]}"
    created = client.post("/v1/topics", json={"name": name, "partitions": 2})
    assert created.status_code == 201, created.text
    return name


def _produce(client: httpx.Client, topic: str, timestamps: list[int], partition: int = 0) -> None:
    records = [{"value": "x" * 50, "timestamp": each} for each in timestamps]
    path = f"/v1/topics/{topic}/partitions/{partition}/records"
    produced = client.post(path, json={"records": records})
    assert produced.status_code == 200, produced.text


def _offsets(client: httpx.Client, topic: str, at: str | None = None) -> dict[str, Any]:
    params = {} if at is None else {"at": at}
    found = client.get(f"/v1/topics/{topic}/partitions/0/offsets", params=params)
    assert found.status_code == 200, found.text
    offsets: dict[str, Any] = found.json()
    return offsets


def _poll(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def test_topic_is_usable_as_soon_as_it_is_created(client: httpx.Client, topic: str) -> None:
    described = client.get(f"/v1/topics/{topic}").json()
    assert [each["leader"] for each in described["partitions"]] == [0, 0]
    assert [each["isr"] for each in described["partitions"]] == [[0], [0]]
    _produce(client, topic, [1000], partition=1)
    assert topic in [each["name"] for each in client.get("/v1/topics").json()["topics"]]


def test_added_partition_is_usable_at_once(client: httpx.Client, topic: str) -> None:
    altered = client.patch(f"/v1/topics/{topic}", json={"partition_count": 3})
    assert altered.json()["partition_count"] == 3, altered.text
    _produce(client, topic, [1000], partition=2)


def test_changed_setting_of_a_topic_is_in_force_at_once(client: httpx.Client, topic: str) -> None:
    path = f"/v1/topics/{topic}"
    assert client.patch(path, json={"config": {"max.message.bytes": 100}}).status_code == 200
    large = {"records": [{"value": "x" * 1000}]}
    refused = client.post(f"{path}/partitions/0/records", json=large)
    assert (refused.status_code, refused.json()["error"]) == (413, "MESSAGE_TOO_LARGE")
    assert client.patch(path, json={"config": {"max.message.bytes": None}}).status_code == 200
    assert client.post(f"{path}/partitions/0/records", json=large).status_code == 200


def test_topic_is_gone_and_can_be_made_anew_when_deleted(client: httpx.Client, topic: str) -> None:
    first = client.get(f"/v1/topics/{topic}").json()["topic_id"]
    _produce(client, topic, [1000])
    assert client.delete(f"/v1/topics/{topic}").status_code == 204
    assert client.get(f"/v1/topics/{topic}").status_code == 404
    again = client.post("/v1/topics", json={"name": topic})
    assert again.json()["topic_id"] != first
    assert _offsets(client, topic)["log_end_offset"] == 0


def test_offsets_are_found_by_time(client: httpx.Client, topic: str) -> None:
    _produce(client, topic, [1000, 3000, 2000])
    _produce(client, topic, [4000])
    offsets = _offsets(client, topic)
    assert (offsets["log_start_offset"], offsets["high_watermark"]) == (0, 4)
    assert offsets["log_end_offset"] == 4
    found = {
        at: (each["offset"], each["timestamp"])
        for at in ("earliest", "latest", "max-timestamp", "0", "1001", "2000", "3001", "4001")
        for each in [_offsets(client, topic, at)]
    }
    assert found == {
        "earliest": (0, -1),
        "latest": (4, -1),
        "max-timestamp": (3, 4000),
        "0": (0, 1000),
        "1001": (1, 3000),
        "2000": (1, 3000),
        "3001": (3, 4000),
        "4001": (-1, -1),
    }


def test_deleted_records_cannot_be_read(client: httpx.Client, topic: str) -> None:
    _produce(client, topic, [1000, 2000, 3000])
    path = f"/v1/topics/{topic}/partitions/0"
    deleted = client.post(f"{path}/delete-records", json={"before_offset": 2})
    assert deleted.json() == {"topic": topic, "partition": 0, "low_watermark": 2}
    assert _offsets(client, topic, "earliest")["offset"] == 2
    assert _offsets(client, topic, "0") == {
        "topic": topic,
        "partition": 0,
        "offset": 2,
        "timestamp": 3000,
        "leader_epoch": 0,
    }
    gone = client.get(f"{path}/records", params={"offset": 0})
    assert (gone.status_code, gone.json()["error"]) == (416, "OFFSET_OUT_OF_RANGE")
    beyond = client.post(f"{path}/delete-records", json={"before_offset": 9})
    assert (beyond.status_code, beyond.json()["error"]) == (416, "OFFSET_OUT_OF_RANGE")


def test_setting_of_the_broker_is_in_force_at_once(client: httpx.Client, topic: str) -> None:
    path = "/v1/brokers/default/config"
    produce = f"/v1/topics/{topic}/partitions/0/records"
    record = {"records": [{"value": 1}]}
    try:
        changed = client.patch(path, json={"config": {"min.insync.replicas": 2}})
        assert changed.json()["config"][0]["value"] == "2", changed.text
        refused = client.post(produce, json=record)
        assert (refused.status_code, refused.json()["error"]) == (503, "NOT_ENOUGH_REPLICAS")
        assert refused.headers["retry-after"] == "1"
    finally:
        client.patch(path, json={"config": {"min.insync.replicas": None}})
    assert client.post(produce, json=record).status_code == 200


def test_metrics_follow_what_was_produced(client: httpx.Client, topic: str) -> None:
    def value(name: str, **labels: str) -> float:
        for family in text_string_to_metric_families(client.get("/metrics").text):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        raise AssertionError(f"no {name}")

    before = value("kafkalite_produce_records_total")
    _produce(client, topic, [1000, 2000, 3000])
    assert value("kafkalite_produce_records_total") == before + 3
    assert value("kafkalite_partition_high_watermark", topic=topic, partition="0") == 3
    assert value("kafkalite_partition_log_size_bytes", topic=topic, partition="0") > 150
    assert value("kafkalite_topic_log_end_offset", topic=topic) == 3
    assert value("kafkalite_flush_seconds_count") >= 1


def test_body_is_bounded_on_the_wire(client: httpx.Client) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(64):
            yield b" " * 65_536

    for content in (b" " * (1 << 21), endless()):
        try:
            refused = client.post("/v1/topics", content=content, headers=_JSON)
        except httpx.WriteError:
            continue  # the broker had answered and hung up before all was sent
        assert refused.status_code == 413
        assert refused.headers["content-type"] == PROBLEM_MEDIA_TYPE
    assert client.get("/healthz").status_code == 200


def test_documentation_is_served(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    assert {"/v1/produce", "/v1/fetch", "/v1/topics"} <= set(document["paths"])
    assert client.get("/docs").headers["content-type"] == "text/html; charset=utf-8"


def test_all_is_as_before_after_a_crash(
    tmp_path: Path, embedded_zookeeper: EmbeddedZooKeeper
) -> None:
    connect = f"{embedded_zookeeper.hosts}/crash-{uuid.uuid4().hex}"
    broker = BrokerProcess(tmp_path, connect)
    with broker, httpx.Client(base_url=broker.url, timeout=30) as client:
        body = {"name": "t", "partitions": 1, "config": {"retention.ms": "-1"}}
        before = client.post("/v1/topics", json=body).json()
        _produce(client, "t", [1000, 2000, 3000])
        client.post("/v1/topics/t/partitions/0/delete-records", json={"before_offset": 1})
        client.patch("/v1/brokers/0/config", json={"config": {"log.retention.ms": "5000"}})
        cluster_id = client.get("/v1/cluster").json()["cluster_id"]
        broker.kill()
        broker.start()
        _poll(lambda: client.get("/v1/topics/t").json()["partitions"][0]["leader"] == 0)
        after = client.get("/v1/topics/t").json()
        assert after["partitions"][0].pop("leader_epoch") > before["partitions"][0].pop(
            "leader_epoch"
        )
        assert after == before
        offsets = _offsets(client, "t")
        assert (offsets["log_start_offset"], offsets["high_watermark"]) == (1, 3)
        assert _offsets(client, "t", "0")["timestamp"] == 2000
        own = client.get("/v1/brokers/0/config").json()["config"]
        assert [(each["name"], each["value"]) for each in own] == [("log.retention.ms", "5000")]
        assert client.get("/v1/cluster").json()["cluster_id"] == cluster_id
