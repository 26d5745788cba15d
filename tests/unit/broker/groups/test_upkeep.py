"""What is done about groups without being asked."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from kafkalite.broker.groups.coordinator import GroupCoordinator
from kafkalite.broker.groups.options import GroupOptions
from kafkalite.broker.groups.ports import CommittedOffset
from kafkalite.broker.system_clock import SystemClock
from kafkalite.groups.limits import GroupLimits
from kafkalite.model.errors import UnknownTopicOrPartitionError
from kafkalite.model.ids import TopicPartition
from tests.support.group_coordinators import Consumer, Coordinators, commit_request, settle

_T0 = TopicPartition("t", 0)
_DEADLINE_S = 10.0
_WEEK_MS = 7 * 24 * 3_600_000


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kafkalite.broker.groups.upkeep._PAUSE_S", 0.001)


def _run(scenario: Callable[[Coordinators], Awaitable[None]], cluster: Coordinators) -> None:
    async def inside() -> None:
        async with cluster, asyncio.timeout(_DEADLINE_S):
            await scenario(cluster)

    asyncio.run(inside())


async def _until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - of whatever there is, none of which tells
        await asyncio.sleep(0.001)


async def _as_time_goes(cluster: Coordinators, condition: Callable[[], object]) -> None:
    """As `_until`; the clock moves meanwhile, since a look may just have read it as it was."""
    while not condition():
        cluster.fake_clock.now_ms += 2
        await asyncio.sleep(0.001)


async def _begin(cluster: Coordinators, *groups: str) -> GroupCoordinator:
    """A coordinator of groups of simple consumers, which have committed an offset each."""
    coordinator = cluster.start()
    for group in groups:
        await coordinator.commit(group, commit_request(5, 0))
    return coordinator


def test_groups_whose_coordinator_is_gone_are_adopted_and_their_dead_found() -> None:
    async def scenario(cluster: Coordinators) -> None:
        old = cluster.start(1)
        await settle(
            old, Consumer("m", session_timeout_ms=50), Consumer("n", session_timeout_ms=50)
        )
        await old.commit("simple", commit_request(1, 0))
        await old.stop()
        new = cluster.start(2)
        await _until(lambda: new.held_groups)
        await _until(lambda: not cluster.groups.history[-1][1].members)
        assert new.held_groups == 1  # nobody needs the other one
        assert (await new.describe("g")).members == ()

    _run(scenario, Coordinators(clock=SystemClock()))


def test_groups_of_other_brokers_are_left_alone() -> None:
    async def scenario(cluster: Coordinators) -> None:
        old = cluster.start(1)
        await settle(old, Consumer("m"), Consumer("m", group="h"))
        await settle(old, Consumer("m", group="h"))
        await old.stop()
        cluster.is_here = lambda _broker, group: group == "h"
        new = cluster.start(2)
        await _until(lambda: new.held_groups)
        assert cluster.groups.groups["g"].stored is not None
        assert cluster.groups.groups["g"].stored.coordinator == 1
        cluster.is_here = lambda _broker, _group: True
        cluster.brokers.popitem()
        cluster.publish()
        await _until(lambda: new.held_groups == 2)

    _run(scenario, Coordinators())


def test_offsets_go_with_their_topic() -> None:
    async def scenario(cluster: Coordinators) -> None:
        cluster.make_topic("u", 1)
        coordinator = await _begin(cluster, "g", "h", "only-t")
        for group in ("g", "h"):
            await coordinator.commit(group, commit_request(3, 0, topic="u"))
        del cluster.topics["t"]
        cluster.publish()
        await _until(
            lambda: not any(_T0 in each.offsets for each in cluster.groups.groups.values())
        )
        assert (await coordinator.committed("g")).keys() == {TopicPartition("u", 0)}
        assert await coordinator.committed("only-t") == {}

    _run(scenario, Coordinators())


def test_offsets_of_a_topic_do_not_pass_to_one_of_the_same_name() -> None:
    async def scenario(cluster: Coordinators) -> None:
        coordinator = await _begin(cluster, "g")
        cluster.stores[1].gate.clear()
        cluster.make_topic("t", 3)  # deleted and made anew, between two looks
        errors = await coordinator.commit("g", commit_request(9, 0))
        # It could not be told from the old one.
        assert isinstance(errors[0], UnknownTopicOrPartitionError)
        cluster.stores[1].gate.set()
        await _until(lambda: not cluster.groups.groups["g"].offsets)
        commit = commit_request(1, 0)
        while (await coordinator.commit("g", commit))[0] is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        assert await coordinator.committed("g") == {_T0: CommittedOffset(1)}

    _run(scenario, Coordinators())


@pytest.mark.parametrize("is_asked_first", [True, False], ids=["read", "committed to"])
def test_offsets_of_a_topic_that_was_made_anew_while_nobody_looked_are_nobodys(
    is_asked_first: bool,
) -> None:
    async def scenario(cluster: Coordinators) -> None:
        first = await _begin(cluster, "g")
        await first.commit("g", commit_request(9, 0, 1))
        await first.stop()
        cluster.make_topic("t", 3)
        second = cluster.start(2)
        if is_asked_first:
            assert await second.committed("g") == {}
        assert await second.commit("g", commit_request(2, 1)) == [None]
        assert await second.committed("g") == {TopicPartition("t", 1): CommittedOffset(2)}
        assert cluster.groups.groups["g"].offsets.keys() == {TopicPartition("t", 1)}

    _run(scenario, Coordinators())


def test_a_topic_that_grows_keeps_its_offsets() -> None:
    async def scenario(cluster: Coordinators) -> None:
        coordinator = await _begin(cluster, "g")
        cluster.grow_topic("t", 9)
        assert await coordinator.commit("g", commit_request(6, 8)) == [None]
        assert len(await coordinator.committed("g")) == 2

    _run(scenario, Coordinators())


def test_what_could_not_be_done_is_done_later() -> None:
    async def scenario(cluster: Coordinators) -> None:
        cluster.make_topic("u", 1)
        coordinator = await _begin(cluster, "g")
        cluster.stores[1].is_available = False
        del cluster.topics["t"]
        cluster.publish()
        await asyncio.sleep(0.01)
        assert cluster.groups.groups["g"].offsets
        coordinator.suspend()
        cluster.stores[1].is_available = True
        coordinator.resume()
        await _until(lambda: not cluster.groups.groups["g"].offsets)

    _run(scenario, Coordinators())


def _checking() -> Coordinators:
    """Looks for what is a week old as soon as the clock has moved."""
    limits = GroupLimits(min_session_timeout_ms=1, max_session_timeout_ms=2**31 - 1)
    options = GroupOptions(limits, check_interval_ms=1, retention_ms=_WEEK_MS)
    return Coordinators(options=options)


def test_a_group_that_nobody_uses_goes_after_the_time_of_retention() -> None:
    async def scenario(cluster: Coordinators) -> None:
        coordinator = await _begin(cluster, "old", "younger")
        member = Consumer("m", group="busy", session_timeout_ms=3 * _WEEK_MS)
        await settle(coordinator, member)
        cluster.fake_clock.now_ms += _WEEK_MS + 1
        cluster.groups.wall_ms = cluster.fake_clock.now_ms - 5_000
        await coordinator.commit("younger", commit_request(6, 1))
        await _as_time_goes(cluster, lambda: "old" not in cluster.groups.groups)
        assert await coordinator.group_ids() == ["busy", "younger"]
        assert await coordinator.committed("old") == {}
        assert len(await coordinator.committed("younger")) == 2
        await member.beat(coordinator)

    cluster = _checking()
    cluster.groups.wall_ms = cluster.fake_clock.now_ms
    _run(scenario, cluster)


def test_a_group_whose_members_left_just_now_stays() -> None:
    async def scenario(cluster: Coordinators) -> None:
        coordinator = cluster.start()
        member = Consumer("m", session_timeout_ms=2 * _WEEK_MS)
        await settle(coordinator, member)
        await member.commit(coordinator, 1, 0)
        cluster.fake_clock.now_ms += _WEEK_MS + 1
        cluster.groups.wall_ms = cluster.fake_clock.now_ms + 60_000
        await member.leave(coordinator)
        for _ in range(3):
            before = cluster.checks
            await _as_time_goes(cluster, lambda: cluster.checks > before)  # noqa: B023 - at once
        assert await coordinator.group_ids() == ["g"]
        cluster.fake_clock.now_ms += _WEEK_MS + 60_000
        await _as_time_goes(cluster, lambda: "g" not in cluster.groups.groups)

    cluster = _checking()
    cluster.groups.wall_ms = cluster.fake_clock.now_ms
    _run(scenario, cluster)


def test_offsets_of_topics_that_went_while_nobody_looked_are_found() -> None:
    async def scenario(cluster: Coordinators) -> None:
        cluster.groups.group("g").offsets[TopicPartition("long-gone", 0)] = CommittedOffset(1)
        cluster.groups.group("g").offsets[_T0] = CommittedOffset(1)
        cluster.groups.group("g").committed_ms[_T0] = cluster.fake_clock.now_ms
        coordinator = cluster.start()
        cluster.fake_clock.now_ms += 10
        await _until(lambda: len(cluster.groups.groups["g"].offsets) == 1)
        assert await coordinator.committed("g") == {_T0: CommittedOffset(1)}

    _run(scenario, _checking())


def test_groups_that_nobody_asks_for_are_not_held() -> None:
    async def scenario(cluster: Coordinators) -> None:
        coordinator = await _begin(cluster, "a", "b")
        await settle(coordinator, Consumer("m", session_timeout_ms=1_000))
        assert coordinator.held_groups == 3
        cluster.fake_clock.now_ms += 50
        await _until(lambda: coordinator.held_groups == 1)
        assert await coordinator.commit("a", commit_request(7, 0)) == [None]

    cluster = _checking()
    cluster.groups.wall_ms = cluster.fake_clock.now_ms
    _run(scenario, cluster)
