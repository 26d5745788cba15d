"""Coordinators of groups over one store: who owns what, who may commit, who is told what."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from kafkalite.broker.groups.coordinator import GroupCoordinator
from kafkalite.broker.groups.options import GroupOptions
from kafkalite.broker.groups.ports import CommittedOffset, MirroredMember
from kafkalite.broker.system_clock import SystemClock
from kafkalite.groups.limits import GroupLimits
from kafkalite.groups.state import NEW_GROUP_VERSION, GroupPhase
from kafkalite.model.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    FencedMemberEpochError,
    GroupIdNotFoundError,
    GroupSubscribedToTopicError,
    InvalidGroupIdError,
    NonEmptyGroupError,
    NotCoordinatorError,
    OffsetMetadataTooLargeError,
    StaleMemberEpochError,
    ThrottlingQuotaExceededError,
    UnknownMemberIdError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.group_messages import HeartbeatRequest, OffsetCommitRequest, OffsetToCommit
from tests.support.group_coordinators import (
    SESSION_MS,
    Consumer,
    Coordinators,
    commit_request,
    refused,
    settle,
)

_T0 = TopicPartition("t", 0)
_DEADLINE_S = 10.0


def _run(
    scenario: Callable[[Coordinators], Awaitable[None]], coordinators: Coordinators | None = None
) -> None:
    async def inside() -> None:
        async with coordinators or Coordinators() as cluster, asyncio.timeout(_DEADLINE_S):
            await scenario(cluster)

    asyncio.run(inside())


async def _until(condition: Callable[[], object]) -> None:
    for _ in range(1_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it does not happen")


# -- members ---------------------------------------------------------------------------------------


def test_members_share_the_partitions_and_one_that_leaves_makes_room() -> None:
    async def scenario(cluster: Coordinators) -> None:
        coordinator = cluster.start()
        one, two = Consumer("one"), Consumer("two")
        assert await one.beat(coordinator) == {0, 1, 2, 3}
        await settle(coordinator, one, two)
        assert len(one.owned) == len(two.owned) == 2
        assert not one.owned & two.owned
        await two.leave(coordinator)
        await settle(coordinator, one)
        assert len(one.owned) == 4

    _run(scenario)


def test_who_joins_without_a_name_is_given_one() -> None:
    async def scenario(cluster: Coordinators) -> None:
        coordinator = cluster.start()
        answer = await coordinator.heartbeat("g", HeartbeatRequest(topics=["t"]), "host")
        assert len(answer.member_id) == 36
        assert (answer.coordinator_id, answer.coordinator_url) == (1, "http://h:1")
        nameless = HeartbeatRequest(member_epoch=3)
        assert await refused(coordinator.heartbeat("g", nameless, "host")) is UnknownMemberIdError

    _run(scenario)


def test_nothing_is_made_of_a_group_that_only_strangers_ask_for() -> None:
    async def scenario(cluster: Coordinators) -> None:
        coordinator = cluster.start()
        stranger = HeartbeatRequest(member_id="m", member_epoch=4)
        assert await refused(coordinator.heartbeat("g", stranger, "host")) is UnknownMemberIdError
        commit = commit_request(1, 0, member="m", epoch=4)
        assert await refused(coordinator.commit("g", commit)) is UnknownMemberIdError
        assert await refused(coordinator.describe("g")) is GroupIdNotFoundError
        assert await refused(coordinator.delete("g")) is GroupIdNotFoundError
        assert await refused(coordinator.commit("", commit)) is InvalidGroupIdError
        assert cluster.groups.groups == {}

    _run(scenario)


def test_heartbeats_of_one_turn_are_stored_together_and_answered_after_that() -> None:
    async def scenario(cluster: Coordinators) -> None:
        coordinator = cluster.start()
        await Consumer("first").beat(coordinator)
        store = cluster.stores[1]
        before = len(cluster.groups.history)
        store.gate.clear()
        consumers = [Consumer(f"m{number}") for number in range(50)]
        beats = [asyncio.create_task(each.beat(coordinator)) for each in consumers]
        await _until(lambda: store.waiting_writes)
        for _ in range(20):
            await asyncio.sleep(0)
        assert not any(beat.done() for beat in beats)
        store.gate.set()
        await asyncio.gather(*beats)
        assert len(cluster.groups.history) == before + 1
        assert len(cluster.groups.history[-1][1].members) == 51

    _run(scenario)


# -- waiting for news ------------------------------------------------------------------------------


def test_a_heartbeat_without_news_waits_and_is_woken_by_another_member() -> None:
    async def scenario(cluster: Coordinators) -> None:
        coordinator = cluster.start()
        one, two = Consumer("one"), Consumer("two")
        await settle(coordinator, one)
        waiting = asyncio.create_task(one.beat(coordinator, max_wait_ms=5_000))
        await _until(lambda: coordinator.waiting_heartbeats)
        await two.beat(coordinator)
        assert len(await waiting) == 2
        assert coordinator.waiting_heartbeats == 0

    _run(scenario)


def test_a_heartbeat_with_news_is_answered_at_once() -> None:
    async def scenario(cluster: Coordinators) -> None:
        coordinator = cluster.start()
        one, two = Consumer("one"), Consumer("two")
        await settle(coordinator, one)
        await two.beat(coordinator)  # one has to let go of two
        assert len(await one.beat(coordinator, max_wait_ms=5_000)) == 2
        # Which it says now, and two is told.
        waiting = asyncio.create_task(two.beat(coordinator, max_wait_ms=5_000))
        await _until(lambda: coordinator.waiting_heartbeats)
        await one.beat(coordinator)
        assert len(await waiting) == 2

    _run(scenario)


def test_a_member_that_asks_again_does_not_wait_twice() -> None:
    async def scenario(cluster: Coordinators) -> None:
        coordinator = cluster.start()
        one = Consumer("one")
        await settle(coordinator, one)
        first = asyncio.create_task(one.beat(coordinator, max_wait_ms=5_000))
        await _until(lambda: coordinator.waiting_heartbeats)
        second = asyncio.create_task(one.beat(coordinator, max_wait_ms=5_000))
        await first
        assert coordinator.waiting_heartbeats == 1
        coordinator.stop_waiting()
        await second

    _run(scenario)


def test_no_more_wait_than_may() -> None:
    options = GroupOptions(max_waiting_heartbeats=1)

    async def scenario(cluster: Coordinators) -> None:
        coordinator = cluster.start()
        one, two = Consumer("one"), Consumer("two")
        await settle(coordinator, one, two)
        waiting = asyncio.create_task(one.beat(coordinator, max_wait_ms=5_000))
        await _until(lambda: coordinator.waiting_heartbeats)
        await two.beat(coordinator, max_wait_ms=5_000)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert coordinator.waiting_heartbeats == 0

    _run(scenario, Coordinators(options=options))


def test_the_partitions_of_a_dead_member_go_to_one_that_waits() -> None:
    async def scenario(cluster: Coordinators) -> None:
        coordinator = cluster.start()
        dead = Consumer("dead", session_timeout_ms=60)
        alive = Consumer("alive", session_timeout_ms=60_000)
        await settle(coordinator, dead, alive)
        while len(await alive.beat(coordinator, max_wait_ms=5_000)) < 4:
            pass  # each answer is a step: it joined, the other one is out, it has all
        assert await refused(dead.beat(coordinator)) is UnknownMemberIdError
        assert await dead.commit(coordinator, 1, 0) == [UnknownMemberIdError]

    _run(scenario, Coordinators(clock=SystemClock()))


def test_new_partitions_are_given_to_those_that_wait() -> None:
    async def scenario(cluster: Coordinators) -> None:
        coordinator = cluster.start()
        one = Consumer("one", topics=("t", "later"))
        await settle(coordinator, one)
        waiting = asyncio.create_task(one.beat(coordinator, max_wait_ms=5_000))
        await _until(lambda: coordinator.waiting_heartbeats)
        cluster.grow_topic("t", 6)
        assert await waiting == set(range(6))
        waiting = asyncio.create_task(one.beat(coordinator, max_wait_ms=5_000))
        await _until(lambda: coordinator.waiting_heartbeats)
        cluster.make_topic("later", 1)
        await waiting
        assert TopicPartition("later", 0) in one.owned

    _run(scenario)


# -- two coordinators ------------------------------------------------------------------------------


def test_a_coordinator_that_is_replaced_can_neither_store_nor_commit() -> None:
    """GRP-11: loading a group writes it, so whoever had it before can write nothing any more."""

    async def scenario(cluster: Coordinators) -> None:
        old, new = cluster.start(1), cluster.start(2)
        one, two = Consumer("one"), Consumer("two")
        await settle(old, one)
        assert await one.commit(old, 5, 0) == [None]
        cluster.is_here = lambda broker, _group: broker == 2
        await one.beat(new)
        # The old one still believes; whatever changes something fails.
        assert await refused(old.commit("g", _commit_of(one, 9, 0))) is NotCoordinatorError
        assert await old.committed("g") == {_T0: CommittedOffset(5)}
        assert await one.commit(new, 6, 0) == [None]
        assert old.held_groups == 0
        # Who is asked all the same takes the group back, and the other one is the fenced one then.
        assert await two.beat(old) == set()
        assert await refused(new.commit("g", _commit_of(one, 9, 0))) is NotCoordinatorError
        assert await old.committed("g") == {_T0: CommittedOffset(6)}

    _run(scenario)


def _commit_of(consumer: Consumer, offset: int, *partitions: int) -> OffsetCommitRequest:
    return commit_request(offset, *partitions, member=consumer.name, epoch=consumer.epoch)


def test_no_partition_has_two_owners_when_two_coordinate() -> None:
    async def scenario(cluster: Coordinators) -> None:
        pair = [cluster.start(1), cluster.start(2)]
        consumers = [Consumer(f"m{number}") for number in range(4)]
        for turn in range(120):
            beats = []
            for number, consumer in enumerate(consumers):
                coordinator = pair[(turn * 7 + number * (turn % 3)) // 5 % 2]
                beats.append(_beat_or_rejoin(consumer, coordinator))
                if (turn + number) % 4 == 0:
                    await asyncio.gather(*beats)
                    beats = []
            await asyncio.gather(*beats)
            owned = [partition for consumer in consumers for partition in consumer.owned]
            assert len(owned) == len(set(owned)), "GRP-1"
        for _, state in cluster.groups.history:
            held = [partition for member in state.members.values() for partition in member.held]
            assert len(held) == len(set(held)), "GRP-1"
        versions = [state.version for _, state in cluster.groups.history]
        assert versions == list(range(len(versions))), "one writer a version"
        await settle(pair[0], *consumers)

    _run(scenario)


async def _beat_or_rejoin(consumer: Consumer, coordinator: GroupCoordinator) -> None:
    try:
        await consumer.beat(coordinator)
    except (NotCoordinatorError, CoordinatorLoadInProgressError, CoordinatorNotAvailableError):
        pass
    except (UnknownMemberIdError, FencedMemberEpochError):
        consumer.epoch, consumer.owned = 0, set()


def test_a_coordinator_that_only_keeps_members_looks_whether_it_is_still_the_one() -> None:
    """GRP-14: what is not stored meets no conflict."""

    async def scenario(cluster: Coordinators) -> None:
        old, new = cluster.start(1), cluster.start(2)
        one, two = Consumer("one"), Consumer("two")
        await settle(old, one)
        cluster.is_here = lambda broker, _group: broker == 2
        await two.beat(new)
        cluster.fake_clock.now_ms += SESSION_MS // 3
        assert await refused(one.beat(old)) is NotCoordinatorError
        await settle(new, one, two)
        assert len(one.owned) == 2

    _run(scenario)


@pytest.mark.parametrize(
    "ask",
    [
        lambda old, _, late: old.heartbeat("g", late.request(), "host"),
        lambda old, one, _: old.heartbeat("g", one.request(), "host"),
        lambda old, _, late: old.commit("g", _commit_of(late, 9, 0)),
        lambda old, one, _: old.commit("g", _commit_of(one, 9, 0)),
    ],
    ids=["heartbeat of a stranger", "newer epoch", "commit of a stranger", "its newer epoch"],
)
def test_a_coordinator_of_the_past_puts_nobody_out(
    ask: Callable[[GroupCoordinator, Consumer, Consumer], Awaitable[object]],
) -> None:
    """GRP-15: members and epochs that it has not heard of may be those of the present one."""

    async def scenario(cluster: Coordinators) -> None:
        old, new = cluster.start(1), cluster.start(2)
        one, late = Consumer("one"), Consumer("late")
        await settle(old, one)
        cluster.is_here = lambda broker, _group: broker == 2
        await settle(new, one, late)
        assert await refused(ask(old, one, late)) is NotCoordinatorError

    _run(scenario)


def test_a_quiet_group_is_not_looked_up_with_every_heartbeat() -> None:
    async def scenario(cluster: Coordinators) -> None:
        coordinator = cluster.start()
        one = Consumer("one")
        await settle(coordinator, one)
        cluster.stores[1].is_available = False  # so that a look would be noticed
        cluster.fake_clock.now_ms += SESSION_MS // 5
        await one.beat(coordinator)
        cluster.fake_clock.now_ms += SESSION_MS // 5
        assert await refused(one.beat(coordinator)) is CoordinatorNotAvailableError

    _run(scenario)


def test_members_have_a_whole_session_when_their_coordinator_changes() -> None:
    async def scenario(cluster: Coordinators) -> None:
        old = cluster.start(1)
        one, two = Consumer("one"), Consumer("two")
        await settle(old, one, two)
        await old.stop()
        cluster.fake_clock.now_ms += SESSION_MS * 3
        new = cluster.start(2)
        await one.beat(new)
        cluster.fake_clock.now_ms += SESSION_MS - 1
        await two.beat(new)
        assert await two.commit(new, 1, *(p.partition for p in two.owned)) == [None, None]

    _run(scenario)


def test_a_member_that_the_former_coordinator_heard_last_has_its_whole_session() -> None:
    """GRP-14: for a part of a session both may answer; the present one does not hear them all."""

    async def scenario(cluster: Coordinators) -> None:
        old, new = cluster.start(1), cluster.start(2)
        short = Consumer("short", session_timeout_ms=40)
        long = Consumer("long", session_timeout_ms=400)
        await settle(old, short, long)
        await long.beat(new)  # it coordinates from now on, and the old one has not noticed
        cluster.fake_clock.now_ms += 8
        await long.beat(old)
        cluster.fake_clock.now_ms += 399
        async with asyncio.timeout(5):
            while len(members := (await new.describe("g")).members) > 1:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        assert [member.id for member in members] == ["long"]

    _run(scenario)


# -- commits ---------------------------------------------------------------------------------------


def test_a_member_commits_what_it_holds_and_nothing_else() -> None:
    async def scenario(cluster: Coordinators) -> None:
        coordinator = cluster.start()
        one, two = Consumer("one"), Consumer("two")
        await settle(coordinator, one, two)
        own = sorted(partition.partition for partition in one.owned)
        others = sorted(partition.partition for partition in two.owned)
        results = await one.commit(coordinator, 7, own[0], others[0], own[1])
        assert results == [None, FencedMemberEpochError, None]
        assert set(await coordinator.committed("g")) == one.owned
        stale = Consumer("one", epoch=one.epoch - 1)
        assert await stale.commit(coordinator, 9, own[0]) == [StaleMemberEpochError]
        unknown = await coordinator.commit("g", commit_request(9, own[0]))
        assert isinstance(unknown[0], UnknownMemberIdError)

    _run(scenario)


def test_a_simple_consumer_commits_where_there_are_no_members() -> None:
    async def scenario(cluster: Coordinators) -> None:
        coordinator = cluster.start()
        request = OffsetCommitRequest(
            [
                OffsetToCommit("t", 0, 5, 2, "here"),
                OffsetToCommit("t", 1, 6, metadata="x" * 4097),
                OffsetToCommit("t", 9, 6),
                OffsetToCommit("nope", 0, 6),
                OffsetToCommit("t", 0, 4),
            ]
        )
        errors = await coordinator.commit("g", request)
        assert [error and type(error) for error in errors] == [
            None,
            OffsetMetadataTooLargeError,
            UnknownTopicOrPartitionError,
            UnknownTopicOrPartitionError,
            None,
        ]
        assert await coordinator.committed("g") == {_T0: CommittedOffset(4)}
        assert (await coordinator.describe("g")).phase is GroupPhase.EMPTY

    _run(scenario)


def test_a_commit_is_judged_by_the_state_that_it_is_written_under() -> None:
    """A member that lets go while its commit waits does not commit what another one has by then."""

    async def scenario(cluster: Coordinators) -> None:
        coordinator = cluster.start()
        one, two = Consumer("one"), Consumer("two")
        await settle(coordinator, one)
        await two.beat(coordinator)
        kept = await one.beat(coordinator)
        before = Consumer("one", epoch=one.epoch)  # it may still commit all that it had
        store = cluster.stores[1]
        store.gate.clear()
        letting_go = asyncio.create_task(one.beat(coordinator))  # being stored: two has them
        await _until(lambda: store.waiting_writes)
        lost = ({0, 1, 2, 3} - kept).pop()
        late = asyncio.create_task(before.commit(coordinator, 99, lost))
        for _ in range(10):
            await asyncio.sleep(0)
        assert store.rounds == []  # it waits for its turn
        store.gate.set()
        assert (await late)[0] in {FencedMemberEpochError, StaleMemberEpochError}
        await letting_go
        assert await coordinator.committed("g") == {}

    _run(scenario)


def test_commits_of_many_members_and_groups_are_written_together() -> None:
    async def scenario(cluster: Coordinators) -> None:
        coordinator = cluster.start()
        consumers = [Consumer(f"m{n}", group=f"g{n % 10}") for n in range(40)]
        for number in range(10):
            await settle(coordinator, *[c for c in consumers if c.group == f"g{number}"])
        results = await asyncio.gather(
            *(c.commit(coordinator, 3, *(p.partition for p in c.owned)) for c in consumers)
        )
        assert results == [[None]] * 40
        assert cluster.stores[1].rounds == [10]
        assert coordinator.committed_calls == 40

    _run(scenario)


def test_the_last_of_several_commits_of_one_turn_counts() -> None:
    async def scenario(cluster: Coordinators) -> None:
        coordinator = cluster.start()
        for offsets in ((1, 2, 3), (9, 8, 7)):
            await asyncio.gather(
                *(coordinator.commit("g", commit_request(offset, 0)) for offset in offsets)
            )
            assert await coordinator.committed("g") == {_T0: CommittedOffset(offsets[-1])}

    _run(scenario)


def test_no_more_offsets_wait_than_may() -> None:
    async def scenario(cluster: Coordinators) -> None:
        coordinator = cluster.start()
        await coordinator.commit("g", commit_request(1, 0))
        cluster.stores[1].gate.clear()
        waiting = [
            asyncio.create_task(coordinator.commit("g", commit_request(2, number)))
            for number in range(3)
        ]
        await _until(lambda: cluster.stores[1].waiting_writes)
        call = coordinator.commit("g", commit_request(2, 0))
        assert await refused(call) is ThrottlingQuotaExceededError
        cluster.stores[1].gate.set()
        await asyncio.gather(*waiting)
        await coordinator.commit("g", commit_request(3, 0))

    _run(scenario, Coordinators(options=GroupOptions(max_gathered_offsets=3)))


# -- a store that is not there ---------------------------------------------------------------------


def test_a_lost_answer_is_no_answer_and_the_group_is_read_anew() -> None:
    async def scenario(cluster: Coordinators) -> None:
        coordinator = cluster.start()
        one, two = Consumer("one"), Consumer("two")
        await settle(coordinator, one)
        store = cluster.stores[1]
        store.loses_answers = 1
        assert await refused(two.beat(coordinator)) is CoordinatorNotAvailableError
        await settle(coordinator, one, two)
        store.loses_answers = 1
        call = coordinator.commit("g", _commit_of(one, 5, *(p.partition for p in one.owned)))
        assert await refused(call) is CoordinatorNotAvailableError
        assert len(await coordinator.committed("g")) == 2
        assert await one.commit(coordinator, 6, *(p.partition for p in one.owned)) == [None, None]

    _run(scenario)


def test_while_the_session_is_suspended_nothing_is_answered_or_written() -> None:
    async def scenario(cluster: Coordinators) -> None:
        coordinator = cluster.start()
        one, two = Consumer("one", session_timeout_ms=100_000), Consumer("two")
        await settle(coordinator, one)
        waiting = asyncio.create_task(one.beat(coordinator, max_wait_ms=60_000))
        await _until(lambda: coordinator.waiting_heartbeats)
        cluster.stores[1].gate.clear()
        storing = asyncio.create_task(two.beat(coordinator))
        await _until(lambda: cluster.stores[1].waiting_writes)
        committing = asyncio.create_task(one.commit(coordinator, 5, 0))
        await asyncio.sleep(0)
        coordinator.suspend()
        for task in (waiting, storing, committing):
            assert await refused(task) is CoordinatorNotAvailableError
        assert coordinator.held_groups == 0
        for call in (
            one.beat(coordinator),
            one.commit(coordinator, 6, 0),
            coordinator.committed("g"),
            coordinator.describe("g"),
            coordinator.summaries(["g"]),
            coordinator.group_ids(),
            coordinator.delete("g"),
        ):
            assert await refused(call) is CoordinatorNotAvailableError
        cluster.stores[1].gate.set()
        coordinator.resume()
        await settle(coordinator, one, two)
        assert await coordinator.committed("g") == {}

    _run(scenario)


# -- administration --------------------------------------------------------------------------------


def test_a_group_is_described_whether_it_is_held_or_not() -> None:
    async def scenario(cluster: Coordinators) -> None:
        one_broker, other = cluster.start(1), cluster.start(2)
        one = Consumer("one")
        await settle(one_broker, one)
        await one_broker.commit("simple", commit_request(1, 0))
        there = await one_broker.describe("g")
        assert (there.phase, [member.id for member in there.members]) == ("Stable", ["one"])
        assert await other.describe("g") == there
        assert other.held_groups == 0
        assert await other.group_ids() == ["g", "simple"]
        for each in (one_broker, other):
            lines = await each.summaries(["g", "simple"])
            assert [(line.group, line.state, line.member_count) for line in lines] == [
                ("g", "Stable", 1),
                ("simple", "Empty", 0),
            ]
        assert await one.beat(one_broker) == {0, 1, 2, 3}  # it was not taken over

    _run(scenario)


def test_a_group_with_members_is_neither_deleted_nor_reset() -> None:
    async def scenario(cluster: Coordinators) -> None:
        coordinator = cluster.start()
        one = Consumer("one")
        await settle(coordinator, one)
        await one.commit(coordinator, 5, 0)
        assert await refused(coordinator.delete("g")) is NonEmptyGroupError
        assert (
            await refused(coordinator.reset("g", {_T0: CommittedOffset(0)})) is NonEmptyGroupError
        )
        errors = await coordinator.delete_offsets("g", [_T0])
        assert isinstance(errors[0], GroupSubscribedToTopicError)
        assert await coordinator.committed("g") == {_T0: CommittedOffset(5)}
        await one.leave(coordinator)
        await coordinator.reset("g", {_T0: CommittedOffset(1)})
        assert await coordinator.committed("g") == {_T0: CommittedOffset(1)}
        assert await coordinator.delete_offsets("g", [_T0, TopicPartition("t", 1)]) == [None, None]
        assert await coordinator.committed("g") == {}
        await coordinator.delete("g")
        assert await coordinator.group_ids() == []
        await coordinator.reset("g", {_T0: CommittedOffset(1)})
        assert await coordinator.group_ids() == ["g"]

    _run(scenario)


def test_a_member_that_joins_while_its_group_is_deleted_finds_a_new_one() -> None:
    async def scenario(cluster: Coordinators) -> None:
        coordinator = cluster.start()
        await coordinator.commit("g", commit_request(5, 0))
        cluster.stores[1].gate.clear()
        deleting = asyncio.create_task(coordinator.delete("g"))
        await _until(lambda: cluster.stores[1].waiting_writes)
        one = Consumer("one")
        joining = asyncio.create_task(one.beat(coordinator))
        await asyncio.sleep(0)
        cluster.stores[1].gate.set()
        await deleting
        await joining
        assert await coordinator.committed("g") == {}
        await settle(coordinator, one)

    _run(scenario)


def test_idle_groups_make_room_and_others_do_not() -> None:
    async def scenario(cluster: Coordinators) -> None:
        coordinator = cluster.start()
        await settle(coordinator, Consumer("m", group="busy"))
        for number in range(5):
            await coordinator.commit(f"g{number}", commit_request(1, 0))
        assert coordinator.held_groups == 2
        await settle(coordinator, Consumer("m", group="also"))
        call = coordinator.commit("g0", commit_request(1, 0))
        assert await refused(call) is ThrottlingQuotaExceededError

    limits = GroupLimits(min_session_timeout_ms=1)
    _run(scenario, Coordinators(options=GroupOptions(limits, max_groups=2)))


def test_other_tools_see_members_and_what_they_hold() -> None:
    async def scenario(cluster: Coordinators) -> None:
        coordinator = cluster.start()
        one = Consumer("one")
        await settle(coordinator, one)
        picture = cluster.stores[1].picture("g")
        assert picture is not None
        assert picture.members == {"one": MirroredMember({"t": 1})}
        assert set(picture.owners.values()) == {"one"}
        assert picture.owners.keys() == one.owned
        coordinator.suspend()
        assert cluster.stores[1].picture("g") is None

    _run(scenario)


def test_a_broker_that_is_not_to_coordinate_a_group_looks_before_it_serves() -> None:
    async def scenario(cluster: Coordinators) -> None:
        cluster.is_here = lambda _broker, group: group != "other"
        coordinator = cluster.start()
        one = Consumer("one", group="other")
        await one.beat(coordinator)
        assert cluster.looked_for == ["other"]
        await Consumer("one").beat(coordinator)
        assert cluster.looked_for == ["other"]

    _run(scenario)


def test_groups_of_other_brokers_are_dropped_when_brokers_change() -> None:
    async def scenario(cluster: Coordinators) -> None:
        coordinator = cluster.start()
        one = Consumer("one", session_timeout_ms=100_000)
        await settle(coordinator, one)
        waiting = asyncio.create_task(one.beat(coordinator, max_wait_ms=60_000))
        await _until(lambda: coordinator.waiting_heartbeats)
        cluster.is_here = lambda broker, _group: broker == 2
        del cluster.brokers[next(iter(cluster.brokers))]
        cluster.publish()
        assert await refused(waiting) is NotCoordinatorError
        assert coordinator.held_groups == 0
        stored = cluster.groups.groups["g"].stored
        assert stored is not None
        assert stored.state.version > NEW_GROUP_VERSION

    _run(scenario)
