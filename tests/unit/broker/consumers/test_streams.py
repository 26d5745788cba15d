"""The streams of one broker, and acknowledgements of streams that are elsewhere or gone."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import pytest

from kafkalite.broker.consumers.definition import ConsumerDefinition
from kafkalite.broker.consumers.stream import StreamWish, StreamWorld
from kafkalite.broker.consumers.stream_mark import Progress, StreamMark
from kafkalite.broker.consumers.streams import GroupStreams
from kafkalite.model.errors import (
    BrokerNotAvailableError,
    CoordinatorNotAvailableError,
    FencedInstanceIdError,
    GroupMaxSizeReachedError,
    UnknownMemberIdError,
)
from kafkalite.model.ids import BrokerId, TopicPartition
from kafkalite.wire.group_messages import LEAVING
from tests.support.fake_consumers import FakeCommitted, FakeGroups, FakePartitions

_P0: Final = TopicPartition("t", 0)
_P1: Final = TopicPartition("t", 1)
_MARK: Final = StreamMark(BrokerId(9), "i", "m", 4, {_P0: Progress(0, 10), _P1: Progress(0, 20)})


class _Broker:
    """The streams of a broker that may serve two."""

    def __init__(self) -> None:
        self.groups = FakeGroups()
        partitions = FakePartitions(_P0, _P1)
        self.streams = GroupStreams(
            StreamWorld(
                self.groups, partitions, partitions, partitions.view(), lambda: BrokerId(1), 45_000
            ),
            lambda: 2,
        )

    def wish(self, instance_id: str) -> StreamWish:
        definition = ConsumerDefinition(topics=("t",))
        return StreamWish("g", definition, instance_id, "stream", "", 1_000, 10, 100)


def _run(scenario: Callable[[_Broker], Awaitable[None]]) -> None:
    async def whole() -> None:
        broker = _Broker()
        try:
            await scenario(broker)
        finally:
            await broker.streams.stop()

    asyncio.run(whole())


def test_no_more_streams_than_may_be() -> None:
    async def scenario(broker: _Broker) -> None:
        first = await broker.streams.open(broker.wish("a"))
        await broker.streams.open(broker.wish("b"))
        with pytest.raises(BrokerNotAvailableError, match=r"group\.max\.streams"):
            await broker.streams.open(broker.wish("c"))
        broker.streams.close(first)
        await broker.streams.open(broker.wish("c"))
        assert len(broker.streams) == 2

    _run(scenario)


def test_a_stream_that_comes_again_takes_the_place_of_the_former_one() -> None:
    async def scenario(broker: _Broker) -> None:
        former = await broker.streams.open(broker.wish("a"))
        await broker.streams.open(broker.wish("b"))
        present = await broker.streams.open(broker.wish("a"))
        assert former.is_over
        assert not present.is_over
        broker.streams.close(former)
        assert len(broker.streams) == 2

    _run(scenario)


def test_a_stream_that_is_refused_takes_no_room() -> None:
    async def scenario(broker: _Broker) -> None:
        for _ in range(3):
            broker.groups.refusals.append(GroupMaxSizeReachedError())
            with pytest.raises(GroupMaxSizeReachedError):
                await broker.streams.open(broker.wish("a"))
        assert len(broker.streams) == 0
        await broker.streams.open(broker.wish("a"))

    _run(scenario)


def test_a_broker_that_stops_ends_its_streams_without_leaving() -> None:
    async def scenario(broker: _Broker) -> None:
        stream = await broker.streams.open(broker.wish("a"))
        broker.streams.stop_waiting()
        assert stream.is_over
        with pytest.raises(BrokerNotAvailableError, match="stopping"):
            await broker.streams.open(broker.wish("b"))
        await broker.streams.stop()
        assert all(each.member_epoch != LEAVING for each in broker.groups.heartbeats)

    _run(scenario)


def test_an_event_of_a_stream_that_is_not_here_is_committed_by_its_own_word() -> None:
    async def scenario(broker: _Broker) -> None:
        broker.groups.offsets[_P1] = FakeCommitted(30)
        assert await broker.streams.acknowledge("g", _MARK) == {_P0: None, _P1: None}
        (commit,) = broker.groups.commits
        assert (commit.member_id, commit.member_epoch) == ("m", 4)
        assert [each.offset for each in commit.offsets] == [10], "and nothing goes back"
        await broker.streams.acknowledge("g", _MARK)
        assert len(broker.groups.commits) == 1

    _run(scenario)


@pytest.mark.parametrize("refusal", [UnknownMemberIdError(), FencedInstanceIdError()], ids=repr)
def test_an_event_of_a_former_member_is_refused(refusal: UnknownMemberIdError) -> None:
    async def scenario(broker: _Broker) -> None:
        broker.groups.commit_refusals.append(refusal)
        with pytest.raises(UnknownMemberIdError, match="comes again"):
            await broker.streams.acknowledge("g", _MARK)

    _run(scenario)


def test_an_acknowledgement_may_be_tried_again_where_nobody_can_say() -> None:
    async def scenario(broker: _Broker) -> None:
        broker.groups.commit_refusals.append(CoordinatorNotAvailableError())
        with pytest.raises(CoordinatorNotAvailableError):
            await broker.streams.acknowledge("g", _MARK)
        assert await broker.streams.acknowledge("g", _MARK) == {_P0: None, _P1: None}

    _run(scenario)
