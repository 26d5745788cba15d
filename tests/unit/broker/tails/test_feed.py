"""One reads for all that stand at the end; each gets what it would have read by itself."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Final

import pytest

from kafkalite.broker.partition_read import PartitionRead, ReadPiece
from kafkalite.broker.tails import feed, tail
from kafkalite.broker.tails.feed import FeedKey, TailFeeds
from kafkalite.broker.tails.mark import TailMark
from kafkalite.broker.tails.page import TailRecords
from kafkalite.broker.tails.start import TailEdge, TailStart
from kafkalite.broker.tails.tail import TailNotice, TailWish, TailWorld, TopicTail
from kafkalite.broker.tails.tails import TopicTails
from kafkalite.model.errors import KafkaStorageError, LogError
from kafkalite.model.ids import TopicPartition
from kafkalite.model.record import Record
from kafkalite.wire.messages import FetchRequest
from tests.support.fake_consumers import FakePartitions

_P0: Final = TopicPartition("t", 0)
_P1: Final = TopicPartition("t", 1)
_WISH: Final = TailWish("t", (), TailStart(edge=TailEdge.EARLIEST), 1_000, 100)
_KEY: Final = FeedKey("t", (_P0, _P1), 1_000, 100)


class _Partitions(FakePartitions):
    """Counts those that wait, and fails once it is told to."""

    def __init__(self) -> None:
        super().__init__(_P0, _P1)
        self.waiting = self.most = 0
        self.failure: LogError | None = None

    async def read_piece(self, piece: ReadPiece) -> bytes:
        if self.failure is not None:
            raise self.failure
        return await super().read_piece(piece)

    async def fetch(self, request: FetchRequest) -> list[PartitionRead]:
        if not request.max_wait_ms:
            return await super().fetch(request)
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        try:
            return await super().fetch(request)
        finally:
            self.waiting -= 1


class _World:
    """Tails that are open, each with a task that takes all it is given."""

    def __init__(self, count: int, wish: TailWish = _WISH) -> None:
        self.partitions = _Partitions()
        world = TailWorld(self.partitions, self.partitions, self.partitions.view())
        self.tails = TopicTails(world, lambda: count)
        self._stack = ExitStack()
        self.opened = [self._stack.enter_context(self.tails.tail(wish)) for _ in range(count)]
        self.got: list[list[TailRecords | TailNotice]] = [[] for _ in range(count)]
        self._tasks: list[asyncio.Task[None]] = []

    async def listen(self) -> None:
        for one, got in zip(self.opened, self.got, strict=True):
            await one.open()
            self._tasks.append(asyncio.create_task(_take_all(one, got)))
        await _until(lambda: self.partitions.waiting > 0)

    def append(self, partition: TopicPartition, *values: bytes) -> None:
        self.partitions.append(partition, *[Record(value, None, 1) for value in values])

    def values(self, number: int) -> list[bytes]:
        return [value for each in self.got[number] for value in _values(each)]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._stack.close()


async def _take_all(one: TopicTail, got: list[TailRecords | TailNotice]) -> None:
    while not one.is_over:
        found = await one.next_event(60.0)
        if found is not None:
            got.append(found)


def _values(found: TailRecords | TailNotice | None) -> list[bytes]:
    assert isinstance(found, TailRecords), found
    return [record.value or b"" for _, records in found.parts for record in records]


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0)


def _run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await scenario()

    asyncio.run(bounded())


def test_all_that_stand_at_the_end_wait_once_and_get_the_same() -> None:
    async def scenario() -> None:
        world = _World(20)
        world.append(_P0, b"a")
        await world.listen()
        await _until(lambda: all(world.values(n) == [b"a"] for n in range(20)))
        await _until(lambda: world.partitions.waiting == 1)
        world.append(_P1, b"b")
        await _until(lambda: all(world.values(n) == [b"a", b"b"] for n in range(20)))
        await _until(lambda: world.partitions.waiting == 1)
        assert world.partitions.most == 1
        assert len({id(got[-1]) for got in world.got}) == 1, "it is to be encoded once"
        mark = world.got[0][-1].mark
        assert TailMark.decode(mark) == TailMark("t", {0: 1, 1: 1})
        await world.close()
        await _until(lambda: world.partitions.waiting == 0)

    _run(scenario)


def test_who_wants_other_pages_gets_them() -> None:
    async def scenario() -> None:
        world = _World(2)
        world.opened[1].wish = replace(_WISH, max_records=1)
        await world.listen()
        await _until(lambda: world.partitions.waiting == 2)
        world.append(_P0, b"a", b"b")
        await _until(lambda: all(len(world.values(n)) == 2 for n in range(2)))
        assert [len(got) for got in world.got] == [1, 2]
        await world.close()

    _run(scenario)


def test_who_comes_while_an_event_is_under_way_gets_no_record_twice() -> None:
    async def scenario() -> None:
        partitions = _Partitions()
        feeds = TailFeeds(partitions)
        first = feeds.follow(_KEY, {_P0: 0, _P1: 0})
        partitions.append(_P0, Record(b"a"), Record(b"b"), Record(b"c"))
        second = feeds.follow(_KEY, {_P0: 2, _P1: 0})
        assert first is not None
        assert second is not None
        await _until(lambda: first.feed.positions[_P0] == 3)
        event, rest = first.take(), second.take()
        assert event is not None
        assert rest is not None
        assert _values(event.found) == [b"a", b"b", b"c"]
        assert _values(rest.found) == [b"c"]
        assert event.after == rest.after == {_P0: 3, _P1: 0}
        assert event.found.mark == rest.found.mark
        await _until(lambda: partitions.waiting == 1)
        partitions.append(_P1, Record(b"d"))
        await _until(lambda: first.feed.positions[_P1] == 1)
        assert first.take() is second.take() is not None
        feeds.leave(first)
        assert len(feeds) == 1
        feeds.leave(second)
        assert len(feeds) == 0

    _run(scenario)


def test_who_is_behind_does_not_follow() -> None:
    async def scenario() -> None:
        feeds = TailFeeds(_Partitions())
        assert feeds.follow(_KEY, {_P0: 5, _P1: 5}) is not None
        assert feeds.follow(_KEY, {_P0: 6, _P1: 4}) is None

    _run(scenario)


@pytest.mark.parametrize("bound", ["MAX_HELD_EVENTS", "MAX_HELD_BYTES"])
def test_who_takes_nothing_falls_behind_and_misses_nothing(
    monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(feed, bound, 2)

    async def scenario() -> None:
        world = _World(2)
        slow, quick = world.opened
        await slow.open()
        await quick.open()
        assert await slow.next_event(0.0) is None
        assert slow._follower is not None
        taking = asyncio.create_task(_take_all(quick, world.got[1]))
        await _until(lambda: world.partitions.waiting == 1)
        expected: list[bytes] = []
        for number in range(9):
            expected.append(b"%d" % number)
            world.append(_P0, expected[-1])
            await _until(lambda: world.values(1) == expected)
            await _until(lambda: world.partitions.waiting == 1)
        assert len(slow._follower.feed._events) <= 2
        late: list[bytes] = []
        while len(late) < len(expected):
            found = await slow.next_event(60.0)
            late += _values(found) if found is not None else []
        assert late == expected
        taking.cancel()
        await world.close()

    _run(scenario)


def test_nothing_is_held_that_all_have_taken() -> None:
    async def scenario() -> None:
        world = _World(10)
        await world.listen()
        world.append(_P0, b"a")
        await _until(lambda: all(world.values(n) == [b"a"] for n in range(10)))
        follower = world.opened[0]._follower
        assert follower is not None
        await _until(lambda: not follower.feed._events)
        assert follower.feed._size == 0
        await world.close()

    _run(scenario)


def test_each_learns_for_itself_why_a_feed_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "_RETRY_S", 0.01)

    async def scenario() -> None:
        world = _World(3)
        await world.listen()
        world.partitions.failure = KafkaStorageError("the disk is gone")
        world.append(_P0, b"a")
        await _until(lambda: all(_names(got) == ["trouble"] for got in world.got))
        world.partitions.failure = None
        await _until(lambda: all(_names(got) == ["trouble", "records"] for got in world.got))
        await _until(lambda: world.partitions.waiting == 1)
        await world.close()

    _run(scenario)


def test_who_misses_records_is_told_though_it_follows() -> None:
    async def scenario() -> None:
        world = _World(3)
        world.append(_P0, b"a")
        await world.listen()
        await _until(lambda: all(world.values(n) == [b"a"] for n in range(3)))
        await _until(lambda: world.partitions.waiting == 1)
        world.append(_P0, b"lost", b"b")
        world.partitions.starts[_P0] = 2
        await _until(lambda: all(len(got) == 3 for got in world.got))
        for got in world.got:
            moved = got[1]
            assert isinstance(moved, TailNotice)
            assert (moved.name, moved.members["from"], moved.members["to"]) == ("moved", 1, 2)
            assert _values(got[2]) == [b"b"]
        await world.close()

    _run(scenario)


def _names(got: Sequence[TailRecords | TailNotice]) -> list[str]:
    return [each.name if isinstance(each, TailNotice) else "records" for each in got]
