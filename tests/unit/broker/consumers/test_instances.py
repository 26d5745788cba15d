"""The table of instances: two brokers over one store, as after a death."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, cast

import pytest

from kafkalite.broker.consumers.definition import ConsumerDefinition
from kafkalite.broker.consumers.errors import ConsumerExistsError, ConsumerNotFoundError
from kafkalite.broker.consumers.instance import ConsumerWorld
from kafkalite.broker.consumers.instances import FORGET_MS, ConsumerInstances
from kafkalite.broker.consumers.messenger import Messengers
from kafkalite.broker.metadata_view import ClusterUpdate
from kafkalite.model.cluster import Broker
from kafkalite.model.ids import BrokerId, TopicPartition
from kafkalite.wire.rest_records import EmbeddedFormat
from tests.support.fake_clock import FakeClock
from tests.support.fake_consumers import (
    FakeGroups,
    FakeInstanceStore,
    FakeMessengers,
    FakePartitions,
)

_PLACE: Final = TopicPartition("t", 0)
_JSON: Final = ConsumerDefinition(format=EmbeddedFormat.JSON)


class _Cluster:
    """Makes brokers that share all but what they have in memory."""

    def __init__(self) -> None:
        self.store = FakeInstanceStore()
        self.groups = FakeGroups()
        self.partitions = FakePartitions(_PLACE)
        self.view = self.partitions.view()
        self.clock = FakeClock(10 * FORGET_MS)
        self.is_ours = True
        self.timeout_ms = 300_000
        self._started: list[ConsumerInstances] = []

    def broker(self) -> ConsumerInstances:
        made = ConsumerInstances(
            ConsumerWorld(
                self.groups,
                self.partitions,
                self.partitions,
                self.view,
                cast("Messengers", FakeMessengers()),
                45_000,
            ),
            self.store,
            self.clock,
            is_ours=lambda _: self.is_ours,
            instance_timeout_ms=lambda: self.timeout_ms,
        )
        made.start()
        self._started.append(made)
        return made

    async def close(self) -> None:
        for each in self._started:
            await each.stop()


def run(scenario: Callable[[_Cluster], Awaitable[None]]) -> None:
    async def whole() -> None:
        cluster = _Cluster()
        try:
            await scenario(cluster)
        finally:
            await cluster.close()

    asyncio.run(whole())


def test_another_broker_finds_an_instance_with_all_that_it_is() -> None:
    async def scenario(cluster: _Cluster) -> None:
        first, second = cluster.broker(), cluster.broker()
        assert await first.create("g", "c", _JSON) == "c"
        cluster.groups.assign(_PLACE)
        await (await first.find("g", "c")).subscribe(["t"], None)
        found = await second.find("g", "c")
        assert found.definition.topics == ("t",)
        assert found.definition.format is EmbeddedFormat.JSON
        await second.delete("g", "c")
        with pytest.raises(ConsumerNotFoundError):
            await second.find("g", "c")
        assert cluster.store.stored == {}

    run(scenario)


def test_name_is_taken_in_its_group_only_and_on_every_broker() -> None:
    async def scenario(cluster: _Cluster) -> None:
        first, second = cluster.broker(), cluster.broker()
        await first.create("g", "c", _JSON)
        await first.create("h", "c", _JSON)
        for broker in (first, second):
            with pytest.raises(ConsumerExistsError):
                await broker.create("g", "c", _JSON)
        made_up = [await first.create("g", None, _JSON) for _ in range(2)]
        assert len(set(made_up)) == 2

    run(scenario)


def test_the_same_instance_may_take_a_name_over_where_that_is_allowed() -> None:
    async def scenario(cluster: _Cluster) -> None:
        broker = cluster.broker()
        await broker.create("g", "c", _JSON)
        await (await broker.find("g", "c")).subscribe(["t"], None)
        other = ConsumerDefinition()
        with pytest.raises(ConsumerExistsError):
            await broker.create("g", "c", other, may_take_over=True)
        await broker.create("g", "c", _JSON, may_take_over=True)
        assert (await broker.find("g", "c")).definition.topics == ()

    run(scenario)


@pytest.mark.slow
def test_idle_instance_leaves_the_group_and_goes_on_with_the_next_request() -> None:
    async def scenario(cluster: _Cluster) -> None:
        broker = cluster.broker()
        await broker.create("g", "c", _JSON)
        instance = await broker.find("g", "c")
        cluster.groups.assign(_PLACE)
        await instance.subscribe(["t"], None)
        cluster.timeout_ms = 0
        async with asyncio.timeout(10):
            while b"idle_since_ms" not in cluster.store.stored["g", "c"]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        cluster.timeout_ms = 300_000
        assert cluster.groups.heartbeats[-1].member_epoch == -1
        again = await broker.find("g", "c")
        assert again is not instance
        assert again.definition.topics == ("t",)
        assert b"idle_since_ms" not in cluster.store.stored["g", "c"]

    run(scenario)


def test_name_of_an_instance_whose_client_is_long_gone_is_free() -> None:
    async def scenario(cluster: _Cluster) -> None:
        broker = cluster.broker()
        idle = ConsumerDefinition(idle_since_ms=cluster.clock.now_ms)
        forgotten = ConsumerDefinition(idle_since_ms=cluster.clock.now_ms - FORGET_MS - 1)
        cluster.store.stored = {("g", "c"): idle.encode(), ("g", "d"): forgotten.encode()}
        await broker.create("g", "c", _JSON)
        assert set(cluster.store.stored) == {("g", "c")}

    run(scenario)


def test_instances_are_let_go_when_another_broker_coordinates_their_group() -> None:
    async def scenario(cluster: _Cluster) -> None:
        broker = cluster.broker()
        await broker.create("g", "c", _JSON)
        before = await broker.find("g", "c")
        cluster.is_ours = False
        new = Broker(BrokerId(5), "h", 1, epoch=3)
        cluster.view.apply(ClusterUpdate(brokers={new.id: new}))
        assert await broker.find("g", "c") is not before

    run(scenario)


def test_definition_that_cannot_be_read_is_left_alone() -> None:
    async def scenario(cluster: _Cluster) -> None:
        broker = cluster.broker()
        cluster.store.stored = {("g", "new"): b'{"version":2}', ("g", "bad"): b"\xff"}
        for name in ("new", "bad"):
            with pytest.raises(ConsumerNotFoundError):
                await broker.find("g", name)
        assert len(cluster.store.stored) == 2

    run(scenario)
