"""The fetch path: what each partition gives, budgets, and waiting."""

import asyncio
import errno
from collections.abc import Awaitable, Callable, Iterator

import pytest

from kafkalite.broker.fetch import FetchPath
from kafkalite.broker.partition import Partition
from kafkalite.broker.ports import StoreUnavailableError
from kafkalite.broker.probes import DataProbe
from kafkalite.broker.replication.leadership_proof import LeadershipProof
from kafkalite.model.errors import (
    KafkaStorageError,
    NotLeaderOrFollowerError,
    OffsetNotAvailableError,
    OffsetOutOfRangeError,
    UnknownTopicOrPartitionError,
)
from kafkalite.storage.log_read import LogRead
from kafkalite.wire.batch import HEADER_SIZE, read_headers
from kafkalite.wire.messages import FetchPartition, FetchRequest
from tests.support.forwarding import forwarding, up_to_date
from tests.support.partitions import OTHER_ID, Logs, OpenPartitions, batch_of, flush, led_by

_BATCH = b"x" * 1000
_BATCH_BYTES = len(batch_of(_BATCH)[0])
_FOR_EVER_MS = 60_000
assert _BATCH_BYTES < 1000 + HEADER_SIZE + 20


class _Reading:
    """A fetch path over two partitions of which the first holds ten batches."""

    def __init__(self, logs: Logs) -> None:
        self.full, self.empty = logs.led(0), logs.led(1)
        _fill(self.full, 10)
        self.probe = DataProbe()
        table = OpenPartitions(self.full, self.empty).table()
        self.heard: Callable[[], Awaitable[None]] = up_to_date
        """What bringing the view up to date comes to."""
        self.path = FetchPath(
            table,
            forwarding(),
            LeadershipProof(self._hear, logs.clock),
            logs.clock,
            self.probe,
            max_bytes=1 << 20,
            max_wait_ms=_FOR_EVER_MS,
        )

    async def _hear(self) -> None:
        await self.heard()

    def batches(self, *partitions: FetchPartition, max_bytes: int = 1 << 20) -> list[int]:
        """How many batches each partition gives."""
        request = FetchRequest(list(partitions), min_bytes=0, max_bytes=max_bytes)
        reads = self.path.try_fetch(request)
        assert reads is not None
        return [
            len(read_headers(b"".join(piece.read() for piece in read.pieces))) for read in reads
        ]


@pytest.fixture
def reading(logs: Logs) -> Iterator[_Reading]:
    made = _Reading(logs)
    yield made
    made.path.close()


def _fill(partition: Partition, count: int) -> None:
    for _ in range(count):
        batch, header = batch_of(_BATCH)
        partition.append(batch, [header], acks_all=False)
    flush(partition)


def _from(offset: int, number: int = 0, *, batches: float = 100) -> FetchPartition:
    return FetchPartition("t", number, offset, int(batches * _BATCH_BYTES))


def test_each_partition_is_bounded_and_all_share_a_budget(reading: _Reading) -> None:
    assert reading.batches(_from(0), _from(0, 1)) == [10, 0]
    assert reading.batches(_from(0, batches=3)) == [3]
    assert reading.batches(_from(0, batches=3), _from(3, batches=3)) == [3, 3]
    budget = 4 * _BATCH_BYTES
    assert reading.batches(_from(0, batches=3), _from(3, batches=3), max_bytes=budget) == [3, 1]
    assert reading.batches(_from(0), _from(5), max_bytes=budget) == [4, 0]


@pytest.mark.parametrize("batches", [0, 0.5, 1.5])
def test_one_batch_comes_whatever_the_limit(reading: _Reading, batches: float) -> None:
    assert reading.batches(_from(4, batches=batches)) == [1]


def test_large_read_comes_in_pieces_that_follow_each_other(reading: _Reading) -> None:
    reads = reading.path.try_fetch(FetchRequest([_from(0)]), 3 * _BATCH_BYTES)
    assert reads is not None
    pieces = reads[0].pieces
    assert len(pieces) == 4
    assert sum(piece.size for piece in pieces) == 10 * _BATCH_BYTES == reads[0].size
    headers = read_headers(b"".join(piece.read() for piece in pieces))
    assert [header.base_offset for header in headers] == list(range(10))


def test_error_of_one_partition_is_told_at_once_beside_what_the_others_give(
    reading: _Reading,
) -> None:
    request = FetchRequest([_from(0), _from(0, 7)], min_bytes=1 << 30, max_wait_ms=_FOR_EVER_MS)
    reads = reading.path.try_fetch(request)
    assert reads is not None
    assert reads[0].size == 10 * _BATCH_BYTES
    assert isinstance(reads[1].error, UnknownTopicOrPartitionError)
    assert reading.probe.fetch_errors == 1


def test_fetch_waits_until_there_is_enough(reading: _Reading) -> None:
    async def scenario() -> None:
        request = FetchRequest(
            [_from(0), _from(0, 1)], min_bytes=12 * _BATCH_BYTES, max_wait_ms=_FOR_EVER_MS
        )
        assert reading.path.try_fetch(request) is None
        waiting = asyncio.create_task(reading.path.fetch(request))
        await asyncio.sleep(0)
        assert reading.probe.waiting_fetches == 1
        _fill(reading.empty, 1)
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waiting.done()
        _fill(reading.empty, 1)
        reads = await waiting
        assert [read.size for read in reads] == [10 * _BATCH_BYTES, 2 * _BATCH_BYTES]
        assert reading.probe.waiting_fetches == 0
        assert reading.probe.fetch_requests == 1

    asyncio.run(scenario())


def test_fetch_of_many_entries_lets_others_run_between_them(reading: _Reading) -> None:
    async def scenario() -> None:
        request = FetchRequest([_from(0)] * 950, max_wait_ms=_FOR_EVER_MS)
        assert reading.path.try_fetch(request) is None
        fetching = asyncio.create_task(reading.path.fetch(request))
        turns = 0
        while not fetching.done():
            turns += 1
            await asyncio.sleep(0)
        assert turns >= 10
        reads = fetching.result()
        assert len(reads) == 950
        # The budget is shared, as in one turn.
        assert sum(read.size for read in reads) < (1 << 20) + _BATCH_BYTES
        assert reading.probe.fetch_requests == 1

    asyncio.run(scenario())


def test_fetch_of_many_entries_hears_of_a_record_that_comes_while_it_looks(
    reading: _Reading,
) -> None:
    async def scenario() -> None:
        request = FetchRequest([_from(0, 1)] + [_from(10)] * 200, max_wait_ms=_FOR_EVER_MS)
        fetching = asyncio.create_task(reading.path.fetch(request))
        await asyncio.sleep(0)  # it has looked at the first hundred
        _fill(reading.empty, 1)
        reads = await asyncio.wait_for(fetching, 30)
        assert reads[0].size == _BATCH_BYTES

    asyncio.run(scenario())


def test_fetch_gives_what_there_is_when_its_time_is_up(logs: Logs, reading: _Reading) -> None:
    async def scenario() -> None:
        request = FetchRequest([_from(0)], min_bytes=1 << 30, max_wait_ms=1_000)
        waiting = asyncio.create_task(reading.path.fetch(request))
        await asyncio.sleep(0)
        logs.clock.now_ms += 1_000
        reading.full.readers.wake()
        assert [read.size for read in await waiting] == [10 * _BATCH_BYTES]

    asyncio.run(scenario())


def test_fetch_ends_when_the_partition_is_led_elsewhere(reading: _Reading) -> None:
    async def scenario() -> None:
        request = FetchRequest([_from(0, 1)], max_wait_ms=_FOR_EVER_MS)
        waiting = asyncio.create_task(reading.path.fetch(request))
        await asyncio.sleep(0)
        reading.empty.apply(led_by(OTHER_ID, epoch=1))
        (read,) = await waiting
        assert read.error is not None
        assert read.error.extra["leader_id"] == OTHER_ID

    asyncio.run(scenario())


def test_no_fetch_waits_when_the_broker_stops(reading: _Reading) -> None:
    async def scenario() -> None:
        request = FetchRequest([_from(0, 1)], max_wait_ms=_FOR_EVER_MS)
        waiting = asyncio.create_task(reading.path.fetch(request))
        await asyncio.sleep(0)
        reading.path.stop_waiting()
        assert (await waiting)[0].size == 0
        assert (await reading.path.fetch(request))[0].size == 0

    asyncio.run(scenario())


def test_fetch_that_is_given_up_waits_no_more(reading: _Reading) -> None:
    async def scenario() -> None:
        request = FetchRequest([_from(0, 1)], max_wait_ms=_FOR_EVER_MS)
        waiting = asyncio.create_task(reading.path.fetch(request))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert reading.probe.waiting_fetches == 0

    asyncio.run(scenario())


def test_piece_is_read_in_a_thread_when_it_is_cold(
    reading: _Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> bytes:
        reads = reading.path.try_fetch(FetchRequest([_from(0)]))
        assert reads is not None
        return await reading.path.read_piece(reads[0].pieces[0])

    monkeypatch.setattr(LogRead, "try_read", lambda _: None)
    assert len(read_headers(asyncio.run(scenario()))) == 10
    assert reading.probe.cold_reads == 1


def test_disk_that_fails_a_read_is_named(
    reading: _Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: LogRead) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    async def scenario() -> None:
        reads = reading.path.try_fetch(FetchRequest([_from(0)]))
        assert reads is not None
        with pytest.raises(KafkaStorageError, match="Input/output error"):
            await reading.path.read_piece(reads[0].pieces[0])

    monkeypatch.setattr(LogRead, "try_read", fail)
    asyncio.run(scenario())


_BEYOND = FetchRequest([_from(11), _from(0, batches=1)], max_wait_ms=0)


def _kinds(reading: _Reading) -> list[type[Exception] | None]:
    """What each entry of a fetch beyond the end gets, and of one that is not."""
    assert reading.path.try_fetch(_BEYOND) is None
    reads = asyncio.run(reading.path.fetch(_BEYOND))
    return [type(read.error) if read.error else None for read in reads]


def test_leader_of_former_times_tells_nobody_that_it_is_beyond_the_end(reading: _Reading) -> None:
    async def another_leads() -> None:
        reading.full.apply(led_by(OTHER_ID, epoch=1))

    reading.heard = another_leads
    assert _kinds(reading) == [NotLeaderOrFollowerError, NotLeaderOrFollowerError]


def test_nobody_is_told_to_be_beyond_the_end_while_nobody_knows_who_leads(
    reading: _Reading,
) -> None:
    async def fails() -> None:
        raise StoreUnavailableError("there is no connection")

    reading.heard = fails
    for _ in range(2):
        assert _kinds(reading) == [OffsetNotAvailableError, None]


def test_leader_that_has_made_sure_tells_many_that_they_are_beyond_the_end(
    reading: _Reading, logs: Logs
) -> None:
    asked: list[int] = []

    async def hears_nothing_new() -> None:
        asked.append(logs.clock.now_ms)

    reading.heard = hears_nothing_new
    assert _kinds(reading) == [OffsetOutOfRangeError, None]
    for _ in range(3):
        reads = reading.path.try_fetch(_BEYOND)
        assert reads is not None
        assert isinstance(reads[0].error, OffsetOutOfRangeError)
    assert len(asked) == 1
    logs.clock.now_ms += 1000
    assert _kinds(reading) == [OffsetOutOfRangeError, None]
    assert len(asked) == 2
