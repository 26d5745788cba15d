"""Many who wait for the same records wait once, and go on in turns."""

import asyncio
from typing import Final

from kafkalite.broker.partition_read import PartitionRead
from kafkalite.broker.tails.shared_reads import SharedReads
from kafkalite.model.ids import TopicPartition
from kafkalite.model.record import Record
from kafkalite.wire.messages import FetchPartition, FetchRequest
from tests.support.fake_consumers import FakePartitions

_P0: Final = TopicPartition("t", 0)


class _Partitions(FakePartitions):
    """Counts those that wait."""

    def __init__(self) -> None:
        super().__init__(_P0)
        self.waits = 0
        self.cancelled = 0

    async def fetch(self, request: FetchRequest) -> list[PartitionRead]:
        self.waits += 1
        try:
            return await super().fetch(request)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


def _request(wait_ms: int, offset: int = 0) -> FetchRequest:
    return FetchRequest([FetchPartition(*_P0, offset)], max_wait_ms=wait_ms, min_bytes=1)


async def _turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_who_waits_for_the_same_waits_once_and_all_go_on() -> None:
    async def scenario() -> None:
        partitions = _Partitions()
        reads = SharedReads(partitions)
        waiting = [
            asyncio.ensure_future(reads.fetch(_request(60_000 + number))) for number in range(9)
        ]
        await _turns()
        assert partitions.waits == 1
        partitions.append(_P0, Record(b"a", None, 1))
        await _turns(4)
        assert 0 < sum(each.done() for each in waiting) < 9, "not all at once"
        found = await asyncio.gather(*waiting)
        assert all(each[0].size > 0 for each in found)

    asyncio.run(scenario())


def test_another_place_is_another_wait() -> None:
    async def scenario() -> None:
        partitions = _Partitions()
        reads = SharedReads(partitions)
        waiting = [
            asyncio.ensure_future(reads.fetch(_request(60_000, offset))) for offset in (0, 1, 0)
        ]
        await _turns()
        assert partitions.waits == 2
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(scenario())


def test_one_that_leaves_takes_nothing_from_the_others_and_the_last_ends_it() -> None:
    async def scenario() -> None:
        partitions = _Partitions()
        reads = SharedReads(partitions)
        first, second = (asyncio.ensure_future(reads.fetch(_request(60_000))) for _ in range(2))
        await _turns()
        first.cancel()
        await _turns()
        assert partitions.cancelled == 0
        second.cancel()
        await _turns()
        assert partitions.cancelled == 1
        again = asyncio.ensure_future(reads.fetch(_request(60_000)))
        await _turns()
        partitions.append(_P0, Record(b"a", None, 1))
        assert (await again)[0].size > 0

    asyncio.run(scenario())


def test_who_has_less_time_waits_no_longer() -> None:
    async def scenario() -> None:
        partitions = _Partitions()
        reads = SharedReads(partitions)
        patient = asyncio.ensure_future(reads.fetch(_request(60_000)))
        await _turns()
        assert await asyncio.wait_for(reads.fetch(_request(1)), 10) == []
        assert not patient.done()
        patient.cancel()
        await asyncio.gather(patient, return_exceptions=True)

    asyncio.run(scenario())
