"""Fetching from brokers that are calls: who is asked, for how much, and what becomes of errors."""

import asyncio
from collections.abc import Callable, Coroutine
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from kafkalite.client.backoff import Backoff
from kafkalite.client.consumer import fetcher as fetcher_module
from kafkalite.client.consumer.decoding import Decoding
from kafkalite.client.consumer.failures import UnreadableError
from kafkalite.client.consumer.fetcher import Fetcher, FetchOptions
from kafkalite.client.consumer.hand_out import HandOut
from kafkalite.client.consumer.positions import PartitionPosition, Positions
from kafkalite.client.consumer.prefetch import Prefetch
from kafkalite.model.errors import (
    CorruptMessageError,
    LogError,
    NetworkError,
    OffsetNotAvailableError,
)
from kafkalite.model.ids import TopicPartition
from tests.support.fetched import batch_at
from tests.support.memory_brokers import BROKERS, MemoryBrokers

_T0, _T1 = TopicPartition("t", 0), TopicPartition("t", 1)
_DEADLINE_S = 10


class _Reader:
    """A fetcher, and the consumer that it works for."""

    def __init__(self, brokers: MemoryBrokers, room: int = 1 << 20, **options: int) -> None:
        self.brokers = brokers
        self.positions = Positions()
        self.prefetch = Prefetch(room)
        self.told: list[str] = []
        self.hand_out = HandOut(
            self.prefetch, Decoding(), checks_crcs=True, on_error=self.note_error
        )
        self.fetcher = Fetcher(
            FetchOptions()._replace(**options),
            self.positions,
            self.prefetch,
            brokers,
            brokers,
            lambda: Backoff(1, 2),
            self,
        )

    def note_records(self) -> None:
        self.told.append("records")

    def note_error(self) -> None:
        self.told.append("error")

    def note_lost_position(self) -> None:
        self.told.append("lost")

    def note_refreshed(self) -> None:
        self.told.append("refreshed")

    def note_trouble(self, error: LogError) -> None:
        self.told.append(error.name)

    def note_bug(self, error: BaseException) -> None:
        raise error

    def read(self, *places: TopicPartition, at: int = 0) -> None:
        for each in places:
            self.positions.add(each, at, is_new=False)
        self.fetcher.follow()

    def take(self, count: int = 1000) -> list[int]:
        taken = self.hand_out.take(count)
        needed = self.fetcher.needed_room
        if needed and self.prefetch.room >= needed:
            self.fetcher.make_room()
        return [record.offset for batch in taken for record in batch]

    def of(self, place: TopicPartition) -> PartitionPosition:
        return self.positions.of(place)


async def _until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(_DEADLINE_S):
        while not holds():  # noqa: ASYNC110 - there is no event for this
            await asyncio.sleep(0.001)


def _run(
    story: Callable[[MemoryBrokers, _Reader], Coroutine[Any, Any, None]],
    partitions: int = 1,
    **options: int,
) -> None:
    async def told() -> None:
        brokers = MemoryBrokers(partitions)
        reader = _Reader(brokers, **options)
        try:
            await story(brokers, reader)
        finally:
            await reader.fetcher.close()
            assert len(asyncio.all_tasks()) == 1, "no task is left"
            assert brokers.waiting == 0

    asyncio.run(told())


def test_leaders_are_found_and_asked_and_asked_again() -> None:
    async def story(brokers: MemoryBrokers, reader: _Reader) -> None:
        await brokers.append(_T0, 3)
        reader.read(_T0)
        await _until(lambda: reader.prefetch.has_parts)
        assert reader.take() == [0, 1, 2]
        assert reader.of(_T0).high_watermark == 3
        await _until(lambda: brokers.waiting)
        await brokers.append(_T0, 1)
        await _until(lambda: reader.prefetch.has_parts)
        assert reader.take() == [3]
        assert brokers.fetches[-1][1].max_wait_ms == 500

    _run(story)


def test_one_request_waits_at_each_leader_whatever_it_is_asked_for() -> None:
    async def story(brokers: MemoryBrokers, reader: _Reader) -> None:
        brokers.logs[_T1].leader = BROKERS[1]
        reader.read(_T0, _T1)
        await _until(lambda: brokers.waiting == 2)
        assert {address for address, _ in brokers.fetches} == set(BROKERS)
        for _ in range(5):
            reader.fetcher.follow()
            await asyncio.sleep(0)
        assert brokers.waiting == 2
        assert len(brokers.fetches) == 2

    _run(story, partitions=2)


def test_a_partition_that_comes_does_not_wait_for_the_others_records() -> None:
    async def story(brokers: MemoryBrokers, reader: _Reader) -> None:
        await brokers.append(_T1, 2)
        reader.read(_T0)
        await _until(lambda: brokers.waiting)
        reader.read(_T1)
        await _until(lambda: reader.prefetch.has_parts)
        assert reader.take() == [0, 1]
        entries = brokers.fetches[-2][1].partitions
        assert entries[0].partition == 1, "who is new comes first"

    _run(story, partitions=2)


def test_a_seek_is_asked_for_at_once() -> None:
    async def story(brokers: MemoryBrokers, reader: _Reader) -> None:
        await brokers.append(_T0, 5)
        reader.read(_T0, at=5)
        await _until(lambda: brokers.waiting)
        reader.of(_T0).go_to(3)
        reader.fetcher.follow()
        await _until(lambda: reader.prefetch.has_parts)
        assert reader.take() == [3, 4]

    _run(story)


def test_paused_partitions_are_not_asked_for() -> None:
    async def story(brokers: MemoryBrokers, reader: _Reader) -> None:
        for each in (_T0, _T1):
            await brokers.append(each, 2)
        reader.positions.add(_T0, 0, is_new=False)
        reader.of(_T0).is_paused = True
        reader.read(_T1)
        await _until(lambda: brokers.waiting)
        asked = {each.partition for _, request in brokers.fetches for each in request.partitions}
        assert asked == {1}
        reader.of(_T0).is_paused = False
        reader.fetcher.follow()
        await _until(lambda: len(reader.prefetch._parts) == 2)

    _run(story, partitions=2)


def test_no_more_is_asked_for_than_there_is_room() -> None:
    size = len(batch_at(10, 10))
    room = 6 * size

    async def story(brokers: MemoryBrokers, reader: _Reader) -> None:
        for _ in range(40):
            await brokers.append(_T0, 10)
        reader.read(_T0)
        await _until(lambda: reader.fetcher.needed_room)
        found: list[int] = []
        while len(found) < 400:
            assert reader.prefetch.room >= 0
            got = reader.take(5)
            found += got
            if not got:
                await _until(lambda: reader.prefetch.has_parts)
        assert found == list(range(400))
        assert {request.max_bytes for _, request in brokers.fetches} == {room // 2}

    _run(story, room=room)


def test_a_batch_that_is_larger_than_all_room_comes_alone() -> None:
    async def story(brokers: MemoryBrokers, reader: _Reader) -> None:
        for _ in range(3):
            await brokers.append(_T0, 10)
        reader.read(_T0)
        for base in range(0, 30, 10):
            await _until(lambda: reader.prefetch.has_parts)
            assert reader.take() == list(range(base, base + 10))

    _run(story, room=1)


def test_who_gave_something_is_asked_last() -> None:
    async def story(brokers: MemoryBrokers, reader: _Reader) -> None:
        for each in (_T0, _T1):
            for _ in range(20):
                await brokers.append(each, 10)
        reader.read(_T0, _T1)
        await _until(lambda: len(brokers.fetches) >= 4)
        first = [request.partitions[0].partition for _, request in brokers.fetches[:4]]
        assert set(first) == {0, 1}, "a full answer of one leaves the next to the other"

    _run(story, partitions=2, max_bytes=1)


def test_a_leader_that_moved_is_followed_where_the_answer_says() -> None:
    async def story(brokers: MemoryBrokers, reader: _Reader) -> None:
        await brokers.append(_T0, 2)
        await brokers.refresh(["t"])
        brokers.logs[_T0].leader = BROKERS[1]
        reader.read(_T0)
        await _until(lambda: reader.prefetch.has_parts)
        assert reader.take() == [0, 1]
        assert brokers.refreshes == 1, "nobody had to be asked"

    _run(story)


def test_a_leader_that_does_not_answer_is_looked_for_anew() -> None:
    async def story(brokers: MemoryBrokers, reader: _Reader) -> None:
        await brokers.append(_T0, 2)
        await brokers.refresh(["t"])
        brokers.failures = [NetworkError("gone")] * 3
        brokers.logs[_T0].leader = BROKERS[1]
        reader.read(_T0)
        await _until(lambda: reader.prefetch.has_parts)
        assert reader.take() == [0, 1]
        assert "NETWORK_EXCEPTION" in reader.told

    _run(story)


def test_errors_that_pass_are_waited_for() -> None:
    async def story(brokers: MemoryBrokers, reader: _Reader) -> None:
        await brokers.append(_T0, 2)
        brokers.logs[_T0].error = OffsetNotAvailableError()
        reader.read(_T0)
        await _until(lambda: len(brokers.fetches) == 2)
        brokers.logs[_T0].error = None
        await _until(lambda: reader.prefetch.has_parts)
        assert "error" not in reader.told

    _run(story)


def test_a_partition_whose_rest_ends_just_as_it_is_looked_at_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With each look at the clock it is so much later that a rest ends between two of them."""
    ticks = count(1)
    clock = SimpleNamespace(monotonic=lambda: next(ticks) * 0.06)
    monkeypatch.setattr(fetcher_module, "time", clock)

    async def story(brokers: MemoryBrokers, reader: _Reader) -> None:
        await brokers.append(_T0, 1)
        brokers.logs[_T0].error = OffsetNotAvailableError()
        reader.read(_T0)
        await _until(lambda: len(brokers.fetches) == 2)

    _run(story)


def test_what_cannot_be_read_is_told_once_what_precedes_it_was_given() -> None:
    async def story(brokers: MemoryBrokers, reader: _Reader) -> None:
        await brokers.append(_T0, 2)
        reader.read(_T0)
        await _until(lambda: brokers.waiting)
        brokers.logs[_T0].error = CorruptMessageError("damaged")
        await brokers.append(_T0, 1)
        await asyncio.sleep(0.01)
        assert reader.of(_T0).error is None
        assert reader.take() == [0, 1]
        await _until(lambda: reader.of(_T0).error)
        error = reader.of(_T0).error
        assert isinstance(error, UnreadableError)
        assert (error.offset, error.next_offset) == (2, 3)
        asked = len(brokers.fetches)
        reader.of(_T0).go_to(2)
        brokers.logs[_T0].error = None
        reader.fetcher.follow()
        await _until(lambda: reader.prefetch.has_parts)
        assert len(brokers.fetches) > asked

    _run(story)


def test_a_position_that_is_gone_is_lost_only_when_nothing_is_left_to_give() -> None:
    async def story(brokers: MemoryBrokers, reader: _Reader) -> None:
        await brokers.append(_T0, 2)
        reader.read(_T0)
        await _until(lambda: brokers.waiting)
        brokers.logs[_T0].start = 7
        brokers.logs[_T0].batches.clear()
        async with brokers.changed:
            brokers.changed.notify_all()
        await asyncio.sleep(0.01)
        assert reader.take() == [0, 1]
        await _until(lambda: "lost" in reader.told)
        assert reader.of(_T0).lost_offset == 2
        assert not reader.of(_T0).is_known

    _run(story)


def test_what_came_for_a_partition_that_went_is_thrown_away() -> None:
    async def story(brokers: MemoryBrokers, reader: _Reader) -> None:
        reader.read(_T0)
        await _until(lambda: brokers.waiting)
        reader.positions.remove([_T0])
        await brokers.append(_T0, 2)
        await asyncio.sleep(0.01)
        assert not reader.prefetch.has_parts
        reader.fetcher.follow()
        await _until(lambda: not brokers.waiting)

    _run(story)
