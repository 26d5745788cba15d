"""Consumers of the client in a group, while members join and go and brokers are killed.

Three brokers, a producer of values that are all different. Nothing is ever left out; and where no
membership was lost and no commit was in doubt, nothing is read twice.
"""

import threading
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from kafkalite.client.consumer.consumer import Consumer
from kafkalite.client.consumer.failures import CommitFailedError
from kafkalite.client.consumer.listener import Listener
from kafkalite.model.ids import TopicPartition
from tests.support.cluster import Cluster
from tests.support.topic import BrokerClient
from tests.support.unique_values import UniqueValues
from tests.support.waiting import wait_until
from tests.support.zookeeper import EmbeddedZooKeeper

pytestmark = pytest.mark.slow

_TOPIC = "flights"
_PARTITIONS = 6
_VALUES = 150
"""Acknowledged between two events."""
_DEADLINE_S = 90.0
_SETTINGS = {
    "zookeeper.session.timeout.ms": "3000",
    "replica.lag.time.max.ms": "2000",
    "min.insync.replicas": "2",
}


class _Reading(Listener):
    """A consumer in a thread, and all that it read."""

    def __init__(self, cluster: Cluster, group: str, read: list[bytes]) -> None:
        self.read = read
        self.has_lost = False
        self.error: BaseException | None = None
        self._stopping = threading.Event()
        self._consumer = Consumer(
            bootstrap_servers=cluster.bootstrap,
            group_id=group,
            auto_offset_reset="earliest",
            auto_commit_interval_ms=200,
            session_timeout_ms=6000,
        )
        self._consumer.subscribe(_TOPIC, listener=self)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def assignment(self) -> frozenset[TopicPartition]:
        return self._consumer.assignment()

    def on_lost(self, partitions: Collection[TopicPartition], /) -> None:
        self.has_lost = True

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            with self._consumer as consumer:
                while not self._stopping.is_set():
                    self.read.extend(consumer.poll(0.1).values())
        except CommitFailedError:
            self.has_lost = True
        except BaseException as error:  # noqa: BLE001 - told by the test
            self.error = error


class _Group:
    """Consumers that share a topic, and what all of them read together."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster = cluster
        self._name = name
        self.read: list[bytes] = []
        self.members: list[_Reading] = []
        self.gone: list[_Reading] = []

    def add(self) -> None:
        self.members.append(_Reading(self._cluster, self._name, self.read))

    def remove(self) -> None:
        leaving = self.members.pop(0)
        leaving.stop()
        self.gone.append(leaving)

    def wait_until_shared(self) -> None:
        def shared() -> bool:
            self.check()
            owned = Counter(each for one in self.members for each in one.assignment)
            return len(owned) == _PARTITIONS and all(one.assignment for one in self.members)

        wait_until(shared, "every partition has an owner and every member some", _DEADLINE_S)

    def wait_until_read(self, values: Collection[bytes]) -> None:
        def all_read() -> bool:
            self.check()
            return set(values) <= set(self.read)

        wait_until(all_read, "all that was acknowledged is read", _DEADLINE_S)

    def check(self) -> None:
        for each in (*self.members, *self.gone):
            assert each.error is None, each.error

    @property
    def has_lost(self) -> bool:
        return any(each.has_lost for each in (*self.members, *self.gone))

    def stop(self) -> None:
        while self.members:
            self.remove()
        self.check()


@pytest.fixture
def cluster(tmp_path: Path, embedded_zookeeper: EmbeddedZooKeeper) -> Iterator[Cluster]:
    connect = f"{embedded_zookeeper.hosts}/{tmp_path.name}"
    with Cluster(tmp_path, connect, settings=_SETTINGS) as running:
        with BrokerClient(running[0].url) as client:
            client.make_topic(_PARTITIONS, name=_TOPIC, replication_factor=3)
        running.wait_until_in_sync(_TOPIC)
        yield running


@pytest.fixture
def producer(cluster: Cluster) -> Iterator[UniqueValues]:
    with UniqueValues([broker.address for broker in cluster], [_TOPIC]) as running:
        yield running


@pytest.fixture
def group(cluster: Cluster) -> Iterator[_Group]:
    made = _Group(cluster, "board")
    yield made
    made.stop()


def test_members_come_and_go_and_every_record_is_read_once(
    producer: UniqueValues, group: _Group
) -> None:
    group.add()
    group.wait_until_shared()
    for change in (group.add, group.add, group.remove, group.add, group.remove, group.remove):
        producer.wait_for(_VALUES)
        change()
        group.wait_until_shared()
    values = producer.acknowledged([_TOPIC])
    group.wait_until_read(values)
    group.stop()
    assert not group.has_lost
    repeated = [value for value, count in Counter(group.read).items() if count > 1]
    assert not repeated


def test_brokers_that_are_killed_cost_no_record(
    cluster: Cluster, producer: UniqueValues, group: _Group
) -> None:
    for _ in range(3):
        group.add()
    group.wait_until_shared()
    for broker in cluster:
        producer.wait_for(_VALUES)
        broker.kill()
        producer.wait_for(_VALUES)
        group.wait_until_shared()
        broker.start()
        cluster.wait_until_in_sync(_TOPIC)
    values = producer.acknowledged([_TOPIC])
    group.wait_until_read(values)
