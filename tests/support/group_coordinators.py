"""Coordinators of groups over one store in memory, and consumers that talk to them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Self

from kafkalite.broker.groups.coordinator import GroupCoordinator
from kafkalite.broker.groups.options import GroupOptions
from kafkalite.broker.metadata_view import ClusterPicture, MetadataView, TopicAt
from kafkalite.groups.limits import GroupLimits
from kafkalite.model.clock import Clock
from kafkalite.model.cluster import Broker, Topic
from kafkalite.model.errors import LogError
from kafkalite.model.ids import BrokerId, TopicId, TopicPartition
from kafkalite.wire.group_messages import (
    HeartbeatRequest,
    HeartbeatResponse,
    OffsetCommitRequest,
    OffsetToCommit,
    TopicPartitions,
)
from tests.support.fake_clock import FakeClock
from tests.support.fake_groups import FakeGroups, FakeGroupStore

SESSION_MS = 10_000


class Coordinators:
    """A cluster as groups see it; an async context manager that stops the coordinators it made."""

    def __init__(self, *, clock: Clock | None = None, options: GroupOptions | None = None) -> None:
        self.fake_clock = FakeClock(1_000_000)
        self.clock = clock or self.fake_clock
        self.options = options or GroupOptions(GroupLimits(min_session_timeout_ms=1))
        self.groups = FakeGroups()
        self.stores: dict[int, FakeGroupStore] = {}
        self.view = MetadataView()
        self.topics: dict[str, Topic] = {}
        self.brokers = {BrokerId(number): Broker(BrokerId(number), "h", 1) for number in (1, 2)}
        self.is_here: Callable[[int, str], bool] = lambda _broker, _group: True
        self.looked_for: list[str] = []
        self.checks = 0
        """How often a coordinator looked for what is too old."""
        self._made: list[GroupCoordinator] = []
        self.make_topic("t", 4)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for store in self.stores.values():
            store.gate.set()
        for coordinator in self._made:
            await coordinator.stop()

    def make_topic(self, name: str, partitions: int) -> None:
        topic_id = TopicId(f"{name}-{len(self.topics)}-{partitions}")
        self.topics[name] = Topic(name, topic_id, {n: (BrokerId(1),) for n in range(partitions)})
        self.publish()

    def grow_topic(self, name: str, partitions: int) -> None:
        assignment = {number: (BrokerId(1),) for number in range(partitions)}
        self.topics[name] = replace(self.topics[name], assignment=assignment)
        self.publish()

    def publish(self) -> None:
        topics = {
            name: TopicAt(topic, hash(topic.topic_id) & 0xFFFF)
            for name, topic in self.topics.items()
        }
        self.view.replace(ClusterPicture("c", None, dict(self.brokers), topics))

    def start(self, broker_id: int = 1) -> GroupCoordinator:
        async def look(group: str) -> None:
            self.looked_for.append(group)

        async def catch_up() -> None:
            self.checks += 1

        store = self.stores[broker_id] = self.groups.member()
        coordinator = GroupCoordinator(
            self.view,
            store,
            self.clock,
            lambda: BrokerId(broker_id),
            self.options,
            is_here=lambda group: self.is_here(broker_id, group),
            look=look,
            catch_up=catch_up,
        )
        coordinator.start()
        self._made.append(coordinator)
        return coordinator


@dataclass
class Consumer:
    """A member that says what it owns, and owns what it was told last."""

    name: str
    group: str = "g"
    topics: tuple[str, ...] = ("t",)
    session_timeout_ms: int = SESSION_MS
    epoch: int = 0
    owned: set[TopicPartition] = field(default_factory=set)
    state: str = ""

    async def beat(self, coordinator: GroupCoordinator, *, max_wait_ms: int = 0) -> set[int]:
        """Send a heartbeat and do as it is told; gives the partitions of its first topic."""
        answer = await coordinator.heartbeat(self.group, self.request(max_wait_ms), "host")
        self.take(answer)
        return {partition.partition for partition in self.owned}

    def request(self, max_wait_ms: int = 0) -> HeartbeatRequest:
        return HeartbeatRequest(
            member_id=self.name,
            member_epoch=self.epoch,
            client_id="client",
            topics=list(self.topics),
            session_timeout_ms=self.session_timeout_ms,
            owned=[
                TopicPartitions(topic, sorted(p.partition for p in self.owned if p.topic == topic))
                for topic in sorted({partition.topic for partition in self.owned})
            ],
            max_wait_ms=max_wait_ms,
        )

    def take(self, answer: HeartbeatResponse) -> None:
        assert answer.member_id == self.name
        self.epoch = answer.member_epoch
        self.state = answer.state
        self.owned = {
            TopicPartition(each.topic, number)
            for each in answer.assignment
            for number in each.partitions
        }

    async def leave(self, coordinator: GroupCoordinator) -> None:
        request = HeartbeatRequest(member_id=self.name, member_epoch=-1)
        await coordinator.heartbeat(self.group, request, "host")
        self.epoch, self.owned = 0, set()

    async def commit(
        self, coordinator: GroupCoordinator, offset: int, *partitions: int
    ) -> list[type[LogError] | None]:
        request = commit_request(offset, *partitions, member=self.name, epoch=self.epoch)
        results = await coordinator.commit(self.group, request)
        return [None if error is None else type(error) for error in results]


def commit_request(
    offset: int, *partitions: int, member: str = "", epoch: int = -1, topic: str = "t"
) -> OffsetCommitRequest:
    return OffsetCommitRequest(
        [OffsetToCommit(topic, partition, offset) for partition in partitions], member, epoch
    )


async def settle(coordinator: GroupCoordinator, *consumers: Consumer) -> None:
    """Have consumers send heartbeats until the group is stable."""
    for _ in range(20):
        for consumer in consumers:
            await consumer.beat(coordinator)
        if all(consumer.state == "Stable" for consumer in consumers):
            return
    raise AssertionError("the group does not settle")


async def refused(call: Awaitable[object]) -> type[LogError]:
    """What a call is refused with."""
    try:
        await call
    except LogError as error:
        return type(error)
    raise AssertionError("it was not refused")
