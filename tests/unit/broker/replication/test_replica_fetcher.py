"""Following: what is fetched, taken and named, and what happens when it cannot be."""

import asyncio

import msgspec
import pytest

from kafkalite.broker.partition import Partition
from kafkalite.broker.replication import fetch_loop
from kafkalite.config.views import FlushPolicy, ReplicaOptions
from kafkalite.model.ids import BrokerId, TopicPartition
from kafkalite.wire.messages import FetchResponse
from tests.support.logs import log_file
from tests.support.replication import TOPIC, Cluster, run_cluster, settle, state, until

FIRST = TopicPartition(TOPIC, 0)


def test_a_record_is_on_both_and_committed_when_the_follower_has_flushed() -> None:
    async def test(cluster: Cluster) -> None:
        cluster.replicate()
        leader, follower = cluster[0], cluster[1]
        leader.append(b"a", b"b")
        leader.append(b"c")
        await until(lambda: leader[0].offsets.high_watermark == 3)
        assert follower.values() == [b"a", b"b", b"c"]
        assert follower[0].log.durable_end_offset == 3

    run_cluster(test)


def test_nothing_is_committed_before_the_follower_has_flushed() -> None:
    async def test(cluster: Cluster) -> None:
        cluster.replicate()
        leader, follower = cluster[0], cluster[1]
        follower.flushes = False
        leader.append(b"a")
        await until(lambda: bool(follower.waiting))
        await settle()
        assert leader[0].offsets.high_watermark == 0
        follower.flush(follower[0])
        await until(lambda: leader[0].offsets.high_watermark == 1)

    run_cluster(test)


def test_nothing_waits_for_a_flush_under_the_policy_os() -> None:
    async def test(cluster: Cluster) -> None:
        cluster.replicate()
        cluster[1].flushes = False
        cluster[0].append(b"a")
        await until(lambda: cluster[0][0].offsets.high_watermark == 1)

    run_cluster(test, lambda: Cluster(policy=FlushPolicy.OS))


def test_an_idle_partition_is_named_once_and_only_what_changed_is_named_again() -> None:
    async def test(cluster: Cluster) -> None:
        for number in range(50):
            cluster.replicate(number)
        cluster[0].append(b"a", number=7)
        await until(lambda: cluster[0][7].offsets.high_watermark == 1)
        await settle()
        named = [entry.partition for _, request in cluster.requests for entry in request.partitions]
        assert sorted(named) == sorted([*range(50), 7])

    run_cluster(test)


def test_a_partition_that_comes_while_a_fetch_waits_is_named_at_once() -> None:
    async def test(cluster: Cluster) -> None:
        cluster.replicate(0)
        await settle()
        cluster.replicate(1)
        cluster[0].append(b"a", number=1)
        await until(lambda: cluster[0][1].offsets.high_watermark == 1)
        epochs = [request.session_epoch for _, request in cluster.requests]
        assert epochs.count(0) == 1

    run_cluster(test)


def test_diverging_records_are_dropped_and_the_leaders_taken() -> None:
    async def test(cluster: Cluster) -> None:
        cluster.replicate(isr=(0, 1))
        cluster[0].append(b"a")
        await until(lambda: cluster[1].values() == [b"a"])
        cluster.refuses_fetches_to = {0, 1}
        cluster[0].append(b"only here")
        await settle()
        cluster[1].apply(0, state(1, 1))
        cluster[1].append(b"b")
        cluster.refuses_fetches_to = set()
        cluster[0].apply(0, state(1, 1))
        await until(lambda: cluster[0].values() == [b"a", b"b"])
        await until(lambda: cluster[1][0].offsets.high_watermark == 2)

    run_cluster(test)


def test_a_follower_that_has_dropped_what_diverged_hears_of_the_high_watermark() -> None:
    async def test(cluster: Cluster) -> None:
        cluster.replicate(isr=(0, 1))
        cluster[0].append(b"a")
        await until(lambda: cluster[1].values() == [b"a"])
        cluster.refuses_fetches_to = {0, 1}
        cluster[0].append(b"only here")
        await settle()
        cluster[1].apply(0, state(1, 1, (1,)))
        assert cluster[1][0].offsets.high_watermark == 1
        cluster.refuses_fetches_to = set()
        cluster[0].apply(0, state(1, 1, (1,)))
        await until(lambda: cluster[0].values() == [b"a"])
        cluster[1].add(1)
        cluster[0].add(1)
        cluster.elect(1, number=1)
        await until(lambda: cluster[0][0].offsets.high_watermark == 1)

    run_cluster(test)


def test_a_follower_behind_the_leaders_start_begins_anew_there() -> None:
    async def test(cluster: Cluster) -> None:
        cluster.replicate(isr=(0,))
        cluster.refuses_fetches_to = {0}
        for value in (b"a", b"b", b"c"):
            cluster[0].append(value)
        await until(lambda: cluster[0][0].offsets.high_watermark == 3)
        cluster[0][0].delete_records(2)
        cluster.refuses_fetches_to = set()
        await until(lambda: cluster[1].values() == [b"c"])
        assert cluster[1][0].log.start_offset == 2

    run_cluster(test)


def test_a_follower_takes_the_batch_that_the_leaders_start_is_inside_of() -> None:
    async def test(cluster: Cluster) -> None:
        cluster.replicate(isr=(0,))
        cluster.refuses_fetches_to = {0}
        cluster[0].append(b"a", b"b", b"c", b"d")
        await until(lambda: cluster[0][0].offsets.high_watermark == 4)
        cluster[0][0].delete_records(2)
        cluster.refuses_fetches_to = set()
        await until(lambda: cluster[1][0].log.durable_end_offset == 4)
        assert cluster[1][0].log.start_offset == 2

    run_cluster(test)


def test_refused_connections_are_told_and_tried_again() -> None:
    async def test(cluster: Cluster) -> None:
        cluster.refuses_fetches_to = {0}
        cluster.replicate()
        cluster[0].append(b"a")
        await until(lambda: len(cluster[1].refused) >= 3)
        cluster.refuses_fetches_to = set()
        await until(lambda: cluster[0][0].offsets.high_watermark == 1)

    run_cluster(test)


def test_what_was_altered_on_the_way_reaches_no_log_and_is_fetched_again() -> None:
    async def test(cluster: Cluster) -> None:
        altered = 0

        def alter(answer: FetchResponse) -> FetchResponse:
            nonlocal altered
            if altered == 3 or not any(each.batches for each in answer.partitions):
                return answer
            altered += 1
            results = [
                msgspec.structs.replace(each, batches=each.batches[:-1] + b"?")
                for each in answer.partitions
            ]
            return msgspec.structs.replace(answer, partitions=results)

        cluster.alter = alter
        cluster.replicate()
        cluster[0].append(b"a!")
        await until(lambda: altered == 1)
        await settle(3)
        assert cluster[1].values() == []
        # Its pause is over when the clock says so.
        while not cluster[0][0].offsets.high_watermark:
            cluster.clock.now_ms += 20
            await asyncio.sleep(0.001)
        assert cluster[1].values() == [b"a!"]

    run_cluster(test, lambda: Cluster(options=ReplicaOptions(backoff_max_ms=20, wait_max_ms=20)))


def test_a_partition_in_error_keeps_no_other_from_being_replicated() -> None:
    async def test(cluster: Cluster) -> None:
        cluster.replicate(0)
        cluster.replicate(1)
        cluster[1].apply(0, state(0, epoch=5))  # its leader has not heard of that epoch
        cluster[0].append(b"lost", number=0)
        for _ in range(5):
            cluster[0].append(b"a", number=1)
            await until(lambda: cluster[0][1].offsets.high_watermark == cluster[0][1].offsets.end)
        assert cluster[0][0].offsets.high_watermark == 0

    run_cluster(test)


@pytest.mark.parametrize("method", ["take", "read_replica"])
def test_an_error_that_nobody_foresaw_keeps_no_other_partition_from_being_replicated(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    sound = getattr(Partition, method)

    def broken(partition: Partition, *given: object) -> object:
        if partition.topic_partition.partition == 0:
            raise RuntimeError("a bug")
        return sound(partition, *given)

    async def test(cluster: Cluster) -> None:
        monkeypatch.setattr(Partition, method, broken)
        cluster.replicate()
        cluster.replicate(number=1)
        for value in (b"a", b"b"):
            cluster[0].append(value)
            cluster[0].append(value, number=1)
            await settle()
        while cluster[1].values(1) != [b"a", b"b"]:
            cluster.clock.now_ms += 20
            await asyncio.sleep(0.001)
        monkeypatch.undo()
        while cluster[1].values() != [b"a", b"b"]:
            cluster.clock.now_ms += 20
            await asyncio.sleep(0.001)

    run_cluster(test, lambda: Cluster(options=ReplicaOptions(backoff_max_ms=20, wait_max_ms=20)))
    assert "a bug" in caplog.text


def test_an_epoch_that_the_leader_hears_of_later_needs_no_second_asking() -> None:
    async def test(cluster: Cluster) -> None:
        cluster.replicate()
        await settle()
        cluster[1].apply(0, state(0, epoch=1))
        await until(lambda: cluster[1].probe.leader_errors == 1)
        cluster[0].apply(0, state(0, epoch=1))
        cluster[0].append(b"a")
        await until(lambda: cluster[0][0].offsets.high_watermark == 1)

    run_cluster(test)


def test_a_leader_that_says_nothing_at_once_is_not_asked_without_a_pause() -> None:
    async def test(cluster: Cluster) -> None:
        cluster.replicate()
        cluster[0].sessions.stop_waiting()
        await settle(2_000)
        assert len(cluster.requests) < 20

    run_cluster(test)


def test_a_session_begins_anew_when_the_leader_is_registered_again() -> None:
    async def test(cluster: Cluster) -> None:
        cluster.replicate()
        await settle()
        cluster.register(0, 1, epoch=200)
        cluster[0].append(b"a")
        await until(lambda: cluster[0][0].offsets.high_watermark == 1)
        assert [r.broker_epoch for _, r in cluster.requests if r.session_epoch == 0] == [100, 200]

    run_cluster(test)


def test_a_new_leader_is_followed_and_the_old_one_left_alone() -> None:
    async def test(cluster: Cluster) -> None:
        cluster.replicate(isr=(0, 1, 2))
        cluster[0].append(b"a")
        await until(lambda: cluster[0][0].offsets.high_watermark == 1)
        cluster.elect(1, 1, isr=(0, 1, 2))
        cluster[1].append(b"b")
        await until(lambda: cluster[1][0].offsets.high_watermark == 2)
        assert [broker.values() for broker in cluster.brokers] == [[b"a", b"b"]] * 3

    run_cluster(test, lambda: Cluster(3))


def test_a_leader_lets_go_of_what_is_followed_no_more_though_nothing_else_is() -> None:
    async def test(cluster: Cluster) -> None:
        cluster.replicate(isr=(0, 1, 2))
        cluster[0].append(b"a")
        await until(lambda: cluster[0][0].offsets.high_watermark == 1)
        assert cluster[0].sessions.last_fetch_ms(BrokerId(1), FIRST) is not None
        cluster[1].apply(0, state(2, 1, isr=(0, 1, 2)))
        cluster.refuses_fetches_to.add(0)
        cluster[0].append(b"b")  # which ends the fetch that waits; what would follow is lost
        await until(lambda: bool(cluster[1].refused))
        cluster.refuses_fetches_to.clear()
        await until(lambda: cluster[0].sessions.last_fetch_ms(BrokerId(1), FIRST) is None)

        async def asked() -> int:
            await settle()
            return sum(to == 0 and request.replica_id == 1 for to, request in cluster.requests)

        assert await asked() == await asked(), "and then leaves it alone"

    run_cluster(test, lambda: Cluster(3))


def test_a_follower_says_that_its_log_is_damaged_until_it_is_not() -> None:
    async def test(cluster: Cluster) -> None:
        cluster.replicate()
        cluster[0].append(b"a", b"b")
        cluster[0].append(b"c")
        await until(lambda: cluster[0][0].offsets.high_watermark == 3)
        follower = cluster[1][0]
        cluster[1].disk.flip_bit(log_file(0), follower.log.size_bytes - 1)
        follower.log.inspect(2)
        cluster[1].fetchers.update(follower)

        def named() -> tuple[int, bool]:
            entries = [entry for _, request in cluster.requests for entry in request.partitions]
            return entries[-1].offset, entries[-1].is_damaged

        await until(lambda: named() == (2, True))
        cluster.elect(0, 1, isr=(0,))  # now nobody counts on it any more
        while named() != (3, False):
            cluster.clock.now_ms += 10  # for the pause after its fetch in the old epoch
            await settle()
        assert cluster[1].values() == [b"a", b"b", b"c"]

    run_cluster(test)


def test_a_throttled_follower_that_is_not_in_sync_waits_for_credit() -> None:
    async def test(cluster: Cluster) -> None:
        cluster[1].throttled_rate = 1000
        cluster.replicate(isr=(0,), config={"follower.replication.throttled.replicas": "*"})
        for _ in range(3):
            cluster[0].append(b"x" * 5000)
            await until(lambda: bool(cluster[0][0].offsets.high_watermark))
            await settle()
        # The first batch took what there was, and more; the others wait until that is paid.
        assert len(cluster[1].values()) == 1
        while len(cluster[1].values()) < 3:
            cluster.clock.now_ms += 1000
            await asyncio.sleep(0.001)

    run_cluster(test, lambda: Cluster(options=ReplicaOptions(wait_max_ms=5, backoff_max_ms=5)))


def test_catching_up_asks_for_more_while_answers_are_full() -> None:
    async def test(cluster: Cluster) -> None:
        cluster.replicate(isr=(0,))
        cluster.refuses_fetches_to = {0}
        for _ in range(80):
            cluster[0].append(b"x" * 100_000)
        cluster.refuses_fetches_to = set()
        await until(lambda: cluster[1][0].log.durable_end_offset == 80)
        asked = {request.max_bytes for _, request in cluster.requests}
        assert asked == {256 << 10, 512 << 10, 1 << 20}

    options = ReplicaOptions(answer_max_bytes=1 << 20, backoff_max_ms=20, wait_max_ms=60_000)
    run_cluster(test, lambda: Cluster(options=options))


def test_a_slow_disk_keeps_no_other_partition_from_being_replicated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fetch_loop, "_FLUSH_PATIENCE_S", 0.001)

    async def test(cluster: Cluster) -> None:
        cluster.replicate(0)
        cluster.replicate(1)
        cluster[1].flushes = False
        cluster[0].append(b"a", number=0)
        await until(lambda: cluster[1][0].offsets.end == 1)
        cluster[1].flushes = True
        cluster[0].append(b"b", number=1)
        await until(lambda: cluster[0][1].offsets.high_watermark == 1)
        assert cluster[0][0].offsets.high_watermark == 0
        cluster[1].flush(cluster[1][0])
        await until(lambda: cluster[0][0].offsets.high_watermark == 1)

    run_cluster(test)


def test_all_leaders_together_are_asked_for_no_more_than_the_buffer_holds() -> None:
    async def test(cluster: Cluster) -> None:
        for leader in (0, 1):
            cluster.replicate(leader, leader=leader, isr=(leader,))
            cluster.refuses_fetches_to = {0, 1}
            for _ in range(30):
                cluster[leader].append(b"x" * 100_000, number=leader)
        cluster.refuses_fetches_to = set()
        await until(
            lambda: all(cluster[2][leader].log.durable_end_offset == 30 for leader in (0, 1))
        )
        asked = {r.max_bytes for _, r in cluster.requests if r.replica_id == 2}
        assert asked == {256 << 10, 300_000}

    options = ReplicaOptions(buffer_bytes=600_000, backoff_max_ms=20, wait_max_ms=60_000)
    run_cluster(test, lambda: Cluster(3, options=options))


def test_stopping_twice_is_stopping_once() -> None:
    async def test(cluster: Cluster) -> None:
        cluster.replicate()
        await settle()
        await cluster[1].fetchers.stop()
        cluster[1].fetchers.update(cluster[1][0])

    run_cluster(test)
