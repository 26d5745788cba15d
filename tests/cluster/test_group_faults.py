"""GRP-1, GRP-5 and INV-7: consumers, brokers and coordinators die and hang; groups go on.

Three brokers, three real ZooKeepers, twenty consumers in four groups that ask whichever broker,
and a producer of values that are all different.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from kafkalite.model.ids import TopicPartition
from tests.support.cluster import Cluster
from tests.support.committed_watch import CommittedWatch
from tests.support.ensemble import ZooKeeperEnsemble
from tests.support.group_consumer import ZOMBIE_ERRORS, GroupConsumer
from tests.support.group_ledger import GroupLedger
from tests.support.topic import BrokerClient
from tests.support.unique_values import UniqueValues
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.zookeeper]

_PARTITIONS = 6
_MEMBERS = 5
_VALUES = 200
"""Acknowledged between two faults."""
_SESSION_MS = 6_000
_DEADLINE_S = 60.0
"""Many session timeouts: whether something happens is tested here, not how soon."""
_SETTINGS = {
    "zookeeper.session.timeout.ms": "3000",
    "replica.lag.time.max.ms": "2000",
    "min.insync.replicas": "2",
}
_FIRST, _SECOND, _LATER = "flights-1", "flights-2", "flights-3"


class _Group:
    """One group's consumers, of which some may be gone."""

    def __init__(self, name: str, brokers: list[str], **said: str) -> None:
        self.ledger = GroupLedger(name)
        self.consumers: list[GroupConsumer] = []
        self.topics = [_FIRST, _SECOND]
        self._brokers = brokers
        self._said = said
        self._is_static = "static" in name

    @property
    def name(self) -> str:
        return self.ledger.group

    def add(self, number: int) -> GroupConsumer:
        """Start one more; a static one by that number takes the place of who had it."""
        consumer = GroupConsumer(
            self.ledger,
            self._brokers,
            topics=() if "pattern" in self._said else self.topics,
            pattern=self._said.get("pattern"),
            assignor=self._said["assignor"],
            instance_id=f"place-{number}" if self._is_static else None,
            session_timeout_ms=_SESSION_MS,
        )
        consumer.start()
        self.consumers.append(consumer)
        return consumer

    def kill(self, consumer: GroupConsumer) -> None:
        self.consumers.remove(consumer)
        consumer.abandon()

    def wait_until_owned(self, partitions: frozenset[TopicPartition]) -> None:
        """Return when these are consumed, by consumers that live."""

        def all_owned() -> bool:
            for consumer in self.consumers:
                consumer.check()
            living = {consumer.member_id for consumer in self.consumers}
            return {self.ledger.owner_of(each) for each in partitions} <= living

        wait_until(all_owned, f"{self.name} consumes {partitions}", _DEADLINE_S)

    def wait_until_read(self, producer: UniqueValues) -> None:
        """Return when the group has read all that was acknowledged until now."""
        values = producer.acknowledged(self.topics)
        wait_until(
            lambda: not self.ledger.missing(values), f"{self.name} has read all", _DEADLINE_S
        )

    def check(self) -> None:
        """No partition had two owners; where no membership was lost, nothing was read twice."""
        for consumer in self.consumers:
            consumer.check()
        self.ledger.check()
        if not self.ledger.lives_lost:
            assert not self.ledger.refusals
            assert not self.ledger.repeated()


@pytest.fixture
def cluster(tmp_path: Path, ensemble: ZooKeeperEnsemble) -> Iterator[Cluster]:
    with Cluster(tmp_path, ensemble.hosts, settings=_SETTINGS) as running:
        _make_topic(running, _FIRST)
        _make_topic(running, _SECOND)
        yield running
    for broker in running:
        assert "Traceback" not in broker.output


@pytest.fixture
def brokers(cluster: Cluster) -> list[str]:
    return [broker.address for broker in cluster]


@pytest.fixture
def producer(cluster: Cluster, brokers: list[str]) -> Iterator[UniqueValues]:
    with UniqueValues(brokers, [_FIRST, _SECOND]) as running:
        yield running


@pytest.fixture
def groups(brokers: list[str], producer: UniqueValues) -> Iterator[list[_Group]]:
    """Four groups, whose consumers join one after the other while records are written."""
    found = [
        _Group("by-range", brokers, assignor="range"),
        _Group("in-turn", brokers, assignor="roundrobin"),
        _Group("sticky", brokers, assignor="sticky", pattern="flights-[0-9]"),
        _Group("static", brokers, assignor="sticky"),
    ]
    with ExitStack() as stack, CommittedWatch(brokers, [each.name for each in found]) as watch:
        for number in range(_MEMBERS):
            for group in found:
                group.add(number)
        for group in found:
            stack.callback(_end, group)
            group.wait_until_owned(_partitions(_FIRST, _SECOND))
        producer.wait_for(_VALUES)
        yield found
        for group in found:
            group.wait_until_read(producer)
            group.check()
    watch.check()


def _end(group: _Group) -> None:
    """Have all that live leave."""
    for consumer in group.consumers:
        consumer.leave()


def _make_topic(cluster: Cluster, name: str) -> None:
    with BrokerClient(cluster.alive[0].url) as client:
        client.make_topic(_PARTITIONS, name=name, replication_factor=3)
    cluster.wait_until_in_sync(name)


def _partitions(*topics: str, count: int = _PARTITIONS) -> frozenset[TopicPartition]:
    return frozenset(TopicPartition(topic, number) for topic in topics for number in range(count))


def _coordinator_of(cluster: Cluster, group: _Group) -> int:
    described = httpx.get(f"{cluster.alive[0].url}/v1/groups/{group.name}", timeout=30).json()
    found: int = described["coordinator"]["id"]
    return found


def test_each_record_is_read_exactly_once_while_members_come_and_go_and_topics_grow(
    cluster: Cluster, producer: UniqueValues, groups: list[_Group]
) -> None:
    for group in groups:
        one = group.consumers.pop(0)
        one.leave()
    producer.wait_for(_VALUES)
    for number, group in enumerate(groups):
        group.add(0)
        group.consumers.pop(number % len(group.consumers)).leave()
    url = cluster[1].url
    httpx.patch(
        f"{url}/v1/topics/{_FIRST}", json={"partition_count": _PARTITIONS + 2}, timeout=30
    ).raise_for_status()
    _make_topic(cluster, _LATER)
    producer.add_topic(_LATER)
    for group in groups:
        group.wait_until_owned(_partitions(_FIRST, count=_PARTITIONS + 2) | _partitions(_SECOND))
    pattern = groups[2]
    pattern.wait_until_owned(_partitions(_LATER))
    pattern.topics.append(_LATER)
    producer.wait_for(_VALUES)


def test_consumers_die_hang_and_come_back(producer: UniqueValues, groups: list[_Group]) -> None:
    orphaned = [_kill_one(group) for group in groups]
    for group, partitions in zip(groups, orphaned, strict=True):
        group.wait_until_owned(partitions)
    producer.wait_for(_VALUES)
    zombies = [next(each for each in group.consumers if each.owned) for group in groups]
    for group, zombie in zip(groups, zombies, strict=True):
        zombie.pause()
        group.consumers.remove(zombie)
    for group, zombie in zip(groups, zombies, strict=True):
        _wake_when_replaced(group, zombie)
    producer.wait_for(_VALUES)


def _kill_one(group: _Group) -> frozenset[TopicPartition]:
    """Kill a consumer; where it is static, another one takes its place. Gives what it had."""
    victim = next(each for each in group.consumers if each.owned)
    held = victim.owned
    group.kill(victim)
    if victim.instance is not None:
        group.add(int(victim.instance.rpartition("-")[2]))
    return held


def _wake_when_replaced(group: _Group, zombie: GroupConsumer) -> None:
    """When others have what it had, it goes on, and must not commit."""
    held = zombie.owned
    group.wait_until_owned(held)
    zombie.resume_as_zombie()
    wait_until(lambda: len(zombie.zombie_errors) == len(held), f"{zombie.name} tries to commit")
    assert set(zombie.zombie_errors) <= ZOMBIE_ERRORS
    group.consumers.append(zombie)


def test_brokers_and_coordinators_die(
    cluster: Cluster, producer: UniqueValues, groups: list[_Group]
) -> None:
    by_range, in_turn, *others = groups
    for group in (by_range, in_turn, others[0]):
        victim = cluster[_coordinator_of(cluster, group)]
        victim.kill()
        group.wait_until_owned(_kill_one(group))
        for each in groups:
            each.wait_until_read(producer)
        victim.start()
        cluster.wait_until_in_sync(_FIRST)
        cluster.wait_until_in_sync(_SECOND)
        producer.wait_for(_VALUES)
