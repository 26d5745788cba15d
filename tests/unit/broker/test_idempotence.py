"""IDP-1 to IDP-4, IDP-8: what the broker answers idempotent producers that send again."""

import asyncio
import errno

import pytest

from kafkalite.broker.append import AppendPath
from kafkalite.broker.appended import Appended, joined, stored_before
from kafkalite.broker.housekeeping import expire_producers
from kafkalite.broker.partition import Partition
from kafkalite.broker.probes import DataProbe
from kafkalite.model.compression import Compression
from kafkalite.model.errors import KafkaStorageError
from kafkalite.model.offsets import NO_OFFSET
from kafkalite.model.record import NO_TIMESTAMP
from kafkalite.storage.producer_state import StoredBatch
from kafkalite.wire.batch import HEADER_SIZE, TRANSACTIONAL_BIT, read_headers, seal
from kafkalite.wire.messages import ACKS_ALL, PartitionBatches, ProduceRequest, ProduceResult
from tests.support.forwarding import forwarding
from tests.support.idempotent import idempotent
from tests.support.partitions import (
    NOW_MS,
    OTHER_ID,
    OWN_ID,
    Logs,
    OpenPartitions,
    batch_of,
    flush,
    led_by,
    values_of,
)


class _Path:
    """The produce path of one broker that leads one partition."""

    def __init__(self, logs: Logs, config: dict[str, str] | None = None) -> None:
        self.partition = logs.led(config=config)
        self.probe = DataProbe()
        self._path = AppendPath(OpenPartitions(self.partition).table(), forwarding(), self.probe)

    async def send(self, *batches: bytes, acks: int = 1, timeout_ms: int = 60_000) -> ProduceResult:
        """One entry with some batches."""
        entry = PartitionBatches("t", 0, memoryview(b"".join(batches)))
        (result,) = await self._path.append(ProduceRequest([entry], acks, timeout_ms))
        return result

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


def _batch(*values: bytes, sequence: int, epoch: int = 0, producer_id: int = 7) -> bytes:
    return idempotent(
        *values, sequence=sequence, epoch=epoch, producer_id=producer_id, timestamp=NOW_MS
    )[0]


def test_a_batch_that_is_sent_again_is_stored_once_and_answered_with_its_offset(logs: Logs) -> None:
    async def scenario() -> None:
        path = _Path(logs)
        first, second = _batch(b"a", b"b", sequence=0), _batch(b"c", sequence=2)
        assert (await path.send(first)).base_offset == 0
        assert (await path.send(second)).base_offset == 2
        again = await path.send(first)
        assert (again.error_code, again.base_offset) == (0, 0)
        assert (await path.send(second)).base_offset == 2
        flush(path.partition)
        assert values_of(path.partition) == [b"a", b"b", b"c"]
        assert path.probe.produce_duplicates == 2
        assert path.probe.produce_records == 3

    asyncio.run(scenario())


def test_a_retry_is_acknowledged_only_when_the_first_attempt_is_durable(logs: Logs) -> None:
    async def scenario() -> None:
        path = _Path(logs)
        batch = _batch(b"a", sequence=0)
        attempts = [
            asyncio.create_task(path.send(batch, acks=ACKS_ALL)),
            asyncio.create_task(path.send(batch, acks=ACKS_ALL)),
        ]
        await path.settle()
        attempts.append(asyncio.create_task(path.send(batch, acks=ACKS_ALL)))
        await path.settle()
        assert not any(each.done() for each in attempts)
        flush(path.partition)
        assert [(await each).base_offset for each in attempts] == [0, 0, 0]
        assert path.partition.log.end_offset == 1

    asyncio.run(scenario())


def test_a_retry_with_acks_1_is_answered_at_once(logs: Logs) -> None:
    async def scenario() -> None:
        path = _Path(logs)
        batch = _batch(b"a", sequence=0)
        await path.send(batch)
        assert (await path.send(batch)).error_code == 0
        assert path.partition.offsets.high_watermark == 0

    asyncio.run(scenario())


def test_a_retry_whose_first_attempt_is_not_safe_in_time_is_told_so(logs: Logs) -> None:
    async def scenario() -> None:
        path = _Path(logs)
        batch = _batch(b"a", sequence=0)
        await path.send(batch)
        result = await path.send(batch, acks=ACKS_ALL, timeout_ms=1)
        assert result.error == "REQUEST_TIMED_OUT"
        assert result.base_offset == 0

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("sequence", "epoch", "producer_id", "error"),
    [
        (5, 1, 7, "OUT_OF_ORDER_SEQUENCE_NUMBER"),
        (2, 2, 7, "OUT_OF_ORDER_SEQUENCE_NUMBER"),
        (2, 0, 7, "INVALID_PRODUCER_EPOCH"),
        (1, 0, 8, "UNKNOWN_PRODUCER_ID"),
    ],
)
def test_what_does_not_follow_is_refused_on_the_result_of_its_partition(
    logs: Logs, sequence: int, epoch: int, producer_id: int, error: str
) -> None:
    async def scenario() -> None:
        path = _Path(logs)
        await path.send(_batch(b"a", b"b", sequence=0, epoch=1))
        refused = _batch(b"c", sequence=sequence, epoch=epoch, producer_id=producer_id)
        result = await path.send(refused, acks=ACKS_ALL)
        assert (result.error, result.base_offset) == (error, NO_OFFSET)
        assert path.partition.log.end_offset == 2
        assert path.probe.produce_errors == 1

    asyncio.run(scenario())


def test_an_unknown_producer_is_told_where_the_log_begins(logs: Logs) -> None:
    """So it can tell that what it was acknowledged for was deleted, and is not lost."""

    async def scenario() -> None:
        path = _Path(logs)
        await path.send(_batch(b"a", b"b", sequence=0))
        flush(path.partition)
        path.partition.delete_records(2)
        result = await path.send(_batch(b"c", sequence=4, producer_id=9))
        assert (result.error, result.log_start_offset) == ("UNKNOWN_PRODUCER_ID", 2)

    asyncio.run(scenario())


def test_a_retry_of_deleted_records_is_still_found(logs: Logs) -> None:
    async def scenario() -> None:
        path = _Path(logs)
        batch = _batch(b"a", b"b", sequence=0)
        await path.send(batch)
        flush(path.partition)
        path.partition.delete_records(2)
        result = await path.send(batch, acks=ACKS_ALL)
        assert (result.error_code, result.base_offset) == (0, 0)
        assert path.partition.log.end_offset == 2

    asyncio.run(scenario())


def test_what_was_not_replicated_when_another_took_the_lead_is_appended_anew(logs: Logs) -> None:
    async def scenario() -> None:
        path = _Path(logs)
        kept, lost = _batch(b"a", sequence=0), _batch(b"b", sequence=1)
        await path.send(kept)
        first = asyncio.create_task(path.send(lost, acks=ACKS_ALL))
        await path.settle()
        path.partition.apply(led_by(OTHER_ID, epoch=1))
        assert (await first).error == "NOT_LEADER_OR_FOLLOWER"
        path.partition.log.truncate_to(1)  # as the new leader says
        path.partition.apply(led_by(OWN_ID, epoch=2))
        again = await path.send(lost)
        assert (again.error_code, again.base_offset) == (0, 1)
        assert (await path.send(kept)).base_offset == 0
        flush(path.partition)
        assert values_of(path.partition) == [b"a", b"b"]

    asyncio.run(scenario())


def test_a_leader_knows_what_it_followed(logs: Logs) -> None:
    async def scenario() -> None:
        path = _Path(logs)
        batch = _batch(b"a", sequence=0)
        await path.send(batch)
        path.partition.apply(led_by(OTHER_ID, epoch=1))
        path.partition.apply(led_by(OWN_ID, epoch=2))
        assert (await path.send(batch)).base_offset == 0
        assert path.partition.log.end_offset == 1

    asyncio.run(scenario())


def test_an_append_that_failed_may_be_sent_again(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        path = _Path(logs)
        batch = _batch(b"a", sequence=0)
        writer = path.partition.log._writer

        def full(*_: object) -> None:
            raise KafkaStorageError("no room") from OSError(errno.ENOSPC, "no room")

        with monkeypatch.context() as patched:
            patched.setattr(type(writer), "write", full)
            assert (await path.send(batch)).error == "KAFKA_STORAGE_ERROR"
        result = await path.send(batch)
        assert (result.error_code, result.base_offset) == (0, 0)
        assert path.probe.produce_duplicates == 0

    asyncio.run(scenario())


def test_several_batches_of_one_entry_may_be_partly_stored(logs: Logs) -> None:
    async def scenario() -> None:
        path = _Path(logs)
        one, two, three = (_batch(b"%d" % n, sequence=n) for n in range(3))
        await path.send(one, two)
        dense = await path.send(one, two, three)
        assert (dense.error_code, dense.base_offset) == (0, 0)
        assert path.partition.log.end_offset == 3
        await path.send(_batch(b"other", sequence=0, producer_id=8))
        apart = await path.send(three, _batch(b"3", sequence=3), acks=1)
        assert (apart.error_code, apart.base_offset) == (0, NO_OFFSET)
        flush(path.partition)
        assert values_of(path.partition) == [b"0", b"1", b"2", b"other", b"3"]

    asyncio.run(scenario())


def test_batches_of_several_producers_in_one_entry_are_refused(logs: Logs) -> None:
    async def scenario() -> None:
        path = _Path(logs)
        for other in (
            _batch(b"b", sequence=0, producer_id=8),
            _batch(b"b", sequence=0, epoch=1),
            batch_of(b"b")[0],
        ):
            mixed = await path.send(_batch(b"a", sequence=0), other)
            assert mixed.error == "INVALID_REQUEST", mixed
        assert path.partition.log.end_offset == 0

    asyncio.run(scenario())


def test_a_retry_gets_the_time_at_which_it_was_stored(logs: Logs) -> None:
    async def scenario() -> None:
        path = _Path(logs, {"message.timestamp.type": "LogAppendTime"})
        batch = _batch(b"a", sequence=0)
        logs.clock.now_ms = NOW_MS + 5
        assert (await path.send(batch)).log_append_time == NOW_MS + 5
        logs.clock.now_ms = NOW_MS + 9
        assert (await path.send(batch)).log_append_time == NOW_MS + 5

    asyncio.run(scenario())


def test_a_retry_is_found_though_its_records_are_too_old_by_now(logs: Logs) -> None:
    async def scenario() -> None:
        path = _Path(logs, {"message.timestamp.before.max.ms": "1000"})
        batch = _batch(b"a", sequence=0)
        await path.send(batch)
        logs.clock.now_ms += 5_000
        assert (await path.send(batch)).base_offset == 0
        assert (await path.send(_batch(b"b", sequence=1))).error == "INVALID_TIMESTAMP"
        logs.clock.now_ms -= 5_000
        assert (await path.send(_batch(b"b", sequence=1))).base_offset == 1

    asyncio.run(scenario())


def test_a_batch_that_is_compressed_anew_stays_its_producers(logs: Logs) -> None:
    async def scenario() -> None:
        path = _Path(logs, {"compression.type": "zstd"})
        batch = _batch(b"a" * 500, sequence=0)
        await path.send(batch)
        assert (await path.send(batch)).base_offset == 0
        flush(path.partition)
        read = path.partition.read(0, 10_000)
        assert read is not None
        (header,) = read_headers(read.read())
        assert header.compression == Compression.ZSTD
        assert (header.producer_id, header.producer_epoch, header.base_sequence) == (7, 0, 0)

    asyncio.run(scenario())


def test_a_transactional_batch_is_refused(logs: Logs) -> None:
    async def scenario() -> None:
        path = _Path(logs)
        batch, header = idempotent(b"a", sequence=0)
        transactional, _ = seal(
            header._replace(attributes=header.attributes | TRANSACTIONAL_BIT), batch[HEADER_SIZE:]
        )
        result = await path.send(transactional)
        assert result.error == "INVALID_REQUEST"
        assert "Transactional" in result.message

    asyncio.run(scenario())


def test_producers_are_forgotten_when_they_expire(logs: Logs) -> None:
    async def scenario() -> None:
        path = _Path(logs)
        await path.send(_batch(b"a", sequence=0))
        logs.clock.now_ms += 999
        await expire_producers([path.partition], logs.clock, 1_000)
        assert (await path.send(_batch(b"b", sequence=1))).base_offset == 1
        logs.clock.now_ms += 1_000
        await expire_producers([path.partition], logs.clock, 1_000)
        result = await path.send(_batch(b"c", sequence=2))
        assert result.error == "UNKNOWN_PRODUCER_ID"
        assert (await path.send(_batch(b"c", sequence=0, epoch=1))).base_offset == 2

    asyncio.run(scenario())


def test_batches_without_a_producer_id_are_told_from_nobody(logs: Logs) -> None:
    partition: Partition = logs.led()
    batch, header = batch_of(b"a")
    for offset in range(3):
        assert partition.append(batch, [header], acks_all=False).base_offset == offset


def _stored(base_offset: int, count: int, timestamp: int = 5) -> StoredBatch:
    return StoredBatch(0, 0, base_offset, base_offset + count - 1, timestamp)


def test_stored_batches_have_one_offset_where_they_are_dense() -> None:
    dense = stored_before([_stored(4, 2), _stored(6, 1, 9)], has_append_time=True)
    assert dense == Appended(4, 7, 9, 0)
    apart = stored_before([_stored(4, 2), _stored(8, 1)], has_append_time=False)
    assert apart == Appended(NO_OFFSET, 9, NO_TIMESTAMP, 0)
    backward = stored_before([_stored(8, 2), _stored(4, 1)], has_append_time=False)
    assert backward == Appended(NO_OFFSET, 10, NO_TIMESTAMP, 0)


def test_what_is_new_joins_what_was_stored_where_it_follows() -> None:
    before = Appended(4, 7, NO_TIMESTAMP, 0)
    rest = Appended(7, 9, NO_TIMESTAMP, 2)
    assert joined(before, rest) == Appended(4, 9, NO_TIMESTAMP, 2)
    later = Appended(8, 9, NO_TIMESTAMP, 1)
    assert joined(before, later).base_offset == NO_OFFSET
    assert joined(before._replace(base_offset=NO_OFFSET), rest).base_offset == NO_OFFSET
