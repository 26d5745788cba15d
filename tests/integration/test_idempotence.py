"""IDP-1 to IDP-8 on a real broker: retries over kills, stops and retention."""

from pathlib import Path

import msgpack
import pytest

from kafkalite.wire.messages import ProduceResult
from tests.support.broker import BrokerProcess
from tests.support.idempotent import idempotent
from tests.support.topic import BrokerClient, Topic
from tests.support.waiting import wait_until
from tests.support.zookeeper import EmbeddedZooKeeper

pytestmark = pytest.mark.slow

_NOW = 1_700_000_000_000


def _new_id(client: BrokerClient) -> int:
    answer = client.http.post("/v1/producer-ids")
    assert answer.status_code == 200, answer.text
    assert answer.json()["producer_epoch"] == 0
    producer_id: int = answer.json()["producer_id"]
    return producer_id


def _send(topic: Topic, producer_id: int, sequence: int, *values: bytes) -> ProduceResult:
    batch, _ = idempotent(*values, sequence=sequence, producer_id=producer_id, timestamp=_NOW)
    (result,) = topic.client.produce([(topic.name, 0, batch)])
    return result


def _metric(client: BrokerClient, name: str) -> float:
    lines = client.http.get("/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def test_ids_are_given_as_json_and_msgpack_and_never_twice(client: BrokerClient) -> None:
    ids = [_new_id(client) for _ in range(5)]
    answer = client.http.post("/v1/producer-ids", headers={"accept": "application/msgpack"})
    assert answer.headers["content-type"] == "application/msgpack"
    ids.append(msgpack.unpackb(answer.content)["producer_id"])
    assert len(set(ids)) == 6


def test_a_retry_is_stored_once(client: BrokerClient) -> None:
    topic, producer_id = client.make_topic(), _new_id(client)
    duplicates = _metric(client, "kafkalite_produce_duplicates_total")
    assert _send(topic, producer_id, 0, b"a", b"b").base_offset == 0
    again = _send(topic, producer_id, 0, b"a", b"b")
    assert (again.error_code, again.base_offset) == (0, 0)
    assert _send(topic, producer_id, 2, b"c").base_offset == 2
    assert _send(topic, producer_id, 4, b"e").error == "OUT_OF_ORDER_SEQUENCE_NUMBER"
    assert [each.value for each in topic.read_all()] == [b"a", b"b", b"c"]
    assert _metric(client, "kafkalite_produce_duplicates_total") == duplicates + 1
    assert _metric(client, "kafkalite_producer_ids") >= 1


def test_retries_are_found_after_a_kill_a_stop_and_when_retention_took_all(
    tmp_path: Path, embedded_zookeeper: EmbeddedZooKeeper
) -> None:
    settings = {
        "log.retention.check.interval.ms": "200",
        "log.segment.delete.delay.ms": "0",
        "log.segment.bytes": "2000",
    }
    connect = f"{embedded_zookeeper.hosts}/idempotent-broker"
    broker = BrokerProcess(tmp_path, connect, settings=settings)
    with broker:
        with BrokerClient(broker.url) as client:
            topic, producer_id = client.make_topic(), _new_id(client)
            for sequence in range(30):
                assert _send(topic, producer_id, sequence, b"x" * 200).base_offset == sequence
        broker.kill()
        broker.start()
        with BrokerClient(broker.url) as client:
            topic = Topic(client, topic.name)
            assert _send(topic, producer_id, 29, b"x" * 200).base_offset == 29
            assert _send(topic, producer_id, 30, b"x" * 200).base_offset == 30
            assert _new_id(client) != producer_id
        assert broker.stop() == 0
        broker.start()
        with BrokerClient(broker.url) as client:
            topic = Topic(client, topic.name)
            assert _send(topic, producer_id, 26, b"x" * 200).base_offset == 26
            answer = client.http.patch(topic.path, json={"config": {"retention.ms": "1"}})
            assert answer.status_code == 200, answer.text

            def is_empty() -> bool:
                offsets = client.http.get(topic.partition_path(0, "offsets")).json()
                return bool(offsets["log_start_offset"] == offsets["log_end_offset"] == 31)

            wait_until(is_empty, "retention did not take all")
        broker.kill()
        broker.start()
        with BrokerClient(broker.url) as client:
            topic = Topic(client, topic.name)
            assert _send(topic, producer_id, 30, b"x" * 200).base_offset == 30
            assert _send(topic, producer_id, 31, b"x").base_offset == 31
    assert "Traceback" not in broker.output
