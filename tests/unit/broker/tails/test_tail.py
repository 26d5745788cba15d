"""A tail over partitions in memory: where it begins, goes on, moves and ends."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import pytest

from kafkalite.broker.metadata_view import ClusterPicture, TopicAt
from kafkalite.broker.partition_read import PartitionRead
from kafkalite.broker.tails.feed import TailFeeds
from kafkalite.broker.tails.mark import TailMark
from kafkalite.broker.tails.page import TailRecords
from kafkalite.broker.tails.start import TailEdge, TailStart
from kafkalite.broker.tails.tail import TailNotice, TailWish, TailWorld, TopicTail
from kafkalite.broker.tails.tails import TopicTails
from kafkalite.model.cluster import Topic
from kafkalite.model.errors import (
    BrokerNotAvailableError,
    InvalidRequestError,
    LogError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import BrokerId, TopicId, TopicPartition
from kafkalite.model.offsets import NO_OFFSET
from kafkalite.model.record import Record
from kafkalite.wire.messages import FetchRequest
from tests.support.fake_consumers import FakePartitions

_P0: Final = TopicPartition("t", 0)
_P1: Final = TopicPartition("t", 1)
_WISH: Final = TailWish("t", (), TailStart(edge=TailEdge.EARLIEST), 1_000, 100)


class _Timed(FakePartitions):
    """In partition 0 there is a record of the time that is asked for, at offset 1."""

    async def at_time(
        self, wanted: Iterable[TopicPartition], time_ms: int
    ) -> Mapping[TopicPartition, int | LogError]:
        return {each: 1 if each == _P0 else NO_OFFSET for each in wanted}


class _World:
    def __init__(self, partitions: FakePartitions | None = None) -> None:
        self.partitions = partitions or FakePartitions(_P0, _P1)
        self.view = self.partitions.view()
        self.tails = TopicTails(TailWorld(self.partitions, self.partitions, self.view), lambda: 2)
        self.tails.start()
        self.feeds = TailFeeds(self.partitions)

    def append(self, partition: TopicPartition, *values: bytes) -> None:
        self.partitions.append(partition, *[Record(value, None, 1) for value in values])

    def set_topic(self, topic_id: str | None, partitions: int = 2) -> None:
        """Have another topic, or none."""
        topics = {}
        if topic_id is not None:
            assignment = {number: (BrokerId(0),) for number in range(partitions)}
            topics["t"] = TopicAt(Topic("t", TopicId(topic_id), assignment), 2)
        self.view.replace(ClusterPicture("cluster", topics=topics))

    def tail(self, wish: TailWish = _WISH) -> TopicTail:
        return TopicTail(wish, TailWorld(self.partitions, self.partitions, self.view), self.feeds)


def _run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(_as_coroutine(scenario), 10))


async def _as_coroutine(scenario: Callable[[], Awaitable[None]]) -> None:
    await scenario()


async def _next(tail: TopicTail) -> TailRecords | TailNotice:
    while True:
        found = await tail.next_event(60.0)
        if found is not None:
            return found
        assert not tail.is_over


async def _turns() -> None:
    """Let whoever is about to wait come to it."""
    for _ in range(10):
        await asyncio.sleep(0)


async def _values(tail: TopicTail, count: int) -> list[bytes]:
    values: list[bytes] = []
    while len(values) < count:
        found = await _next(tail)
        assert isinstance(found, TailRecords), found
        values += [each.value or b"" for _, records in found.parts for each in records]
    return values


def test_who_comes_back_goes_on_behind_the_last_event() -> None:
    async def scenario() -> None:
        world = _World()
        world.append(_P0, b"a", b"b", b"c")
        world.append(_P1, b"d")
        wish = replace(_WISH, max_records=1)
        marks: list[TailMark | None] = [None]
        seen: list[bytes] = []
        for _ in range(4):
            tail = world.tail(replace(wish, last=marks[-1]))
            await tail.open()
            found = await _next(tail)
            assert isinstance(found, TailRecords)
            ((_, (record,)),) = found.parts
            seen.append(record.value or b"")
            marks.append(TailMark.decode(found.mark))
        assert sorted(seen) == [b"a", b"b", b"c", b"d"]

    _run(scenario)


def test_the_end_is_where_it_was_when_the_tail_began() -> None:
    async def scenario() -> None:
        world = _World()
        world.append(_P0, b"old")
        tail = world.tail(replace(_WISH, start=TailStart()))
        first = await tail.open()
        assert first.members == {"topic": "t", "offsets": {"0": 1, "1": 0}}
        world.append(_P0, b"new")
        assert await _values(tail, 1) == [b"new"]
        again = world.tail(replace(_WISH, start=TailStart(), last=TailMark.decode(first.mark)))
        await again.open()
        assert await _values(again, 1) == [b"new"]

    _run(scenario)


def test_it_waits_for_what_comes() -> None:
    async def scenario() -> None:
        world = _World()
        tail = world.tail()
        await tail.open()
        waiting = asyncio.ensure_future(_values(tail, 1))
        await _turns()
        world.append(_P1, b"late")
        assert await waiting == [b"late"]
        assert len(world.partitions.fetches) < 10, "it does not look again and again"

    _run(scenario)


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (TailStart({0: 2}), {"0": 2, "1": 0}),
        (TailStart(time_ms=5), {"0": 1, "1": 2}),
        (TailStart(edge=TailEdge.EARLIEST), {"0": 0, "1": 0}),
        (TailStart(), {"0": 3, "1": 2}),
    ],
)
def test_it_begins_where_it_is_asked_to(start: TailStart, expected: dict[str, int]) -> None:
    async def scenario() -> None:
        world = _World(_Timed(_P0, _P1))
        world.append(_P0, b"a", b"b", b"c")
        world.append(_P1, b"d", b"e")
        first = await world.tail(replace(_WISH, start=start)).open()
        assert first.members["offsets"] == expected

    _run(scenario)


def test_only_the_partitions_that_are_named_are_read() -> None:
    async def scenario() -> None:
        world = _World()
        world.append(_P0, b"a")
        world.append(_P1, b"b")
        tail = world.tail(replace(_WISH, partitions=(1,)))
        await tail.open()
        assert await _values(tail, 1) == [b"b"]
        with pytest.raises(UnknownTopicOrPartitionError):
            await world.tail(replace(_WISH, partitions=(7,))).open()

    _run(scenario)


def test_the_end_of_the_topic_is_told_while_nothing_comes() -> None:
    async def scenario() -> None:
        world = _World()
        with world.tails.tail(_WISH) as tail:
            await tail.open()
            waiting = asyncio.ensure_future(_next(tail))
            await _turns()
            world.set_topic("another")
            end = await waiting
            assert isinstance(end, TailNotice)
            assert (end.name, end.members["error"]) == ("end", "UNKNOWN_TOPIC_OR_PARTITION")
            assert tail.is_over
            assert await tail.next_event(1.0) is None

    _run(scenario)


class _Interrupted(FakePartitions):
    """Something happens in the middle of the first look."""

    happen: Callable[[], None] | None = None

    def try_fetch(self, request: FetchRequest) -> list[PartitionRead] | None:
        happen, self.happen = self.happen, None
        if happen is not None:
            happen()
        return super().try_fetch(request)


def test_the_end_is_told_at_once_where_it_comes_in_the_middle_of_a_look() -> None:
    async def scenario() -> None:
        partitions = _Interrupted(_P0, _P1)
        world = _World(partitions)
        tail = world.tail()
        await tail.open()
        partitions.happen = tail.stop_waiting
        async with asyncio.timeout(1):
            end = await _next(tail)
        assert isinstance(end, TailNotice)
        assert end.name == "end"
        tail.close()

    _run(scenario)


def test_offsets_of_another_topic_of_that_name_mean_nothing() -> None:
    async def scenario() -> None:
        world = _World()
        world.append(_P0, b"a", b"b")
        tail = world.tail(replace(_WISH, last=TailMark("former", {0: 2, 1: 0})))
        await tail.open()
        assert await _values(tail, 2) == [b"a", b"b"]

    _run(scenario)


def test_partitions_that_are_added_are_read_from_their_beginning() -> None:
    async def scenario() -> None:
        partitions = FakePartitions(_P0, _P1)
        world = _World(partitions)
        world.set_topic("t", 1)
        world.append(_P1, b"new")
        tail = world.tail(replace(_WISH, start=TailStart()))
        await tail.open()
        world.set_topic("t", 2)
        started = await _next(tail)
        assert isinstance(started, TailNotice)
        assert started.members["offsets"] == {"1": 0}
        assert await _values(tail, 1) == [b"new"]

    _run(scenario)


@pytest.mark.parametrize(
    ("begin", "expected"),
    [
        (0, {"partition": 0, "from": 0, "to": 2, "reason": "records there were removed"}),
        (9, {"partition": 0, "from": 9, "to": 3, "reason": "the log ends before"}),
    ],
)
def test_who_misses_records_is_told(begin: int, expected: dict[str, Any]) -> None:
    async def scenario() -> None:
        world = _World()
        world.append(_P0, b"a", b"b", b"c")
        world.partitions.starts[_P0] = 2
        tail = world.tail(replace(_WISH, last=TailMark("t", {0: begin, 1: 0})))
        await tail.open()
        moved = await _next(tail)
        assert isinstance(moved, TailNotice)
        assert (moved.name, moved.members) == ("moved", expected)
        mark = TailMark.decode(moved.mark)
        assert mark is not None
        assert mark.offsets == {0: expected["to"], 1: 0}

    _run(scenario)


def test_the_beginning_is_wherever_the_log_begins() -> None:
    async def scenario() -> None:
        world = _World()
        world.append(_P0, b"a")
        world.append(_P0, b"b")
        world.partitions.starts[_P0] = 1
        tail = world.tail()
        await tail.open()
        assert await _values(tail, 1) == [b"b"]

    _run(scenario)


def test_no_more_tails_than_may_be_and_none_once_the_broker_stops() -> None:
    async def scenario() -> None:
        world = _World()
        with world.tails.tail(_WISH) as tail:
            await tail.open()
            with world.tails.tail(_WISH), pytest.raises(BrokerNotAvailableError):
                world.tails.tail(_WISH).__enter__()
            assert len(world.tails) == 1
            waiting = asyncio.ensure_future(_next(tail))
            await _turns()
            world.tails.stop_waiting()
            end = await waiting
            assert isinstance(end, TailNotice)
            assert end.members["error"] == "BROKER_NOT_AVAILABLE"
        assert len(world.tails) == 0
        with pytest.raises(BrokerNotAvailableError):
            world.tails.tail(_WISH).__enter__()

    _run(scenario)


def test_what_is_not_there_is_refused() -> None:
    async def scenario() -> None:
        world = _World()
        with pytest.raises(UnknownTopicOrPartitionError):
            await world.tail(replace(_WISH, topic="x")).open()
        world.set_topic("t", 1_001)
        with pytest.raises(InvalidRequestError):
            await world.tail().open()

    _run(scenario)
