"""INV-3, INV-4, INV-5: who may write and read a partition, and how far."""

import asyncio

import pytest

from kafkalite.broker.partition import Partition
from kafkalite.broker.waiters import wait_any
from kafkalite.config.topic_config import topic_settings
from kafkalite.config.views import FlushPolicy
from kafkalite.model.compression import Compression
from kafkalite.model.errors import (
    CorruptMessageError,
    FencedLeaderEpochError,
    InvalidTimestampError,
    KafkaStorageError,
    LeaderNotAvailableError,
    LogError,
    MessageTooLargeError,
    NotEnoughReplicasError,
    NotLeaderOrFollowerError,
    OffsetOutOfRangeError,
    RequestTimedOutError,
    UnknownLeaderEpochError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import NO_LEADER
from kafkalite.wire.batch import header_at, read_headers
from tests.support.partitions import (
    NOW_MS,
    OTHER_ID,
    OWN_ID,
    Logs,
    batch_of,
    flush,
    led_by,
    values_of,
)


def _append(partition: Partition, *values: bytes, acks_all: bool = True) -> int:
    batch, header = batch_of(*values)
    return partition.append(batch, [header], acks_all=acks_all).base_offset


# -- leading ---------------------------------------------------------------------------------------


def test_partition_takes_and_gives_nothing_before_it_leads(logs: Logs) -> None:
    partition = logs.partition()
    with pytest.raises(LeaderNotAvailableError):
        _append(partition, b"a")
    with pytest.raises(LeaderNotAvailableError):
        partition.read(0, 100)
    with pytest.raises(LeaderNotAvailableError):
        partition.delete_records(0)


@pytest.mark.parametrize(
    ("leader", "error"),
    [(OTHER_ID, NotLeaderOrFollowerError), (NO_LEADER, LeaderNotAvailableError)],
)
def test_partition_takes_and_gives_nothing_when_it_leads_no_more(
    logs: Logs, leader: int, error: type[LogError]
) -> None:
    partition = logs.led()
    partition.apply(led_by(leader, epoch=1))
    with pytest.raises(error) as refused:
        _append(partition, b"a")
    if leader == OTHER_ID:
        assert refused.value.extra["leader_id"] == OTHER_ID
    else:
        assert "it waits for broker" in refused.value.detail
    with pytest.raises(error):
        partition.read(0, 100)


def test_state_of_an_older_epoch_changes_nothing(logs: Logs) -> None:
    partition = logs.partition()
    partition.apply(led_by(OTHER_ID, epoch=5))
    partition.apply(led_by(OWN_ID, epoch=4))
    assert not partition.is_leader
    assert partition.leader_epoch == 5


def test_batches_carry_the_epoch_in_which_they_were_taken(logs: Logs) -> None:
    partition = logs.led()
    _append(partition, b"a")
    partition.apply(led_by(OWN_ID, epoch=3))
    _append(partition, b"b")
    flush(partition)
    read = partition.read(0, 1000)
    assert read is not None
    assert [header.leader_epoch for header in read_headers(read.read())] == [0, 3]


@pytest.mark.parametrize(
    ("epoch", "error"), [(1, FencedLeaderEpochError), (3, UnknownLeaderEpochError)]
)
def test_request_of_another_epoch_is_refused(logs: Logs, epoch: int, error: type[LogError]) -> None:
    partition = logs.partition()
    partition.apply(led_by(OWN_ID, epoch=2))
    with pytest.raises(error):
        partition.read(0, 100, epoch=epoch)
    assert partition.read(0, 100, epoch=2) is None


def test_lost_session_ends_the_leadership_until_a_state_is_applied_anew(logs: Logs) -> None:
    partition = logs.led()
    partition.step_down()
    with pytest.raises(LeaderNotAvailableError):
        _append(partition, b"a")
    partition.apply(led_by(OWN_ID, epoch=0))
    assert _append(partition, b"a") == 0


# -- the high watermark ----------------------------------------------------------------------------


def test_reader_sees_nothing_that_is_not_durable_under_commit(logs: Logs) -> None:
    partition = logs.led()
    _append(partition, b"a", b"b", acks_all=False)
    assert partition.offsets == (0, 0, 2)
    assert values_of(partition) == []
    flush(partition)
    assert partition.offsets == (0, 2, 2)
    assert values_of(partition) == [b"a", b"b"]


@pytest.mark.parametrize("policy", [FlushPolicy.OS, FlushPolicy.INTERVAL])
def test_reader_sees_what_is_appended_under_other_policies(logs: Logs, policy: FlushPolicy) -> None:
    partition = logs.partition(policy=policy)
    partition.apply(led_by(OWN_ID))
    _append(partition, b"a")
    assert values_of(partition) == [b"a"]


def test_high_watermark_never_goes_back(logs: Logs) -> None:
    partition = logs.led()
    for value in (b"a", b"b", b"c"):
        _append(partition, value)
    early = partition.log.flush_job()
    assert early is not None
    flush(partition)
    partition.log.flushed(early, None)
    partition.on_flushed()
    assert partition.offsets.high_watermark == 3
    partition.step_down()
    partition.apply(led_by(OWN_ID, epoch=1))
    assert partition.offsets.high_watermark == 3


def test_high_watermark_stays_while_another_broker_leads(logs: Logs) -> None:
    partition = logs.led()
    _append(partition, b"a")
    partition.apply(led_by(OTHER_ID, epoch=1))
    flush(partition)
    assert partition.offsets.high_watermark == 0
    partition.apply(led_by(OWN_ID, epoch=2))
    assert partition.offsets.high_watermark == 1


def test_leader_asks_for_a_flush_of_what_it_finds(logs: Logs) -> None:
    partition = logs.led()
    assert logs.appended == [partition]
    _append(partition, b"a")
    assert logs.appended == [partition] * 2


def test_offset_between_high_watermark_and_end_is_not_out_of_range(logs: Logs) -> None:
    partition = logs.led()
    _append(partition, b"a", b"b")
    assert partition.read(1, 100) is None
    assert partition.read(2, 100) is None
    with pytest.raises(OffsetOutOfRangeError) as refused:
        partition.read(3, 100)
    assert refused.value.extra == {"log_start_offset": 0, "high_watermark": 0}


# -- acknowledgements ------------------------------------------------------------------------------


def test_producer_is_answered_when_its_records_are_durable(logs: Logs) -> None:
    async def scenario() -> None:
        partition = logs.led()
        _append(partition, b"a")
        first = partition.committed(1, 1000)
        assert first is not None
        assert not first.done()
        flush(partition)
        assert first.done()
        assert partition.committed(1, 1000) is None

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "end", ["lost session", "other leader", "deletion", "failed flush", "timeout"]
)
def test_producer_is_told_when_its_records_cannot_be_confirmed(logs: Logs, end: str) -> None:
    ends = {
        "lost session": (Partition.step_down, NotLeaderOrFollowerError),
        "other leader": (
            lambda partition: partition.apply(led_by(OTHER_ID, epoch=1)),
            NotLeaderOrFollowerError,
        ),
        "deletion": (
            lambda partition: partition.close(UnknownTopicOrPartitionError("gone")),
            UnknownTopicOrPartitionError,
        ),
        "failed flush": (
            lambda partition: partition.on_flush_failed(KafkaStorageError("bad disk")),
            KafkaStorageError,
        ),
        "timeout": (lambda _: None, RequestTimedOutError),
    }

    async def scenario() -> None:
        partition = logs.led()
        _append(partition, b"a")
        waiting = partition.committed(1, 0 if end == "timeout" else 60_000)
        assert waiting is not None
        act, error = ends[end]
        act(partition)
        with pytest.raises(error):
            await waiting

    asyncio.run(scenario())


def test_readers_wake_when_there_is_more_and_when_they_must_go_elsewhere(logs: Logs) -> None:
    async def scenario() -> None:
        partition = logs.led()

        async def woken() -> bool:
            return await wait_any([partition.readers], 60)

        def commit() -> None:
            _append(partition, b"a")
            flush(partition)

        for act in (
            commit,
            partition.step_down,
            lambda: partition.close(UnknownTopicOrPartitionError("gone")),
        ):
            reader = asyncio.create_task(woken())
            await asyncio.sleep(0)
            act()
            assert await reader

    asyncio.run(scenario())


def test_acks_all_needs_enough_replicas_in_sync(logs: Logs) -> None:
    partition = logs.led(config={"min.insync.replicas": "2"})
    with pytest.raises(NotEnoughReplicasError):
        _append(partition, b"a")
    assert partition.log.end_offset == 0
    assert _append(partition, b"a", acks_all=False) == 0
    partition.apply(led_by(OWN_ID, epoch=1, isr=(0, 1)))
    assert _append(partition, b"b") == 1


# -- what the topic wants --------------------------------------------------------------------------


def test_built_batch_is_refused_when_it_is_larger_than_the_topic_takes(logs: Logs) -> None:
    partition = logs.led(config={"max.message.bytes": "1000"})
    batch, header = batch_of(b"x" * 1000)
    with pytest.raises(MessageTooLargeError, match=r"max\.message\.bytes"):
        partition.append_built(batch, header, acks_all=True)
    partition.reconfigure(topic_settings(logs.settings, {}))
    partition.append_built(batch, header, acks_all=True)


@pytest.mark.parametrize("offset_ms", [-60_001, 60_001])
def test_timestamps_are_refused_beyond_their_bounds(logs: Logs, offset_ms: int) -> None:
    partition = logs.led(
        config={
            "message.timestamp.before.max.ms": "60000",
            "message.timestamp.after.max.ms": "60000",
        }
    )
    batch, header = batch_of(b"a", timestamp=NOW_MS + offset_ms)
    with pytest.raises(InvalidTimestampError):
        partition.append(batch, [header], acks_all=True)
    batch, header = batch_of(b"a", timestamp=NOW_MS + offset_ms // 60_001 * 60_000)
    partition.append(batch, [header], acks_all=True)


def test_batches_get_the_brokers_time_where_the_topic_wants_it(logs: Logs) -> None:
    partition = logs.led(config={"message.timestamp.type": "LogAppendTime"})
    first, first_header = batch_of(b"a", b"b", timestamp=5)
    second, second_header = batch_of(b"c", timestamp=6)
    logs.clock.now_ms = NOW_MS + 7
    appended = partition.append(first + second, [first_header, second_header], acks_all=True)
    assert appended == (0, 3, NOW_MS + 7, 3)
    flush(partition)
    read = partition.read(0, 10_000)
    assert read is not None
    for header in read_headers(read.read()):
        assert header.max_timestamp == NOW_MS + 7
    assert values_of(partition) == [b"a", b"b", b"c"]


def test_batch_is_compressed_as_the_topic_stores_it_unless_it_is_too_large_then(
    logs: Logs,
) -> None:
    partition = logs.led(config={"compression.type": "gzip", "max.message.bytes": "3000"})
    batch, header = batch_of(b"x" * 2000)
    stored, stored_header = partition.as_stored(batch, header)
    assert stored_header == header_at(stored, 0)
    assert stored_header.compression == Compression.GZIP
    assert partition.as_stored(stored, stored_header) == (stored, stored_header)
    unpacked = logs.led(1, config={"compression.type": "uncompressed", "max.message.bytes": "300"})
    with pytest.raises(MessageTooLargeError, match=r"max\.message\.bytes"):
        unpacked.as_stored(stored, stored_header)


# -- deleting records, damage ----------------------------------------------------------------------


def test_records_are_deleted_up_to_the_high_watermark_and_no_further(logs: Logs) -> None:
    partition = logs.led()
    for value in (b"a", b"b", b"c"):
        _append(partition, value)
    with pytest.raises(OffsetOutOfRangeError):
        partition.delete_records(1)
    flush(partition)
    assert partition.delete_records(2) == 2
    assert partition.delete_records(1) == 2
    with pytest.raises(OffsetOutOfRangeError):
        partition.read(1, 100)
    assert partition.delete_records(-1) == 3
    with pytest.raises(OffsetOutOfRangeError):
        partition.delete_records(4)


def test_damage_that_a_reader_met_is_named_from_then_on(logs: Logs) -> None:
    partition = logs.led()
    for value in (b"a" * 100, b"b" * 100, b"c" * 100):
        _append(partition, value)
    flush(partition)
    (log_file,) = partition.log.directory.glob("*.log")
    data = bytearray(log_file.read_bytes())
    data[len(data) // 2] ^= 1
    log_file.write_bytes(data)
    found = CorruptMessageError("as the decoder said")
    with pytest.raises(CorruptMessageError) as named:
        partition.inspect(1, found)
    assert (named.value.extra["damaged_start"], named.value.extra["damaged_end"]) == (1, 2)
    with pytest.raises(CorruptMessageError):
        partition.read(1, 100)
    assert values_of(partition, 2) == [b"c" * 100]
    with pytest.raises(CorruptMessageError, match="as the decoder said"):
        partition.inspect(2, found)
