"""IDP-4: a retry is found by whoever leads now, whichever broker it is sent to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kafkalite.wire.messages import ProduceResult
from tests.support.cluster import Cluster
from tests.support.idempotent import idempotent
from tests.support.topic import BrokerClient, Topic
from tests.support.waiting import wait_until
from tests.support.zookeeper import EmbeddedZooKeeper

pytestmark = pytest.mark.slow


@pytest.fixture
def cluster(tmp_path: Path, embedded_zookeeper: EmbeddedZooKeeper) -> Iterator[Cluster]:
    settings = {"zookeeper.session.timeout.ms": "3000", "min.insync.replicas": "2"}
    connect = f"{embedded_zookeeper.hosts}/idempotent-cluster"
    with Cluster(tmp_path, connect, settings=settings) as running:
        yield running
    for broker in running:
        assert "Traceback" not in broker.output


def _send(cluster: Cluster, broker_id: int, topic: str, sequence: int) -> ProduceResult:
    batch, _ = idempotent(b"%d" % sequence, sequence=sequence, producer_id=5)
    with BrokerClient(cluster[broker_id].url) as client:
        (result,) = client.produce([(topic, 0, batch)])
    return result


def test_a_retry_is_found_by_the_next_leader_and_through_any_broker(cluster: Cluster) -> None:
    with BrokerClient(cluster[0].url) as client:
        topic = client.make_topic(replication_factor=3).name
    cluster.wait_until_in_sync(topic)
    for sequence in range(5):
        assert _send(cluster, sequence % 3, topic, sequence).base_offset == sequence
    for broker in cluster.brokers:
        again = _send(cluster, cluster.brokers.index(broker), topic, 3)
        assert (again.error_code, again.base_offset) == (0, 3)

    leader = cluster.leader_of(topic)
    cluster[leader].kill()
    others = [number for number in range(3) if number != leader]
    wait_until(lambda: _send(cluster, others[0], topic, 4).error_code == 0, "nobody leads")
    for number in others:
        assert [_send(cluster, number, topic, each).base_offset for each in range(5)] == [
            0, 1, 2, 3, 4,
        ]  # fmt: skip
    assert _send(cluster, others[1], topic, 5).base_offset == 5

    cluster[leader].start()
    cluster.wait_until_in_sync(topic)
    assert _send(cluster, leader, topic, 5).base_offset == 5
    with BrokerClient(cluster[leader].url) as client:
        values = [record.value for record in Topic(client, topic).read_all()]
    assert values == [b"%d" % each for each in range(6)]
