"""One consumer instance over a group and partitions in memory."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

import pytest

from kafkalite.broker.consumers import instance as consumer_instance
from kafkalite.broker.consumers.commits import OffsetToKeep
from kafkalite.broker.consumers.definition import ConsumerDefinition
from kafkalite.broker.consumers.errors import (
    IllegalStateError,
    InvalidPatternError,
    NotAssignedError,
    NotSubscribedError,
)
from kafkalite.broker.consumers.instance import ConsumerInstance, ConsumerWorld
from kafkalite.broker.consumers.messenger import Messenger, Messengers
from kafkalite.model.errors import (
    CoordinatorNotAvailableError,
    FencedInstanceIdError,
    NotCoordinatorError,
    StaleMemberEpochError,
    UnknownMemberIdError,
)
from kafkalite.model.ids import BrokerId, TopicPartition
from kafkalite.model.record import Record
from kafkalite.wire.group_messages import JOINING, LEAVING
from kafkalite.wire.rest_records import EmbeddedFormat, OnError, PoisonRecordError
from tests.support.fake_consumers import FakeGroups, FakeMessengers, FakePartitions

_P0: Final = TopicPartition("t", 0)
_P1: Final = TopicPartition("t", 1)
_OTHER: Final = Messenger(BrokerId(7), 1)
_LONG_MS: Final = 30_000


class _World:
    """A group with an instance that is subscribed, and has both partitions."""

    def __init__(self, **definition: Any) -> None:
        self.groups = FakeGroups()
        self.partitions = FakePartitions(_P0, _P1)
        self.messengers = FakeMessengers()
        self.saved: list[ConsumerDefinition] = []
        self.fenced: list[ConsumerInstance] = []
        wanted = {"format": EmbeddedFormat.JSON, "auto_offset_reset": "earliest", **definition}
        self.instance = self.another(ConsumerDefinition(**wanted))

    def another(self, definition: ConsumerDefinition) -> ConsumerInstance:
        return ConsumerInstance(
            "g",
            "c",
            definition,
            ConsumerWorld(
                self.groups,
                self.partitions,
                self.partitions,
                self.partitions.view(),
                cast("Messengers", self.messengers),
                45_000,
            ),
            save=self._save,
            on_fenced=self.fenced.append,
        )

    async def _save(self, definition: ConsumerDefinition) -> None:
        await asyncio.sleep(0)
        self.saved.append(definition)

    async def subscribe(self, *partitions: TopicPartition) -> None:
        self.groups.assign(*(partitions or (_P0, _P1)))
        await self.instance.subscribe(["t"], None)

    def append(self, partition: TopicPartition, *values: int) -> None:
        self.partitions.append(partition, *[Record(b"%d" % value) for value in values])

    async def poll(self, max_bytes: int = 1000, **options: Any) -> list[int]:
        rows = await self.instance.poll(0, max_bytes, OnError.FAIL, **options)
        return [json.loads(row)["value"] for row in rows]

    @property
    def committed(self) -> dict[TopicPartition, int]:
        return {partition: kept.offset for partition, kept in self.groups.offsets.items()}


def run(scenario: Callable[[_World], Awaitable[None]], **definition: Any) -> None:
    async def whole() -> None:
        world = _World(**definition)
        try:
            await scenario(world)
        finally:
            await world.instance.retire(is_finished=False)

    asyncio.run(whole())


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - what it looks at is whole objects, not an event
            await asyncio.sleep(0)


def test_records_come_in_order_and_page_by_page() -> None:
    async def scenario(world: _World) -> None:
        world.append(_P0, 1, 2, 3)
        world.append(_P0, 4)
        await world.subscribe()
        assert await world.poll(max_bytes=2) == [1, 2]
        assert await world.poll(max_bytes=1) == [3]
        assert await world.poll() == [4]
        assert await world.poll() == []

    run(scenario)


def test_rest_of_a_batch_is_not_read_again() -> None:
    async def scenario(world: _World) -> None:
        world.append(_P0, *range(10))
        await world.subscribe(_P0)
        assert await world.poll(max_bytes=1) == [0]
        before = len(world.partitions.fetches)
        assert [await world.poll(max_bytes=1) for _ in range(8)] == [[n] for n in range(1, 9)]
        assert len(world.partitions.fetches) == before

    run(scenario)


def test_poll_that_waits_gets_what_is_appended_and_what_is_assigned() -> None:
    async def scenario(world: _World) -> None:
        await world.subscribe(_P0)

        def append() -> None:
            world.append(_P0, 5)

        def assign() -> None:
            world.append(_P1, 6)
            world.groups.assign(_P0, _P1)

        for change in (append, assign):
            waiting = asyncio.create_task(world.instance.poll(_LONG_MS, 100, OnError.FAIL))
            for _ in range(20):
                await asyncio.sleep(0)
            assert not waiting.done()
            change()
            assert len(await waiting) == 1

    run(scenario)


def test_only_what_earlier_polls_gave_is_committed_by_itself() -> None:
    async def scenario(world: _World) -> None:
        world.append(_P0, 1, 2, 3)
        await world.subscribe()
        await world.poll(max_bytes=1)
        await world.instance.commit_by_itself()
        assert world.committed == {}, "its answer may never have arrived"
        await world.poll(max_bytes=1)
        await world.instance.commit_by_itself()
        assert world.committed == {_P0: 1}
        await world.instance.commit_delivered()
        assert world.committed == {_P0: 2}
        await world.instance.commit_by_itself()
        assert len(world.groups.commits) == 2, "nothing is committed twice"

    run(scenario)


def test_committing_by_itself_never_goes_back_behind_the_client() -> None:
    async def scenario(world: _World) -> None:
        world.append(_P0, 1, 2, 3)
        await world.subscribe()
        await world.poll(max_bytes=1)
        await world.instance.commit({_P0: OffsetToKeep(3, "mine")})
        await world.poll(max_bytes=1)
        await world.instance.commit_by_itself()
        assert world.committed == {_P0: 3}
        world.instance.assignment.seek({_P0: 0})
        await world.instance.commit_by_itself()
        assert world.committed == {_P0: 0}, "but a seek does"

    run(scenario)


def test_instance_that_shall_not_commit_commits_only_when_told() -> None:
    async def scenario(world: _World) -> None:
        world.append(_P0, 1)
        await world.subscribe()
        await world.poll()
        await world.poll()
        await world.instance.commit_by_itself()
        assert world.committed == {}
        await world.instance.commit_delivered()
        assert world.committed == {_P0: 1}

    run(scenario, auto_commit=False)


def test_partition_is_let_go_once_the_client_asks_for_more() -> None:
    async def scenario(world: _World) -> None:
        world.append(_P0, 1)
        world.append(_P1, 2)
        await world.subscribe()
        assert sorted(await world.poll()) == [1, 2]
        world.groups.assign(_P0)
        await _until(lambda: world.instance.assignment.partitions == [_P0])
        for _ in range(20):
            await asyncio.sleep(0)
        assert world.groups.owned == {_P0, _P1}, "the client may still be busy with it"
        assert world.committed == {}
        assert await world.poll() == []
        await _until(lambda: world.groups.owned == {_P0})
        assert world.committed[_P1] == 1, "committed before others have it"

    run(scenario)


def test_partition_is_let_go_when_the_client_takes_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consumer_instance, "REVOKE_PATIENCE_S", 0.01)

    async def scenario(world: _World) -> None:
        world.append(_P1, 2)
        await world.subscribe()
        assert await world.poll() == [2]
        world.groups.assign(_P0)
        await _until(lambda: world.groups.owned == {_P0})
        assert world.committed == {}, "nobody said that it was dealt with: it comes again"

    run(scenario)


def test_records_of_a_partition_that_was_taken_away_meanwhile_are_not_sent() -> None:
    async def scenario(world: _World) -> None:
        world.append(_P0, 1)
        world.append(_P1, 2)
        await world.subscribe()
        disk = world.partitions.disk = asyncio.Event()
        polling = asyncio.create_task(world.poll())
        await asyncio.sleep(0)
        world.groups.assign(_P1)
        await _until(lambda: world.instance.assignment.partitions == [_P1])
        disk.set()
        assert await polling == [2]

    run(scenario)


def test_poll_that_is_given_up_takes_nothing() -> None:
    async def scenario(world: _World) -> None:
        world.append(_P0, 1, 2)
        await world.subscribe()
        disk = world.partitions.disk = asyncio.Event()
        polling = asyncio.create_task(world.poll())
        await asyncio.sleep(0)
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)
        disk.set()
        assert await world.poll() == [1, 2]

    run(scenario)


def test_records_come_again_when_the_broker_that_sent_them_on_is_gone() -> None:
    async def scenario(world: _World) -> None:
        world.append(_P0, 1, 2, 3)
        await world.subscribe(_P0)
        assert await world.poll(max_bytes=1) == [1]
        assert await world.poll(max_bytes=1, messenger=_OTHER) == [2]
        assert await world.poll(max_bytes=1, messenger=_OTHER) == [3]
        world.messengers.gone.add(_OTHER)
        assert await world.poll(max_bytes=1) == [3]
        assert await world.poll(max_bytes=1) == []
        await world.instance.commit_by_itself()
        assert world.committed == {_P0: 3}

    run(scenario)


def test_records_come_again_when_their_answer_was_lost() -> None:
    async def scenario(world: _World) -> None:
        world.append(_P0, 1, 2)
        await world.subscribe(_P0)
        assert await world.poll(max_bytes=1) == [1]
        assert await world.poll(max_bytes=1) == [2]
        assert await world.poll(max_bytes=1, is_again=True) == [2]

    run(scenario)


def test_poison_record_stops_at_itself() -> None:
    async def scenario(world: _World) -> None:
        world.partitions.append(_P0, Record(b"1"), Record(b"{"), Record(b"3"))
        await world.subscribe(_P0)
        assert await world.poll() == [1]
        for _ in range(2):
            with pytest.raises(PoisonRecordError, match="offset 1"):
                await world.poll()
        (row,) = await world.instance.poll(0, 100, OnError.SKIP)
        assert json.loads(row)["value"] == 3

    run(scenario)


def test_position_out_of_range_is_reset() -> None:
    async def scenario(world: _World) -> None:
        world.append(_P0, 1, 2, 3)
        world.groups.offsets = {}
        await world.subscribe(_P0)
        world.partitions.starts[_P0] = 2
        assert [await world.poll(), await world.poll()] == [[], [3]]

    run(scenario)


def test_where_it_began_at_the_end_is_kept_for_the_next_broker() -> None:
    async def scenario(world: _World) -> None:
        world.append(_P0, 1)
        await world.subscribe(_P0)
        world.append(_P0, 2)
        await world.instance.release()
        successor = world.instance = world.another(world.saved[-1])
        await successor.resume()
        await _until(lambda: successor.assignment.partitions == [_P0])
        assert await world.poll() == [2]

    run(scenario, auto_offset_reset="latest")


def test_successor_joins_under_the_same_instance_id_as_another_member() -> None:
    async def scenario(world: _World) -> None:
        await world.subscribe(_P0)
        first = world.groups.heartbeats[0]
        await world.instance.release()
        assert world.groups.heartbeats[-1].member_epoch != LEAVING
        world.instance = world.another(world.saved[-1])
        await world.instance.resume()
        second = world.groups.heartbeats[-1]
        joins = [each for each in world.groups.heartbeats if each.member_epoch == JOINING]
        assert len(joins) == 2
        assert first.instance_id == second.instance_id == "rest-consumer-c"
        assert first.member_id != second.member_id

    run(scenario)


@pytest.mark.parametrize("error", [FencedInstanceIdError(), NotCoordinatorError()])
def test_instance_ends_when_another_broker_serves_it(error: Exception) -> None:
    async def scenario(world: _World) -> None:
        await world.subscribe(_P0)
        waiting = asyncio.create_task(world.instance.poll(_LONG_MS, 100, OnError.FAIL))
        await asyncio.sleep(0)
        world.groups.refusals.append(cast("FencedInstanceIdError", error))
        world.groups.assign(_P0, _P1)
        with pytest.raises(NotCoordinatorError):
            await waiting
        assert world.fenced == [world.instance]

    run(scenario)


def test_member_that_the_group_does_not_know_joins_again_as_another_one() -> None:
    async def scenario(world: _World) -> None:
        world.append(_P0, 1, 2)
        await world.subscribe(_P0)
        assert await world.poll(max_bytes=1) == [1]
        former = world.groups.heartbeats[0].member_id
        world.groups.refusals.append(UnknownMemberIdError())
        world.groups.assign(_P0)
        await _until(
            lambda: (
                world.groups.heartbeats[-1].member_id != former
                and bool(world.instance.assignment.partitions)
            )
        )
        assert await world.poll(max_bytes=1) == [1], "from what was committed: nothing"

    run(scenario)


def test_heartbeats_go_on_when_the_coordinator_is_away_for_a_moment() -> None:
    async def scenario(world: _World) -> None:
        world.groups.refusals = [CoordinatorNotAvailableError()]
        await world.subscribe(_P0)
        assert world.instance.assignment.partitions == [_P0]

    run(scenario)


def test_member_keeps_its_subscription_when_another_one_is_refused() -> None:
    async def scenario(world: _World) -> None:
        await world.subscribe(_P0)
        with pytest.raises(InvalidPatternError):
            await world.instance.subscribe((), "(")
        await _until(lambda: world.groups.heartbeats[-1].topics == ["t"])
        assert world.groups.heartbeats[-1].pattern is None
        assert world.instance.definition.topics == ("t",)
        assert world.instance.assignment.partitions == [_P0]

    run(scenario)


def test_commit_is_made_again_when_the_epoch_was_raised_meanwhile() -> None:
    async def scenario(world: _World) -> None:
        world.append(_P0, 1)
        await world.subscribe(_P0)
        await world.poll()
        world.groups.commit_refusals = [StaleMemberEpochError()]
        await world.instance.commit_delivered()
        assert world.committed == {_P0: 1}

    run(scenario)


def test_what_does_not_go_together_is_refused() -> None:
    async def scenario(world: _World) -> None:
        with pytest.raises(NotSubscribedError):
            await world.poll()
        await world.instance.assign([_P0])
        with pytest.raises(IllegalStateError):
            await world.instance.subscribe(["t"], None)
        with pytest.raises(NotAssignedError):
            world.instance.assignment.seek({_P1: 0})
        await world.instance.unsubscribe()
        await world.subscribe(_P0)
        with pytest.raises(IllegalStateError):
            await world.instance.assign([_P0])

    run(scenario)


def test_deleting_commits_all_and_leaves() -> None:
    async def scenario(world: _World) -> None:
        world.append(_P0, 1)
        await world.subscribe(_P0)
        waiting = asyncio.create_task(world.poll())
        assert await waiting == [1]
        await world.instance.retire(is_finished=True)
        assert world.committed == {_P0: 1}
        assert world.groups.heartbeats[-1].member_epoch == LEAVING
        assert await world.poll() == []

    run(scenario)
