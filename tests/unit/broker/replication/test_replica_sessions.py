"""The sessions of followers: turns, what wakes them, budgets, the throttle, and their end."""

import asyncio
from dataclasses import replace

import pytest

from kafkalite.broker.partition_read import PartitionRead
from kafkalite.broker.replication.replica_sessions import ReplicaAnswer
from kafkalite.model.errors import (
    CorruptMessageError,
    FetchSessionIdNotFoundError,
    InconsistentTopicIdError,
    LogError,
    StaleBrokerEpochError,
    UnknownLeaderEpochError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import TopicId
from kafkalite.storage.log import Log
from kafkalite.wire.messages import FetchPartition, FetchRequest, ForgottenPartition
from tests.support.logs import TOPIC_ID, log_file
from tests.support.replication import Cluster, run_cluster, settle, state

_EPOCH = 100


def _entry(
    offset: int = 0, number: int = 0, *, max_bytes: int = 1 << 20, leader_epoch: int = 0,
    topic_id: str = TOPIC_ID,
) -> FetchPartition:  # fmt: skip
    last_epoch = 0 if offset else -1
    return FetchPartition("t", number, offset, max_bytes, leader_epoch, last_epoch, topic_id)


class _Follower:
    """Broker 1 as the leader, broker 0, sees it; it sends what a test says."""

    def __init__(self, cluster: Cluster) -> None:
        self.sessions = cluster[0].sessions
        self.epoch = -1

    async def fetch(
        self, *entries: FetchPartition, max_bytes: int = 1 << 20, epoch: int | None = None,
        broker_epoch: int = _EPOCH, wait_ms: int = 60_000, forgotten: tuple[int, ...] = (),
    ) -> ReplicaAnswer:  # fmt: skip
        self.epoch = self.epoch + 1 if epoch is None else epoch
        gone = [ForgottenPartition("t", number) for number in forgotten]
        return await self.sessions.fetch(
            FetchRequest(list(entries), wait_ms, 1, max_bytes, 1, broker_epoch, self.epoch, gone)
        )

    def begin(
        self, *entries: FetchPartition, max_bytes: int = 1 << 20, wait_ms: int = 60_000
    ) -> "asyncio.Task[ReplicaAnswer]":
        return asyncio.ensure_future(self.fetch(*entries, max_bytes=max_bytes, wait_ms=wait_ms))


def _lead(cluster: Cluster, *numbers: int, **config: str) -> None:
    """Broker 0 leads; nothing is fetched but by the test."""
    keys = {key.replace("_", "."): value for key, value in config.items()}
    for number in numbers:
        cluster[0].add(number, keys)
        cluster[0].apply(number, state(0))


def _only(answer: ReplicaAnswer) -> PartitionRead:
    assert answer.error is None
    (read,) = answer.reads
    return read


def test_the_first_fetch_is_answered_at_once_and_the_next_waits_for_records() -> None:
    async def test(cluster: Cluster) -> None:
        _lead(cluster, 0)
        follower = _Follower(cluster)
        first = _only(await follower.fetch(_entry()))
        assert (first.size, first.high_watermark, first.leader_epoch) == (0, 0, 0)
        waiting = follower.begin()
        await settle()
        assert not waiting.done()
        cluster[0].append(b"a")
        assert _only(await waiting).size > 0

    run_cluster(test)


def test_a_moved_high_watermark_is_told_with_the_next_answer_and_causes_none() -> None:
    async def test(cluster: Cluster) -> None:
        _lead(cluster, 0, 1)
        follower = _Follower(cluster)
        await follower.fetch(_entry(0, 0), _entry(0, 1))
        waiting = follower.begin()
        cluster[0].append(b"a")
        assert _only(await waiting).high_watermark == 0
        waiting = follower.begin(_entry(1))
        await settle()
        assert cluster[0][0].offsets.high_watermark == 1
        assert not waiting.done()
        cluster[0].append(b"b", number=1)
        told = {read.partition: read for read in (await waiting).reads}
        assert (told[0].high_watermark, told[0].size) == (1, 0)
        assert told[1].size > 0
        waiting = follower.begin(_entry(1, 1), wait_ms=5)
        assert _only(await waiting).partition == 1

    run_cluster(test)


def test_a_partition_that_was_answered_is_silent_until_it_is_named() -> None:
    async def test(cluster: Cluster) -> None:
        _lead(cluster, 0)
        follower = _Follower(cluster)
        cluster[0].append(b"a")
        assert _only(await follower.fetch(_entry())).size
        cluster[0].append(b"b")
        assert (await follower.fetch(wait_ms=1)).reads == []
        assert _only(await follower.fetch(_entry(1))).size

    run_cluster(test)


def _flip(cluster: Cluster, offset: int) -> None:
    """Alter the last byte of a record that is a batch of its own, as long as its neighbours."""
    size = cluster[0][0].log.size_bytes // cluster[0][0].log.end_offset
    cluster[0].disk.flip_bit(log_file(0), size * (offset + 1) - 1)


def test_records_that_the_follower_could_not_use_are_looked_at() -> None:
    async def test(cluster: Cluster) -> None:
        _lead(cluster, 0)
        for value in (b"a", b"b", b"c"):
            cluster[0].append(value)
        _flip(cluster, 1)
        follower = _Follower(cluster)
        assert _only(await follower.fetch(_entry())).size
        assert _only(await follower.fetch(_entry(1))).size  # its headers are as they were
        assert not cluster[0][0].log.damaged
        answer = _only(await follower.fetch(_entry(1)))
        assert isinstance(answer.error, CorruptMessageError)
        assert [*cluster[0][0].log.damaged] == [(1, 2)]

    run_cluster(test)


def test_records_that_are_sound_are_looked_at_once_where_the_follower_has_other_troubles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[int] = []
    monkeypatch.setattr(Log, "inspect", lambda _, offset: looks.append(offset))

    async def test(cluster: Cluster) -> None:
        _lead(cluster, 0)
        for value in (b"a", b"b"):
            cluster[0].append(value)
        follower = _Follower(cluster)
        for _ in range(4):
            assert _only(await follower.fetch(_entry())).size
        assert looks == [0]
        for _ in range(4):
            assert _only(await follower.fetch(_entry(1))).size
        assert looks == [0, 1]

    run_cluster(test)


def test_answers_keep_to_the_budget_and_everybody_has_a_turn() -> None:
    async def test(cluster: Cluster) -> None:
        _lead(cluster, *range(5))
        for number in range(5):
            for _ in range(3):
                cluster[0].append(b"x" * 1000, number=number)
        follower = _Follower(cluster)
        offsets = dict.fromkeys(range(5), 0)
        answer = await follower.fetch(*(_entry(0, each) for each in range(5)), max_bytes=2_500)
        served: list[int] = []
        while answer.reads:
            with_records = [read for read in answer.reads if read.size]
            assert sum(read.size for read in with_records) < 2_500 + 1_200
            served += [read.partition for read in with_records]
            for read in with_records:
                offsets[read.partition] = read.pieces[-1].next_offset
            named = [_entry(offsets[read.partition], read.partition) for read in with_records]
            answer = await follower.fetch(*named, max_bytes=2_500, wait_ms=1)
        assert set(offsets.values()) == {3}
        assert sorted(served[:5]) == list(range(5))

    run_cluster(test)


def test_a_partition_alone_has_the_whole_answer() -> None:
    async def test(cluster: Cluster) -> None:
        _lead(cluster, 0, 1)
        for number in (0, 0, 0, 0, 1):
            cluster[0].append(b"x" * 1000, number=number)
        follower = _Follower(cluster)
        first = await follower.fetch(_entry(max_bytes=10), _entry(0, 1, max_bytes=10))
        assert {read.pieces[-1].next_offset for read in first.reads} == {1}, "both have something"
        alone = _only(await follower.fetch(_entry(1, max_bytes=10), max_bytes=2_500))
        assert alone.pieces[-1].next_offset == 3, "two more fit"

    run_cluster(test)


def test_what_is_appended_in_the_same_moment_comes_in_one_answer() -> None:
    async def test(cluster: Cluster) -> None:
        _lead(cluster, 0, 1)
        follower = _Follower(cluster)
        await follower.fetch(_entry(), _entry(0, 1))
        waiting = follower.begin()
        await settle()
        cluster[0].append(b"a")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        cluster[0].append(b"b", number=1)
        assert len((await waiting).reads) == 2

    run_cluster(test)


def test_a_batch_larger_than_every_limit_still_comes() -> None:
    async def test(cluster: Cluster) -> None:
        _lead(cluster, 0)
        cluster[0].append(b"x" * 5000)
        follower = _Follower(cluster)
        assert _only(await follower.fetch(_entry(max_bytes=10), max_bytes=10)).size > 5000

    run_cluster(test)


def test_the_progress_of_all_is_noted_even_where_no_room_is_left() -> None:
    async def test(cluster: Cluster) -> None:
        _lead(cluster, 0, 1)
        for number in (0, 1):
            cluster[0].append(b"x" * 1000, number=number)
            cluster[0].append(b"x" * 1000, number=number)
        await settle()
        follower = _Follower(cluster)
        await follower.fetch(_entry(1, 0), _entry(1, 1), max_bytes=10)
        assert cluster[0][0].offsets.high_watermark == 1
        assert cluster[0][1].offsets.high_watermark == 1

    run_cluster(test)


def test_an_error_is_told_once_until_the_partition_is_named_again() -> None:
    async def test(cluster: Cluster) -> None:
        _lead(cluster, 0)
        follower = _Follower(cluster)
        read = _only(await follower.fetch(_entry(leader_epoch=3)))
        assert isinstance(read.error, UnknownLeaderEpochError)
        waiting = follower.begin()
        cluster[0].append(b"a")
        await settle()
        assert not waiting.done()
        cluster[0].apply(0, state(0, epoch=3))
        assert _only(await waiting).size
        read = _only(await follower.fetch(_entry(0, 7)))
        assert isinstance(read.error, UnknownTopicOrPartitionError)

    run_cluster(test)


def test_a_follower_hears_at_once_that_nobody_leads_any_more() -> None:
    async def test(cluster: Cluster) -> None:
        _lead(cluster, 0)
        follower = _Follower(cluster)
        await follower.fetch(_entry())
        waiting = follower.begin()
        await settle()
        cluster[0][0].step_down()
        assert _only(await waiting).error is not None

    run_cluster(test)


def test_where_a_follower_stands_in_a_namesakes_log_says_nothing_of_this_one() -> None:
    async def test(cluster: Cluster) -> None:
        _lead(cluster, 0)
        leader = cluster[0]
        leader.append(b"a", b"b")
        await settle()
        follower = _Follower(cluster)
        # Its topic was deleted and created anew, and only one of both has heard of it: the same
        # epoch, and as many records.
        read = _only(await follower.fetch(_entry(2, topic_id="of another topic")))
        assert (type(read.error), read.size) == (InconsistentTopicIdError, 0)
        assert leader[0].offsets.high_watermark == 0
        assert _only(await follower.fetch(_entry(0))).size

    run_cluster(test)


def test_a_partition_made_anew_while_a_fetch_waits_takes_no_position_of_the_old_one() -> None:
    async def test(cluster: Cluster) -> None:
        _lead(cluster, 0)
        leader = cluster[0]
        leader.append(b"a", b"b")
        await settle()
        follower = _Follower(cluster)
        await follower.fetch(_entry(2))
        assert leader[0].offsets.high_watermark == 2
        waiting = follower.begin()
        await settle()
        leader.replace(0, TopicId("a later topic"))
        leader.apply(0, state(0))
        leader.append(b"c", b"d")
        await settle()
        assert isinstance(_only(await waiting).error, LogError)
        assert leader[0].offsets.high_watermark == 0

    run_cluster(test)


def test_a_forgotten_partition_says_nothing_any_more() -> None:
    async def test(cluster: Cluster) -> None:
        _lead(cluster, 0, 1)
        follower = _Follower(cluster)
        await follower.fetch(_entry(0, 0), _entry(0, 1))
        waiting = asyncio.ensure_future(follower.fetch(forgotten=(0,)))
        await settle()
        assert not cluster[0][0].watchers
        cluster[0].append(b"a", number=0)
        await settle()
        assert not waiting.done()
        cluster[0].append(b"a", number=1)
        assert _only(await waiting).partition == 1

    run_cluster(test)


def test_a_fetch_out_of_turn_is_refused_and_harms_nothing() -> None:
    async def test(cluster: Cluster) -> None:
        _lead(cluster, 0)
        follower = _Follower(cluster)
        error = (await follower.fetch(epoch=1)).error
        assert isinstance(error, FetchSessionIdNotFoundError)
        await follower.fetch(_entry(), epoch=0)
        for epoch in (-1, 2, 7):
            error = (await follower.fetch(_entry(), epoch=epoch)).error
            assert isinstance(error, FetchSessionIdNotFoundError)
        cluster[0].append(b"a")
        assert _only(await follower.fetch(epoch=1)).size

    run_cluster(test)


def test_a_new_session_ends_the_fetch_that_waits_in_the_old_one() -> None:
    async def test(cluster: Cluster) -> None:
        _lead(cluster, 0)
        follower = _Follower(cluster)
        await follower.fetch(_entry())
        waiting = follower.begin()
        await settle()
        await follower.fetch(epoch=0)
        assert isinstance((await waiting).error, FetchSessionIdNotFoundError)
        assert not cluster[0][0].watchers

    run_cluster(test)


def test_a_fetch_that_waits_is_answered_when_it_is_asked_for_again() -> None:
    async def test(cluster: Cluster) -> None:
        _lead(cluster, 0)
        follower = _Follower(cluster)
        await follower.fetch(_entry())
        waiting = follower.begin()
        await settle()
        assert await follower.fetch(epoch=1, wait_ms=0) == ReplicaAnswer()
        assert await waiting == ReplicaAnswer([])
        cluster[0].append(b"a")
        assert _only(await follower.fetch()).size

    run_cluster(test)


def test_a_call_to_hurry_that_overtakes_its_fetch_takes_nothing_from_it() -> None:
    async def test(cluster: Cluster) -> None:
        _lead(cluster, 0)
        follower = _Follower(cluster)
        await follower.fetch(_entry())
        cluster[0].append(b"a")
        assert await follower.fetch(epoch=1, wait_ms=0) == ReplicaAnswer()
        assert _only(await follower.fetch(epoch=1)).size
        await follower.fetch(epoch=2, wait_ms=0)
        assert await follower.fetch(epoch=2) == ReplicaAnswer([])
        waiting = follower.begin()
        await settle()
        assert not waiting.done()
        waiting.cancel()

    run_cluster(test)


def test_only_a_registered_incarnation_is_answered() -> None:
    async def test(cluster: Cluster) -> None:
        _lead(cluster, 0)
        follower = _Follower(cluster)
        error = (await follower.fetch(_entry(), broker_epoch=_EPOCH - 1)).error
        assert isinstance(error, StaleBrokerEpochError)
        cluster.register(0)
        error = (await follower.fetch(_entry(), epoch=0)).error
        assert isinstance(error, StaleBrokerEpochError)

    run_cluster(test)


def test_the_session_of_a_broker_that_goes_is_forgotten() -> None:
    async def test(cluster: Cluster) -> None:
        _lead(cluster, 0)
        follower = _Follower(cluster)
        assert follower.sessions.last_fetch_ms(cluster[1].id, cluster[0][0].topic_partition) is None
        cluster.clock.now_ms += 5
        await follower.fetch(_entry())
        assert (
            follower.sessions.last_fetch_ms(cluster[1].id, cluster[0][0].topic_partition)
            == cluster.clock.now_ms
        )
        waiting = follower.begin()
        await settle()
        cluster.register(0)
        assert isinstance((await waiting).error, FetchSessionIdNotFoundError)
        assert follower.sessions.last_fetch_ms(cluster[1].id, cluster[0][0].topic_partition) is None
        assert not cluster[0][0].watchers

    run_cluster(test)


def test_a_follower_that_forgot_a_partition_is_not_taken_for_in_sync_by_its_other_fetches() -> None:
    async def test(cluster: Cluster) -> None:
        _lead(cluster, 0, 1)
        leader, follower = cluster[0], _Follower(cluster)
        await follower.fetch(_entry(0, 0), _entry(0, 1))
        # Its log directory failed, and the controller took it out: nothing is appended here.
        await follower.fetch(forgotten=(0,), wait_ms=1)
        for number in (0, 1):
            leader.apply(number, replace(state(0, 0, (0,)), version=1))
        cluster.clock.now_ms += 10
        await follower.fetch(wait_ms=1)

        def joins(number: int) -> bool:
            name = leader[number].topic_partition
            return (
                leader[number].isr_change(
                    cluster.clock.now_ms,
                    lambda broker: follower.sessions.last_fetch_ms(broker, name),
                    cluster.view.brokers,
                )
                is not None
            )

        assert not joins(0)
        assert joins(1)  # idle, and not named again

    run_cluster(test)


def test_nobody_waits_once_the_broker_stops() -> None:
    async def test(cluster: Cluster) -> None:
        _lead(cluster, 0)
        follower = _Follower(cluster)
        await follower.fetch(_entry())
        waiting = follower.begin()
        await settle()
        follower.sessions.stop_waiting()
        assert (await waiting).reads == []
        assert (await follower.fetch()).reads == []

    run_cluster(test)


def test_a_throttled_replica_that_is_not_in_sync_is_held_back() -> None:
    async def test(cluster: Cluster) -> None:
        cluster[0].throttled_rate = 1000
        _lead(cluster, 0, leader_replication_throttled_replicas="0:0")
        cluster[0].apply(0, state(0, 1, isr=(0,)))
        cluster[0].append(b"x" * 3000)
        cluster[0].append(b"x" * 3000)
        follower = _Follower(cluster)
        at_once = _entry(0, max_bytes=10, leader_epoch=1)
        assert _only(await follower.fetch(at_once)).size > 3000
        rest = FetchPartition("t", 0, 1, 1 << 20, 1, 1, TOPIC_ID)
        assert not [read for read in (await follower.fetch(rest, wait_ms=5)).reads if read.size]
        cluster.clock.now_ms += 3000
        assert _only(await follower.fetch(wait_ms=5)).size > 3000

    run_cluster(test)


def test_what_is_throttled_comes_in_no_larger_pieces_than_asked_for() -> None:
    async def test(cluster: Cluster) -> None:
        cluster[0].throttled_rate = 10_000
        _lead(cluster, 0, leader_replication_throttled_replicas="0:0")
        cluster[0].apply(0, state(0, 1, isr=(0,)))
        for _ in range(3):
            cluster[0].append(b"x" * 1000)
        follower = _Follower(cluster)
        await follower.fetch(_entry(0, max_bytes=10, leader_epoch=1))
        rest = FetchPartition("t", 0, 1, 10, 1, 1, TOPIC_ID)
        assert _only(await follower.fetch(rest)).pieces[-1].next_offset == 2

    run_cluster(test)


def test_a_throttle_does_not_hold_back_who_is_in_sync() -> None:
    async def test(cluster: Cluster) -> None:
        cluster[0].throttled_rate = 1
        _lead(cluster, 0, leader_replication_throttled_replicas="*")
        follower = _Follower(cluster)
        cluster[0].append(b"x" * 3000)
        assert _only(await follower.fetch(_entry(0))).size
        cluster[0].append(b"x" * 3000)
        assert _only(await follower.fetch(_entry(1))).size

    run_cluster(test)


def test_looking_at_many_lets_others_have_their_turn() -> None:
    async def test(cluster: Cluster) -> None:
        _lead(cluster, *range(3))
        follower = _Follower(cluster)
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.ensure_future(count())
        await settle(1)
        answer = await follower.fetch(*(_entry(0, each) for each in range(1000)))
        counting.cancel()
        assert len(answer.reads) == 1000
        assert turns >= 9

    run_cluster(test)


def test_what_there_is_needs_no_waiting() -> None:
    async def test(cluster: Cluster) -> None:
        _lead(cluster, 0)
        follower = _Follower(cluster)
        await follower.fetch(_entry())
        cluster[0].append(b"a")
        begun = cluster[0].sessions.begin(FetchRequest([], 60_000, 1, 1 << 20, 1, _EPOCH, 1))
        assert isinstance(begun, ReplicaAnswer)
        assert _only(begun).size

    run_cluster(test)


def test_a_fetch_whose_session_ends_before_it_waits_is_refused() -> None:
    async def test(cluster: Cluster) -> None:
        _lead(cluster, 0)
        follower = _Follower(cluster)
        await follower.fetch(_entry())
        wait = cluster[0].sessions.begin(FetchRequest([], 60_000, 1, 1 << 20, 1, _EPOCH, 1))
        assert not isinstance(wait, ReplicaAnswer)
        cluster[0].sessions.close()
        assert isinstance((await wait()).error, FetchSessionIdNotFoundError)

    run_cluster(test)
