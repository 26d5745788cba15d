"""A partition towards its leader and its followers: what no scenario of replication shows."""

import asyncio
import errno
from collections.abc import Callable, Iterator

import pytest

from kafkalite.broker.partition import Partition, PartitionOptions
from kafkalite.config.topic_config import topic_settings
from kafkalite.config.views import FlushPolicy
from kafkalite.model.cluster import PartitionState
from kafkalite.model.errors import (
    CorruptMessageError,
    FencedLeaderEpochError,
    KafkaStorageError,
    LeaderNotAvailableError,
    LogError,
    NotLeaderOrFollowerError,
    OffsetOutOfRangeError,
    StaleBrokerEpochError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import ANY_EPOCH, NO_LEADER, BrokerId
from kafkalite.replication.position import Position
from kafkalite.storage.log_directories import LogDirectories
from kafkalite.storage.log_read import LogRead
from kafkalite.storage.recent_batches import RecentBudget, RecentRead
from kafkalite.wire.batch import BatchHeader, read_headers
from kafkalite.wire.messages import FetchResult
from tests.support.faulty_disk import FaultyDisk
from tests.support.logs import LOGS, PARTITION, TOPIC_ID, log_file
from tests.support.partitions import LAG_MS, OTHER_ID, OWN_ID, Logs, batch_of, flush, led_by

_THIRD_ID = BrokerId(2)
_REPLICAS = (OWN_ID, OTHER_ID, _THIRD_ID)
_MAX_BYTES = 1 << 20


class _Watcher:
    def __init__(self) -> None:
        self.moves: list[Partition] = []

    def moved(self, partition: Partition) -> None:
        self.moves.append(partition)


def _append(partition: Partition, *values: bytes) -> None:
    for value in values:
        batch, header = batch_of(value)
        partition.append(batch, [header], acks_all=False)


def _position(offset: int, *, last_epoch: int = -1, epoch: int = 0) -> Position:
    return Position(offset, last_epoch, epoch)


def _answer(
    leader: Partition, position: Position, *, max_bytes: int = _MAX_BYTES
) -> tuple[FetchResult, list[BatchHeader]]:
    """What a leader's fetch path answers the other broker, and the headers of its batches."""
    read = leader.read_replica(OTHER_ID, 1, position, max_bytes)
    batches = read.piece.read() if read.piece is not None else b""
    result = FetchResult(
        "t",
        0,
        high_watermark=read.high_watermark,
        log_start_offset=read.log_start_offset,
        leader_epoch=read.leader_epoch,
        batches=batches,
    )
    return result, read_headers(batches)


# -- leading ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "error"),
    [
        (led_by(OTHER_ID), NotLeaderOrFollowerError),
        (led_by(NO_LEADER), LeaderNotAvailableError),
        (led_by(OWN_ID, epoch=1), FencedLeaderEpochError),
    ],
    ids=["another leads", "nobody leads", "a later epoch"],
)
def test_follower_is_refused_unless_this_broker_leads_in_its_epoch(
    logs: Logs, state: PartitionState, error: type[LogError]
) -> None:
    partition = logs.partition()
    partition.apply(state, _REPLICAS)
    with pytest.raises(error):
        partition.read_replica(OTHER_ID, 1, _position(0), _MAX_BYTES)


def test_follower_has_to_say_which_epoch_it_follows(logs: Logs) -> None:
    partition = logs.partition()
    partition.apply(led_by(OWN_ID), _REPLICAS)
    with pytest.raises(FencedLeaderEpochError):
        partition.read_replica(OTHER_ID, 1, _position(0, epoch=ANY_EPOCH), _MAX_BYTES)


def test_strangers_and_former_lives_are_refused(logs: Logs) -> None:
    partition = logs.partition()
    partition.apply(led_by(OWN_ID), _REPLICAS)
    with pytest.raises(UnknownTopicOrPartitionError):
        partition.read_replica(BrokerId(7), 1, _position(0), _MAX_BYTES)
    partition.read_replica(OTHER_ID, 5, _position(0), _MAX_BYTES)
    with pytest.raises(StaleBrokerEpochError):
        partition.read_replica(OTHER_ID, 4, _position(0), _MAX_BYTES)


def test_follower_gets_what_is_not_flushed_yet(logs: Logs) -> None:
    partition = logs.partition()
    partition.apply(led_by(OWN_ID, isr=(0, 1)), _REPLICAS)
    _append(partition, b"a", b"b")
    read = partition.read_replica(OTHER_ID, 1, _position(0), _MAX_BYTES)
    assert read.piece is not None
    assert read.piece.next_offset == 2
    assert (read.high_watermark, read.log_start_offset, read.leader_epoch) == (0, 0, 0)


def test_fetch_without_room_for_an_answer_is_noted_all_the_same(logs: Logs) -> None:
    partition = logs.partition()
    partition.apply(led_by(OWN_ID, isr=(0, 1)), _REPLICAS)
    _append(partition, b"a", b"b")
    flush(partition)
    read = partition.read_replica(OTHER_ID, 1, _position(1, last_epoch=0), 0)
    assert read.piece is None
    assert read.high_watermark == partition.offsets.high_watermark == 1


def test_offset_that_the_leader_does_not_have_is_answered_with_where_it_begins(logs: Logs) -> None:
    partition = logs.partition()
    partition.apply(led_by(OWN_ID), _REPLICAS)
    _append(partition, b"a", b"b")
    flush(partition)
    partition.delete_records(1)
    for offset in (0, 3):
        with pytest.raises(OffsetOutOfRangeError) as refused:
            partition.read_replica(OTHER_ID, 1, _position(offset), _MAX_BYTES)
        assert refused.value.extra["log_start_offset"] == 1


def test_watchers_hear_of_all_that_followers_wait_for(logs: Logs) -> None:
    partition = logs.partition()
    watcher = _Watcher()
    partition.watchers.add(watcher)
    acts: list[Callable[[], object]] = [
        lambda: partition.apply(led_by(OWN_ID, isr=(0, 1)), _REPLICAS),
        lambda: _append(partition, b"a"),
        lambda: partition.read_replica(OTHER_ID, 1, _position(1, last_epoch=0), 0),
        lambda: flush(partition),
        lambda: partition.delete_records(1),
        lambda: partition.assign(_REPLICAS[:2]),
        lambda: partition.apply(led_by(OTHER_ID, epoch=1), _REPLICAS),
        partition.step_down,
        lambda: partition.close(UnknownTopicOrPartitionError("gone")),
    ]
    heard = []
    for act in acts:
        before = len(watcher.moves)
        act()
        heard.append(len(watcher.moves) - before)
    # The third moves nothing: the leader's own record is not durable.
    assert heard == [1, 1, 0, 1, 1, 1, 1, 1, 1]


def test_watcher_may_go_when_it_hears(logs: Logs) -> None:
    partition = logs.led()

    class _Leaving(_Watcher):
        def moved(self, partition: Partition) -> None:
            super().moved(partition)
            partition.watchers.discard(self)

    watchers = [_Leaving(), _Leaving()]
    partition.watchers.update(watchers)
    _append(partition, b"a")
    _append(partition, b"b")
    assert [len(each.moves) for each in watchers] == [1, 1]


def test_older_version_of_a_state_changes_nothing(logs: Logs) -> None:
    partition = logs.partition()
    newer = led_by(OWN_ID, isr=(0, 1), version=5)
    partition.apply(newer, _REPLICAS)
    partition.apply(led_by(OWN_ID, version=4), _REPLICAS)
    assert partition.state == newer
    assert partition.isr == (0, 1)


def test_leader_goes_on_with_what_it_knows_while_its_epoch_lasts(logs: Logs) -> None:
    partition = logs.partition()
    partition.apply(led_by(OWN_ID, isr=(0, 1)), _REPLICAS)
    partition.read_replica(OTHER_ID, 1, _position(0), _MAX_BYTES)
    leading = partition.leading
    partition.apply(led_by(OWN_ID, isr=(0, 1, 2), version=1), _REPLICAS)
    assert partition.leading is leading
    partition.apply(led_by(OWN_ID, epoch=1, isr=(0, 1), version=2), _REPLICAS)
    assert partition.leading is not None
    assert partition.leading is not leading
    progress = partition.leading.progress(OTHER_ID)
    assert progress is not None
    assert progress.end_offset == -1


def test_new_replicas_may_fetch_as_soon_as_they_are_assigned(logs: Logs) -> None:
    partition = logs.partition()
    partition.apply(led_by(OWN_ID), (OWN_ID,))
    with pytest.raises(UnknownTopicOrPartitionError):
        partition.read_replica(OTHER_ID, 1, _position(0), _MAX_BYTES)
    partition.assign((OWN_ID, OTHER_ID))
    partition.read_replica(OTHER_ID, 1, _position(0), _MAX_BYTES)
    assert logs.isr_due == [partition]


# -- following -------------------------------------------------------------------------------------


def test_only_a_follower_with_a_leader_and_a_sound_log_follows(logs: Logs) -> None:
    partition = logs.partition()
    assert partition.leader_to_follow is None
    partition.apply(led_by(OTHER_ID), _REPLICAS)
    assert partition.leader_to_follow == OTHER_ID
    partition.apply(led_by(NO_LEADER, epoch=1), _REPLICAS)
    assert partition.leader_to_follow is None
    partition.apply(led_by(OWN_ID, epoch=2), _REPLICAS)
    assert partition.leader_to_follow is None
    partition.apply(led_by(OTHER_ID, epoch=3), _REPLICAS)
    assert partition.position() == Position(0, -1, 3)
    partition.log.fail(KafkaStorageError("bad disk"))
    assert partition.leader_to_follow is None


def test_batch_that_the_high_watermark_is_within_is_not_read(logs: Logs) -> None:
    partition = logs.partition()
    partition.apply(led_by(OWN_ID, isr=(0, 1)), _REPLICAS)
    batch, header = batch_of(b"a", b"b", b"c")
    partition.append(batch, [header], acks_all=False)
    flush(partition)
    # No log that is the leader's ends there; one that is not must not harm its readers.
    partition.read_replica(OTHER_ID, 1, _position(2, last_epoch=0), 0)
    assert partition.offsets.high_watermark == 2
    assert partition.read(0, _MAX_BYTES) is None
    partition.read_replica(OTHER_ID, 1, _position(3, last_epoch=0), 0)
    found = partition.read(0, _MAX_BYTES)
    assert found is not None
    assert found.size == len(batch)


@pytest.fixture
def leader(logs: Logs) -> Partition:
    """A leader with two records of which the second is not below the high watermark."""
    partition = logs.partition()
    partition.apply(led_by(OWN_ID), _REPLICAS)
    _append(partition, b"a")
    flush(partition)
    _append(partition, b"b")
    return partition


@pytest.fixture
def disk() -> FaultyDisk:
    """The follower's."""
    return FaultyDisk()


@pytest.fixture
def flushes() -> list[bool]:
    """What the follower asked to be flushed."""
    return []


@pytest.fixture
def follower(logs: Logs, disk: FaultyDisk, flushes: list[bool]) -> Iterator[Partition]:
    """An empty one."""
    directories = LogDirectories([LOGS], disk)
    directories.open()
    directories.assign(OTHER_ID, "cluster")
    settings = topic_settings(logs.settings, {})
    partition = Partition(
        directories.create_log(PARTITION, TOPIC_ID, settings.log_options, is_new=True),
        settings,
        PartitionOptions(FlushPolicy.COMMIT, LAG_MS),
        OTHER_ID,
        logs.clock,
        initial_high_watermark=0,
        on_append=lambda _, is_awaited: flushes.append(is_awaited),
        on_isr_due=lambda _: None,
    )
    partition.apply(led_by(OWN_ID), _REPLICAS)
    yield partition
    directories.close()


def test_follower_takes_records_and_high_watermark_and_asks_for_a_flush(
    leader: Partition, follower: Partition, flushes: list[bool]
) -> None:
    follower.take(*_answer(leader, follower.position()))
    assert follower.offsets == (0, 1, 2)
    assert flushes == [True]
    assert follower.position() == Position(0, -1, 0)
    flush(follower)
    assert follower.position() == Position(2, 0, 0)


def test_high_watermark_of_a_follower_is_never_above_its_end_nor_goes_back(
    leader: Partition, follower: Partition
) -> None:
    result, headers = _answer(leader, follower.position(), max_bytes=1)
    assert len(headers) == 1
    ahead = FetchResult("t", 0, high_watermark=2, log_start_offset=0, leader_epoch=0)
    follower.take(ahead, [])
    assert follower.offsets == (0, 0, 0)
    follower.take(result, headers)
    assert follower.offsets == (0, 1, 1)
    behind = FetchResult("t", 0, high_watermark=0, log_start_offset=0, leader_epoch=0)
    follower.take(behind, [])
    assert follower.offsets == (0, 1, 1)


def test_high_watermark_of_a_follower_stays_while_its_log_is_not_known_to_be_the_leaders(
    leader: Partition, follower: Partition
) -> None:
    follower.take(*_answer(leader, follower.position()))
    follower.apply(led_by(OWN_ID, epoch=3), _REPLICAS)
    # It has to ask again before it is known how much of the rest is to go.
    diverging = FetchResult(
        "t", 0, high_watermark=2, log_start_offset=0, leader_epoch=3,
        diverging_epoch=0, diverging_end_offset=2,
    )  # fmt: skip
    follower.take(diverging, [])
    assert follower.offsets == (0, 1, 2)


def test_high_watermark_of_a_follower_stays_below_what_is_damaged(
    leader: Partition, follower: Partition, disk: FaultyDisk
) -> None:
    follower.take(*_answer(leader, follower.position()))
    flush(follower)
    disk.flip_bit(log_file(0), follower.log.size_bytes - 1)
    follower.log.inspect(1)
    assert follower.log.damaged
    follower.take(FetchResult("t", 0, high_watermark=2, log_start_offset=0, leader_epoch=0), [])
    assert follower.offsets == (0, 1, 2)


@pytest.mark.parametrize("code", [NotLeaderOrFollowerError.code, KafkaStorageError.code])
def test_error_of_the_leader_changes_nothing(
    leader: Partition, follower: Partition, code: int
) -> None:
    follower.take(*_answer(leader, follower.position()))
    refused = FetchResult("t", 0, error_code=code, leader_epoch=0)
    follower.take(refused, [])
    assert follower.offsets == (0, 1, 2)


def test_answer_that_does_not_continue_the_log_is_refused(
    leader: Partition, follower: Partition
) -> None:
    answer = _answer(leader, follower.position())
    follower.take(*answer)
    with pytest.raises(CorruptMessageError):
        follower.take(*answer)
    assert follower.offsets == (0, 1, 2)


def test_batch_of_an_epoch_that_the_leader_has_not_come_to_is_refused(
    leader: Partition, follower: Partition
) -> None:
    result, headers = _answer(leader, follower.position())
    altered = [*headers[:-1], headers[-1]._replace(leader_epoch=1 << 28)]
    with pytest.raises(CorruptMessageError, match="epoch 0 has a batch of epoch 268435456 at 1"):
        follower.take(result, altered)
    assert follower.offsets == (0, 0, 0)


def test_broker_that_leads_takes_no_answers(leader: Partition, follower: Partition) -> None:
    answer = _answer(leader, follower.position())
    follower.apply(led_by(OTHER_ID, epoch=1), _REPLICAS)
    follower.take(answer[0], answer[1])
    assert follower.log.end_offset == 0


def test_follower_waits_until_all_it_took_is_durable(
    leader: Partition, follower: Partition, flushes: list[bool]
) -> None:
    async def scenario() -> None:
        assert follower.flushing() is None
        follower.take(*_answer(leader, follower.position(), max_bytes=1))
        waiting = follower.flushing()
        assert waiting is not None
        job = follower.log.flush_job()
        assert job is not None
        job.run()
        _append(leader, b"c")
        flush(leader)
        position = Position(1, 0, 0)
        follower.take(*_answer(leader, position))
        follower.log.flushed(job, None)
        follower.on_flushed()
        assert not waiting.done()
        assert follower.flushing() is waiting
        flush(follower)
        assert waiting.done()
        assert follower.flushing() is None
        assert all(flushes)

    asyncio.run(scenario())


def test_leader_that_stood_back_flushes_before_it_says_what_it_has(logs: Logs) -> None:
    async def scenario() -> None:
        partition = logs.led()
        _append(partition, b"a")
        partition.apply(led_by(OTHER_ID, epoch=1), _REPLICAS)
        logs.appended.clear()
        assert partition.flushing() is not None
        assert logs.appended == [partition]

    asyncio.run(scenario())


@pytest.mark.parametrize("policy", [FlushPolicy.OS, FlushPolicy.INTERVAL])
def test_follower_waits_for_no_flush_under_other_policies(
    logs: Logs, leader: Partition, policy: FlushPolicy
) -> None:
    partition = logs.partition(1, policy=policy)
    partition.apply(led_by(OTHER_ID), _REPLICAS)
    partition.take(*_answer(leader, _position(0)))
    assert partition.log.durable_end_offset == 0
    assert partition.position() == Position(2, 0, 0)
    assert partition.flushing() is None


@pytest.mark.parametrize("end", ["flush fails", "partition goes", "log had failed"])
def test_who_waits_for_a_flush_hears_that_it_will_not_come(
    leader: Partition, follower: Partition, end: str
) -> None:
    async def scenario() -> None:
        follower.take(*_answer(leader, follower.position()))
        if end == "log had failed":
            follower.log.fail(KafkaStorageError("bad disk"))
        waiting = follower.flushing()
        assert waiting is not None
        if end == "flush fails":
            follower.on_flush_failed(KafkaStorageError("bad disk"))
        elif end == "partition goes":
            follower.close(UnknownTopicOrPartitionError("gone"))
        with pytest.raises(LogError):
            await asyncio.wait_for(waiting, 0)

    asyncio.run(scenario())


def test_full_disk_fails_the_answer_and_not_the_follower(
    leader: Partition, follower: Partition, disk: FaultyDisk
) -> None:
    answer = _answer(leader, follower.position())
    disk.fail_next("writev", errno.ENOSPC)
    with pytest.raises(KafkaStorageError):
        follower.take(*answer)
    assert follower.leader_to_follow == OWN_ID
    assert follower.refusal is not None
    follower.take(*answer)
    assert follower.refusal is None
    assert follower.offsets == (0, 1, 2)


def _kept(logs: Logs, budget: RecentBudget) -> Partition:
    partition = logs.partition(recent=budget)
    partition.apply(led_by(OWN_ID), _REPLICAS)
    return partition


def test_followers_are_given_what_was_just_appended_from_memory_until_all_have_it(
    logs: Logs,
) -> None:
    budget = RecentBudget()
    room = budget.left
    partition = _kept(logs, budget)
    _append(partition, b"a")
    read = partition.read_replica(OTHER_ID, 100, Position(0, -1, 0), _MAX_BYTES).piece
    assert isinstance(read, RecentRead)
    assert read.read() == partition.log.read(0, _MAX_BYTES, 1).read()
    assert budget.left < room
    flush(partition)
    assert partition.offsets.high_watermark == 1
    assert budget.left == room
    late = partition.read_replica(OTHER_ID, 100, Position(0, -1, 0), _MAX_BYTES).piece
    assert isinstance(late, LogRead)


def _to_another(partition: Partition) -> None:
    partition.apply(led_by(OTHER_ID, epoch=1), _REPLICAS)


def _to_nobody(partition: Partition) -> None:
    partition.close(KafkaStorageError("gone"))


def _to_one_replica(partition: Partition) -> None:
    partition.assign((OWN_ID,))


@pytest.mark.parametrize("change", [_to_another, Partition.step_down, _to_nobody, _to_one_replica])
def test_nothing_is_kept_in_memory_once_nobody_is_to_have_it(
    logs: Logs, change: Callable[[Partition], None]
) -> None:
    budget = RecentBudget()
    room = budget.left
    partition = _kept(logs, budget)
    _append(partition, b"a")
    change(partition)
    assert (partition.log.recent, budget.left) == (None, room)


def test_nothing_is_kept_in_memory_of_a_partition_without_followers(logs: Logs) -> None:
    partition = logs.partition(recent=RecentBudget())
    partition.apply(led_by(OWN_ID), (OWN_ID,))
    assert partition.log.recent is None
    partition.assign(_REPLICAS)
    assert partition.log.recent is not None
