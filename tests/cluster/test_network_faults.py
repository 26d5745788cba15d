"""INV-1 to INV-4 while the network between brokers, and to ZooKeeper, is cut in parts.

Each broker has a network namespace of its own; ZooKeeper and the producers are outside of all.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.hosts import HostedBroker, Hosts
from tests.support.load import Load
from tests.support.topic import BrokerClient, Topic
from tests.support.waiting import wait_until
from tests.support.zookeeper import EmbeddedZooKeeper

pytestmark = pytest.mark.slow

_PARTITIONS = 6
_RECORDS = 30
_SETTINGS = {
    "zookeeper.session.timeout.ms": "2000",
    "replica.lag.time.max.ms": "1500",
    "min.insync.replicas": "2",
}
_ALL = (0, 1, 2)


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    reason = Hosts.why_unavailable()
    if reason is not None:
        pytest.skip(reason)
    with Hosts(len(_ALL)) as made:
        yield made


@pytest.fixture
def cluster(tmp_path: Path, hosts: Hosts) -> Iterator[Cluster]:
    zookeeper = EmbeddedZooKeeper(tmp_path / "zookeeper", settings={"clientPortAddress": "0.0.0.0"})
    with zookeeper:
        connect = f"{hosts.gateway}:{zookeeper.port}"
        brokers = [
            HostedBroker(tmp_path / f"broker-{number}", connect, hosts, number, _SETTINGS)
            for number in _ALL
        ]
        with Cluster.of(brokers) as running:
            yield running
            hosts.heal()
    for broker in brokers:
        assert "Traceback" not in broker.output


def _isolate(hosts: Hosts, victim: int) -> None:
    hosts.isolate(victim)


def _cut_from_zookeeper(hosts: Hosts, victim: int) -> None:
    hosts.cut_from_here(victim)


def _cut_from_brokers(hosts: Hosts, victim: int) -> None:
    for other in _ALL:
        if other != victim:
            hosts.cut(victim, other)


def _deaf_to_one(hosts: Hosts, victim: int) -> None:
    hosts.cut((victim + 1) % 3, victim)


@pytest.mark.parametrize(
    ("cut", "others_take_over"),
    [
        (_isolate, True),
        (_cut_from_zookeeper, True),
        (_cut_from_brokers, False),
        (_deaf_to_one, False),
    ],
)
def test_nothing_is_lost_when_the_network_is_cut_and_healed(
    hosts: Hosts,
    cluster: Cluster,
    cut: Callable[[Hosts, int], None],
    others_take_over: bool,
) -> None:
    with BrokerClient(cluster[0].url) as client:
        name = client.make_topic(_PARTITIONS, replication_factor=3).name
    cluster.wait_until_in_sync(name)
    with Load([broker.address for broker in cluster], name, partitions=_PARTITIONS) as load:
        for victim in _ALL:
            load.wait_until_acknowledged(_RECORDS)
            cut(hosts, victim)
            if others_take_over:
                _wait_until_others_lead(cluster, victim, name)
            else:
                _wait_until_somebody_lags(cluster, victim, name)
            load.wait_until_acknowledged(_RECORDS)
            hosts.heal()
            cluster.wait_until_in_sync(name)
    for broker in cluster:
        with BrokerClient(broker.url) as client:
            load.ledger.check(Topic(client, name), range(_PARTITIONS))


def _wait_until_others_lead(cluster: Cluster, victim: int, topic: str) -> None:
    witness = cluster[(victim + 1) % 3]
    wait_until(
        lambda: all(
            each["leader"] not in {-1, victim} for each in cluster.partitions(topic, asked=witness)
        ),
        "others lead",
    )


def _wait_until_somebody_lags(cluster: Cluster, victim: int, topic: str) -> None:
    witness = cluster[(victim + 1) % 3]
    wait_until(
        lambda: any(len(each["isr"]) < 3 for each in cluster.partitions(topic, asked=witness)),
        "an ISR has shrunk",
    )
