"""INV-1, INV-2 and INV-4: brokers die, hang and are replaced; nothing acknowledged is lost.

Three brokers, three real ZooKeepers, producers with acks=all that go from broker to broker.
"""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.cluster import Cluster
from tests.support.ensemble import ZooKeeperEnsemble
from tests.support.load import Load
from tests.support.topic import BrokerClient, Topic
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.zookeeper]

_PARTITIONS = 6
_RECORDS = 100
"""Acknowledged between two faults."""
_SETTINGS = {
    "zookeeper.session.timeout.ms": "3000",
    "replica.lag.time.max.ms": "2000",
    "min.insync.replicas": "2",
    "log.segment.bytes": "65536",
}


@pytest.fixture
def cluster(tmp_path: Path, ensemble: ZooKeeperEnsemble) -> Iterator[Cluster]:
    with Cluster(tmp_path, ensemble.hosts, settings=_SETTINGS) as running:
        yield running
    for broker in running:
        assert "Traceback" not in broker.output


@pytest.fixture
def topic(cluster: Cluster) -> str:
    with BrokerClient(cluster[0].url) as client:
        name = client.make_topic(_PARTITIONS, replication_factor=3).name
    cluster.wait_until_in_sync(name)
    return name


def _load(cluster: Cluster, topic: str) -> Load:
    return Load([broker.address for broker in cluster], topic, partitions=_PARTITIONS)


def _check(cluster: Cluster, topic: str, load: Load) -> None:
    """Everything acknowledged is there, whichever broker is asked, and all replicas are back."""
    cluster.wait_until_in_sync(topic)
    for broker in cluster:
        with BrokerClient(broker.url) as client:
            load.ledger.check(Topic(client, topic), range(_PARTITIONS))


def test_leaders_are_killed_again_and_again(cluster: Cluster, topic: str) -> None:
    with _load(cluster, topic) as load:
        for number in range(9):
            load.wait_until_acknowledged(_RECORDS)
            victim = cluster[number % 3]
            victim.kill()
            load.wait_until_acknowledged(_RECORDS)
            victim.start()
            cluster.wait_until_in_sync(topic)
    _check(cluster, topic, load)


def test_death_of_a_process_is_noticed_long_before_its_session_ends(
    tmp_path: Path, ensemble: ZooKeeperEnsemble
) -> None:
    # No session ends while this test runs: whatever is noticed, is noticed otherwise.
    settings = _SETTINGS | {"zookeeper.session.timeout.ms": "10000"}
    with Cluster(tmp_path, ensemble.hosts, settings=settings) as cluster:
        with BrokerClient(cluster[0].url) as client:
            name = client.make_topic(_PARTITIONS, replication_factor=3).name
        cluster.wait_until_in_sync(name)
        for victim in cluster:  # the controller, too
            _kill_and_watch(cluster, cluster.brokers.index(victim), name)
            victim.start()
            cluster.wait_until_in_sync(name)


def _kill_and_watch(cluster: Cluster, number: int, topic: str) -> None:
    """Kill a broker; the others have to notice before its session ends."""
    witness = cluster[(number + 1) % 3]
    cluster[number].kill()
    wait_until(
        lambda: _is_written_everywhere(witness.url, topic),
        "all partitions can be written to",
        timeout_s=8,
    )
    cluster.wait_for(topic, lambda each: number not in each["isr"], "it left every ISR", 8)
    registered = httpx.get(f"{witness.url}/v1/brokers").json()["brokers"]
    assert number in [each["id"] for each in registered], "its session had ended already"


def _is_written_everywhere(url: str, topic: str) -> bool:
    records = [{"partition": number, "value": "written"} for number in range(_PARTITIONS)]
    answer = httpx.post(
        f"{url}/v1/topics/{topic}/records?timeout_ms=1000", json={"records": records}
    )
    places = answer.json().get("offsets", [{"error": answer.text}])
    return all("error" not in place for place in places)


def test_broker_hangs_until_others_lead_and_comes_back(cluster: Cluster, topic: str) -> None:
    with _load(cluster, topic) as load:
        for victim in cluster:
            load.wait_until_acknowledged(_RECORDS)
            victim.pause()
            _wait_until_others_lead(cluster, cluster.brokers.index(victim), topic)
            load.wait_until_acknowledged(_RECORDS)
            victim.resume()
            cluster.wait_until_in_sync(topic)
    _check(cluster, topic, load)


def _wait_until_others_lead(cluster: Cluster, number: int, topic: str) -> None:
    witness = cluster[(number + 1) % 3]
    wait_until(
        lambda: all(
            each["leader"] not in {-1, number} for each in cluster.partitions(topic, asked=witness)
        ),
        "others lead",
    )


def test_brokers_are_restarted_one_after_the_other(cluster: Cluster, topic: str) -> None:
    with _load(cluster, topic) as load:
        for victim in [*cluster, *cluster]:
            load.wait_until_acknowledged(_RECORDS)
            assert victim.stop() == 0
            load.wait_until_acknowledged(_RECORDS)
            victim.start()
            cluster.wait_until_in_sync(topic)
    _check(cluster, topic, load)


def test_all_brokers_die_at_once_and_come_back(cluster: Cluster, topic: str) -> None:
    with _load(cluster, topic) as load:
        for _ in range(3):
            load.wait_until_acknowledged(_RECORDS)
            for victim in cluster:
                victim.kill()
            cluster.start()
            load.wait_until_acknowledged(_RECORDS)
    _check(cluster, topic, load)


def test_two_of_three_die_and_nothing_is_taken_until_one_is_back(
    cluster: Cluster, topic: str
) -> None:
    with _load(cluster, topic) as load:
        load.wait_until_acknowledged(_RECORDS)
        cluster[1].kill()
        cluster[2].kill()
        wait_until(
            lambda: not _is_written_everywhere(cluster[0].url, topic), "it is refused", timeout_s=20
        )
        refused = httpx.post(
            f"{cluster[0].url}/v1/topics/{topic}/partitions/0/records?timeout_ms=1000",
            json={"records": [{"value": "lonely"}]},
        )
        assert refused.status_code == 503
        assert refused.json()["retriable"]
        cluster[1].start()
        load.wait_until_acknowledged(_RECORDS)
        cluster[2].start()
    _check(cluster, topic, load)
