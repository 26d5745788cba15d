"""One stream over a group and partitions in memory."""

import asyncio
import functools
import json
from collections.abc import Callable, Coroutine
from typing import Any, Final

import pytest

from kafkalite.broker.consumers import stream as group_stream
from kafkalite.broker.consumers.definition import ConsumerDefinition
from kafkalite.broker.consumers.stream import GroupStream, StreamEvent, StreamWish, StreamWorld
from kafkalite.broker.consumers.stream_mark import StreamMark
from kafkalite.model.errors import (
    CoordinatorNotAvailableError,
    FencedInstanceIdError,
    FencedMemberEpochError,
    UnknownMemberIdError,
)
from kafkalite.model.ids import BrokerId, TopicPartition
from kafkalite.model.record import Record
from kafkalite.wire.group_messages import JOINING, LEAVING
from kafkalite.wire.rest_records import EmbeddedFormat
from tests.support.fake_consumers import FakeCommitted, FakeGroups, FakePartitions

_P0: Final = TopicPartition("t", 0)
_P1: Final = TopicPartition("t", 1)


class _World:
    """A group, partitions, and streams of them, each on a broker of its own."""

    def __init__(self) -> None:
        self.groups = FakeGroups()
        self.partitions = FakePartitions(_P0, _P1)
        self.brokers = 0

    def stream(self, **wish: Any) -> GroupStream:
        self.brokers += 1
        number = BrokerId(self.brokers)
        reset = wish.pop("reset", "earliest")
        return GroupStream(
            StreamWish(
                **{
                    "group": "g",
                    "definition": ConsumerDefinition(
                        format=EmbeddedFormat.JSON, auto_offset_reset=reset, topics=("t",)
                    ),
                    "instance_id": "i",
                    "client_id": "stream",
                    "host": "h",
                    "max_bytes": 10_000,
                    "max_records": 100,
                    "max_inflight": 1_000,
                    **wish,
                }
            ),
            StreamWorld(
                self.groups,
                self.partitions,
                self.partitions,
                self.partitions.view(),
                lambda: number,
                45_000,
            ),
        )

    async def joined(self, **wish: Any) -> GroupStream:
        """A stream that has both partitions, and has said so."""
        self.groups.assign(_P0, _P1)
        stream = self.stream(**wish)
        await stream.join()
        assert (await _next(stream, "member")).mark
        assert not (await _next(stream, "assigned")).mark
        return stream

    def append(self, partition: TopicPartition, *values: int) -> None:
        self.partitions.append(partition, *[Record(b"%d" % value) for value in values])

    @property
    def committed(self) -> dict[TopicPartition, int]:
        return {partition: kept.offset for partition, kept in self.groups.offsets.items()}


async def _next(stream: GroupStream, name: str) -> StreamEvent:
    async with asyncio.timeout(5):
        while True:
            event = await stream.next_event(1.0)
            if event is not None:
                assert event.name == name, event
                return event


async def _nothing(stream: GroupStream) -> None:
    for _ in range(3):
        assert await stream.next_event(0.0) is None


def _values(event: StreamEvent) -> list[int]:
    return [record["value"] for record in json.loads(event.data)["records"]]


def _mark(event: StreamEvent) -> StreamMark:
    mark = StreamMark.decode(event.mark)
    assert mark is not None
    return mark


def _in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(**arguments: Any) -> None:
        asyncio.run(test(**arguments))

    return run


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - what it looks at is whole objects, not an event
            await asyncio.sleep(0)


@pytest.fixture
def world() -> _World:
    return _World()


@_in_loop
async def test_topics_that_do_not_exist_are_named_at_the_start() -> None:
    world = _World()
    definition = ConsumerDefinition(
        format=EmbeddedFormat.JSON, auto_offset_reset="earliest", topics=("nope", "t", "neither")
    )
    stream = world.stream(definition=definition)
    await stream.join()
    await _next(stream, "member")
    told = json.loads((await _next(stream, "trouble")).data)
    assert told["error"] == "UNKNOWN_TOPIC_OR_PARTITION"
    assert told["message"] == "There is no topic 'nope', 'neither' yet; waiting until there is"
    await _nothing(stream)


@_in_loop
async def test_what_is_acknowledged_is_committed_and_nothing_else(world: _World) -> None:
    stream = await world.joined()
    world.append(_P0, 1, 2)
    first = await _next(stream, "records")
    world.append(_P1, 3)
    second = await _next(stream, "records")
    assert (_values(first), _values(second)) == ([1, 2], [3])
    assert world.committed == {}
    assert await stream.acknowledge(_mark(first)) == {_P0: None}
    assert world.committed == {_P0: 2}
    assert await stream.acknowledge(_mark(second)) == {_P0: None, _P1: None}
    assert world.committed == {_P0: 2, _P1: 1}
    commit = world.groups.commits[-1]
    assert commit.member_id == _mark(second).member_id
    await stream.leave()


@_in_loop
async def test_an_older_acknowledgement_takes_nothing_back(world: _World) -> None:
    stream = await world.joined()
    world.append(_P0, 1)
    first = await _next(stream, "records")
    world.append(_P0, 2)
    second = await _next(stream, "records")
    await stream.acknowledge(_mark(second))
    assert await stream.acknowledge(_mark(first)) == {_P0: None}
    assert world.committed == {_P0: 2}
    assert len(world.groups.commits) == 1
    await stream.leave()


@_in_loop
async def test_a_full_window_is_told_once_and_opens_with_an_acknowledgement(world: _World) -> None:
    stream = await world.joined(max_inflight=3)
    world.append(_P0, 1, 2, 3, 4, 5)
    first = await _next(stream, "records")
    assert _values(first) == [1, 2, 3]
    paused = await _next(stream, "paused")
    assert json.loads(paused.data)["inflight"] == 3
    assert not paused.mark
    await _nothing(stream)
    await stream.acknowledge(_mark(first))
    assert _values(await _next(stream, "records")) == [4, 5]
    await stream.leave()


@_in_loop
async def test_a_client_that_acknowledges_nothing_for_long_is_let_go(
    world: _World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_stream, "ACKNOWLEDGE_PATIENCE_S", 0.0)
    stream = await world.joined(max_inflight=1)
    world.append(_P0, 1, 2)
    await _next(stream, "records")
    await _next(stream, "paused")
    await _next(stream, "closed")
    assert stream.is_over
    await stream.leave()


@_in_loop
async def test_partitions_that_have_no_room_in_an_id_wait(world: _World) -> None:
    names = [TopicPartition(f"{'x' * 240}{n:03}", 0) for n in range(40)]
    world.partitions = FakePartitions(*names)
    world.groups.assign(*names)
    definition = ConsumerDefinition(
        format=EmbeddedFormat.JSON,
        auto_offset_reset="earliest",
        topics=tuple(name.topic for name in names),
    )
    stream = world.stream(definition=definition)
    await stream.join()
    await _next(stream, "member")
    await _next(stream, "assigned")
    for number, name in enumerate(names):
        world.append(name, number)
    seen: list[int] = []
    last = await _next(stream, "records")
    seen += _values(last)
    assert 0 < len(seen) < len(names)
    await _next(stream, "paused")
    await _nothing(stream)
    while len(seen) < len(names):
        await stream.acknowledge(_mark(last))
        event = await stream.next_event(1.0)
        if event is not None and event.name == "records":
            last = event
            seen += _values(event)
    assert sorted(seen) == list(range(40))
    await stream.leave()


@_in_loop
async def test_what_was_acknowledged_by_coming_back_is_committed_and_not_sent_again(
    world: _World,
) -> None:
    stream = await world.joined()
    world.append(_P0, 1, 2)
    world.append(_P1, 3)
    event = await _next(stream, "records")
    await stream.release()
    again = await world.joined(last=_mark(event))
    assert world.committed == {_P0: 2, _P1: 1}
    world.append(_P0, 4)
    assert _values(await _next(again, "records")) == [4]
    assert await again.acknowledge(_mark(event)) == {_P0: None, _P1: None}, "it is done already"
    assert world.groups.heartbeats[-1].instance_id == "i"
    await again.leave()


@_in_loop
async def test_what_was_sent_and_not_acknowledged_comes_again(world: _World) -> None:
    stream = await world.joined()
    world.append(_P0, 1, 2)
    await _next(stream, "records")
    await stream.leave()
    again = await world.joined()
    assert _values(await _next(again, "records")) == [1, 2]
    await again.leave()


@_in_loop
async def test_coming_back_twice_before_there_are_partitions_forgets_nothing(
    world: _World,
) -> None:
    stream = await world.joined()
    world.append(_P0, 1, 2)
    event = await _next(stream, "records")
    await stream.release()
    world.groups.assign()
    second = world.stream(last=_mark(event))
    await second.join()
    member = await _next(second, "member")
    assert await second.acknowledge(_mark(member)) == {}
    await second.release()
    third = await world.joined(last=_mark(member))
    assert world.committed == {_P0: 2}
    await third.leave()


@pytest.mark.parametrize("moved_to", [0, 5])
@_in_loop
async def test_coming_back_does_not_undo_what_others_have_committed_since(
    world: _World, moved_to: int
) -> None:
    world.groups.offsets[_P0] = FakeCommitted(1)
    world.append(_P0, *range(10))
    stream = await world.joined(max_records=2)
    event = await _next(stream, "records")
    assert _values(event) == [1, 2]
    await stream.release()
    world.groups.offsets[_P0] = FakeCommitted(moved_to)
    again = await world.joined(last=_mark(event), max_records=2)
    assert world.committed == {_P0: moved_to}
    assert _values(await _next(again, "records"))[0] == moved_to
    await again.leave()


@_in_loop
async def test_coming_back_says_nothing_of_a_topic_that_was_made_anew(world: _World) -> None:
    stream = await world.joined()
    world.append(_P0, 1, 2)
    mark = _mark(await _next(stream, "records"))
    await stream.release()
    former = {name: place._replace(topic_id="former") for name, place in mark.progress.items()}
    again = await world.joined(last=mark._replace(progress=former))
    assert world.committed == {}
    assert _values(await _next(again, "records")) == [1, 2]
    await again.leave()


@_in_loop
async def test_where_reading_begins_at_the_end_that_is_committed(world: _World) -> None:
    world.append(_P0, 1, 2)
    stream = await world.joined(reset="latest")
    await _nothing(stream)
    assert world.committed == {_P0: 2, _P1: 0}
    world.append(_P0, 3)
    assert _values(await _next(stream, "records")) == [3]
    await stream.leave()


@_in_loop
async def test_a_revoked_partition_waits_for_its_acknowledgement(world: _World) -> None:
    stream = await world.joined()
    world.append(_P0, 1)
    world.append(_P1, 2)
    event = await _next(stream, "records")
    world.groups.assign(_P1)
    revoked = await _next(stream, "revoked")
    assert json.loads(revoked.data) == {"partitions": [{"topic": "t", "partition": 0}]}
    assert _P0 in world.groups.owned
    await stream.acknowledge(_mark(event))
    await _until(lambda: _P0 not in world.groups.owned)
    assert world.committed[_P0] == 1
    world.append(_P0, 3)
    world.append(_P1, 4)
    assert _values(await _next(stream, "records")) == [4]
    await stream.leave()


@_in_loop
async def test_nothing_of_a_partition_is_sent_that_is_to_be_let_go(world: _World) -> None:
    stream = await world.joined()
    world.append(_P0, 1)
    event = await _next(stream, "records")
    world.groups.assign(_P1)
    await _next(stream, "revoked")
    world.append(_P0, 2)
    world.append(_P1, 3)
    assert _values(await _next(stream, "records")) == [3]
    assert _P0 in world.groups.owned, "it waits for the acknowledgement"
    await stream.acknowledge(_mark(event))
    await stream.leave()


@_in_loop
async def test_a_partition_that_is_taken_away_before_it_is_read_is_not_read(world: _World) -> None:
    world.groups.assign(_P0, _P1)
    stream = world.stream()
    await stream.join()
    world.append(_P0, 1)
    world.append(_P1, 2)
    world.groups.assign(_P1)
    await _until(lambda: world.groups.owned == {_P1})
    await _next(stream, "member")
    await _next(stream, "revoked")
    assigned = await _next(stream, "assigned")
    assert json.loads(assigned.data) == {"partitions": [{"topic": "t", "partition": 1}]}
    assert _values(await _next(stream, "records")) == [2]
    await stream.leave()


@_in_loop
async def test_an_acknowledgement_of_a_lost_partition_is_refused_and_the_others_committed(
    world: _World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_stream, "REVOKE_PATIENCE_S", 0.0)
    stream = await world.joined()
    world.append(_P0, 1)
    world.append(_P1, 2)
    event = await _next(stream, "records")
    world.groups.assign(_P1)
    await _next(stream, "revoked")
    await _until(lambda: _P0 not in world.groups.owned)
    results = await stream.acknowledge(_mark(event))
    assert isinstance(results[_P0], FencedMemberEpochError)
    assert results[_P1] is None
    assert world.committed == {_P1: 1}
    await stream.leave()


@_in_loop
async def test_an_acknowledgement_of_a_former_member_is_refused(world: _World) -> None:
    stream = await world.joined()
    world.append(_P0, 1)
    event = await _next(stream, "records")
    world.groups.refusals.append(UnknownMemberIdError())
    world.groups.assign(_P0)
    lost = await _next(stream, "lost")
    assert len(json.loads(lost.data)["partitions"]) == 2
    await _next(stream, "assigned")
    with pytest.raises(UnknownMemberIdError, match="comes again"):
        await stream.acknowledge(_mark(event))
    again = await _next(stream, "records")
    assert _values(again) == [1]
    assert await stream.acknowledge(_mark(again)) == {_P0: None}
    await stream.leave()


@_in_loop
async def test_another_stream_of_the_same_instance_ends_this_one(world: _World) -> None:
    stream = await world.joined()
    world.groups.refusals.append(FencedInstanceIdError())
    world.groups.assign(_P0)
    await _next(stream, "fenced")
    assert stream.is_over
    assert await stream.next_event(0.0) is None
    await stream.leave()


@_in_loop
async def test_trouble_is_told_once_and_passes(
    world: _World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_stream, "_RETRY_S", 0.0)
    world.groups.commit_refusals += [CoordinatorNotAvailableError("away")] * 3
    world.groups.assign(_P0)
    stream = world.stream(reset="latest")
    await stream.join()
    await _next(stream, "member")
    await _next(stream, "assigned")
    trouble = await _next(stream, "trouble")
    assert json.loads(trouble.data)["error"] == "COORDINATOR_NOT_AVAILABLE"
    await _nothing(stream)
    world.append(_P0, 1)
    assert _values(await _next(stream, "records")) == [1]
    await stream.leave()


@_in_loop
async def test_nowhere_to_begin_ends_the_stream(world: _World) -> None:
    world.groups.assign(_P0)
    stream = world.stream(reset="none")
    await stream.join()
    await _next(stream, "member")
    await _next(stream, "assigned")
    assert "no reset policy" in json.loads((await _next(stream, "error")).data)["message"]
    assert stream.is_over
    await stream.leave()


@_in_loop
async def test_whose_client_is_gone_leaves_and_whose_broker_stops_keeps_its_place(
    world: _World,
) -> None:
    stream = await world.joined()
    await stream.release()
    assert all(heartbeat.member_epoch != LEAVING for heartbeat in world.groups.heartbeats)
    assert await stream.next_event(0.0) is None
    again = await world.joined()
    await again.leave()
    epochs = [heartbeat.member_epoch for heartbeat in world.groups.heartbeats]
    assert epochs[-1] == LEAVING
    assert epochs.count(JOINING) == 2
