"""New offsets of a group: found for all partitions first, clamped to what can be read."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import cast

import pytest

from kafkalite.broker.groups.offset_reset import OffsetReset, ResetTo, ResetWish
from kafkalite.broker.groups.ports import CommittedOffset
from kafkalite.broker.metadata_view import ClusterPicture, MetadataView, TopicAt
from kafkalite.broker.offset_lookup import OffsetLookup
from kafkalite.groups.state import Member
from kafkalite.model.cluster import Topic
from kafkalite.model.errors import (
    InvalidRequestError,
    LeaderNotAvailableError,
    LogError,
    NonEmptyGroupError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import BrokerId, TopicId, TopicPartition
from kafkalite.model.offsets import NO_OFFSET, OffsetRange
from tests.support.api_groups import FakeGroup, FakeGroups

_T0, _T1 = TopicPartition("t", 0), TopicPartition("t", 1)


class _Lookup:
    """Partitions that hold what a test says."""

    def __init__(self) -> None:
        self.ranges: dict[TopicPartition, OffsetRange | LogError] = {
            _T0: OffsetRange(10, 20),
            _T1: OffsetRange(0, 5),
        }
        self.times: dict[TopicPartition, int | LogError] = {_T0: 13, _T1: NO_OFFSET}

    async def readable(
        self, wanted: Iterable[TopicPartition]
    ) -> Mapping[TopicPartition, OffsetRange | LogError]:
        return {each: self.ranges[each] for each in wanted}

    async def at_time(
        self, wanted: Iterable[TopicPartition], time_ms: int
    ) -> Mapping[TopicPartition, int | LogError]:
        assert time_ms == 1000
        return {each: self.times[each] for each in wanted}


class _World:
    def __init__(self) -> None:
        self.groups, self.lookup, view = FakeGroups(), _Lookup(), MetadataView()
        assignment = dict.fromkeys(range(2), (BrokerId(0),))
        topic = Topic("t", TopicId("AAAAAAAAAAAAAAAAAAAAAA"), assignment)
        view.replace(ClusterPicture("c", topics={"t": TopicAt(topic, 1)}))
        self.group = self.groups.groups["g"] = FakeGroup(offsets={_T0: CommittedOffset(15)})
        self.resetting = OffsetReset(self.groups, cast("OffsetLookup", self.lookup), view)
        self.warnings: list[str] = []

    def reset(self, wish: ResetWish, *, group: str = "g", dry_run: bool = True) -> dict[str, int]:
        new = asyncio.run(self.resetting.reset(group, wish, dry_run=dry_run))
        self.warnings = [each.warning for each in new if each.warning]
        return {str(each.partition): each.offset for each in new}


@pytest.fixture
def world() -> _World:
    return _World()


def _all(to: ResetTo, number: int = 0) -> ResetWish:
    return ResetWish(to, number, topics={"t": None})


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (_all(ResetTo.EARLIEST), {"t-0": 10, "t-1": 0}),
        (_all(ResetTo.LATEST), {"t-0": 20, "t-1": 5}),
        (_all(ResetTo.CURRENT), {"t-0": 15, "t-1": 5}),
        (_all(ResetTo.TIME, 1000), {"t-0": 13, "t-1": 5}),
        (ResetWish(ResetTo.OFFSET, 3, {"t": [1]}), {"t-1": 3}),
        (ResetWish(ResetTo.SHIFT, -2, {"t": [0]}), {"t-0": 13}),
        (ResetWish(ResetTo.SHIFT, 2), {"t-0": 17}),
        (ResetWish(ResetTo.GIVEN, given={_T1: 4}), {"t-1": 4}),
    ],
)
def test_new_offsets_are_where_the_wish_says(
    world: _World, wish: ResetWish, expected: dict[str, int]
) -> None:
    assert world.reset(wish) == expected


def test_an_offset_beyond_the_log_is_clamped_with_kafkas_warning(world: _World) -> None:
    assert world.reset(_all(ResetTo.OFFSET, 7)) == {"t-0": 10, "t-1": 5}
    assert world.warnings == [
        "New offset (7) is lower than earliest offset for topic partition t-0. "
        "Value will be set to 10",
        "New offset (7) is higher than latest offset for topic partition t-1. "
        "Value will be set to 5",
    ]
    assert world.reset(_all(ResetTo.OFFSET, 20))["t-0"] == 20
    assert len(world.warnings) == 1


def test_a_dry_run_commits_nothing(world: _World) -> None:
    world.reset(_all(ResetTo.EARLIEST))
    assert world.group.offsets == {_T0: CommittedOffset(15)}
    world.reset(_all(ResetTo.EARLIEST), dry_run=False)
    assert world.group.offsets == {_T0: CommittedOffset(10), _T1: CommittedOffset(0)}


def test_a_group_comes_to_be_by_its_offsets(world: _World) -> None:
    world.reset(_all(ResetTo.LATEST), group="new", dry_run=False)
    assert world.groups.groups["new"].offsets[_T1] == CommittedOffset(5)


def test_a_group_with_members_is_left_alone(world: _World) -> None:
    world.group.members = (Member("m", 1),)
    with pytest.raises(NonEmptyGroupError) as refused:
        world.reset(_all(ResetTo.LATEST))
    assert refused.value.detail == (
        "Assignments can only be reset if the group 'g' is inactive, but the current state is "
        "Stable."
    )


@pytest.mark.parametrize(
    ("wish", "kind", "detail"),
    [
        (ResetWish(ResetTo.LATEST, topics={"u": None}), UnknownTopicOrPartitionError, "'u'"),
        (ResetWish(ResetTo.LATEST, topics={"t": [2]}), UnknownTopicOrPartitionError, "t-2"),
        (ResetWish(ResetTo.GIVEN, given={TopicPartition("t", 9): 1}), LogError, "t-9"),
        (_all(ResetTo.SHIFT, 1), InvalidRequestError, "t-1: Cannot shift offset since"),
    ],
)
def test_wishes_that_cannot_be_fulfilled_are_refused_as_a_whole(
    world: _World, wish: ResetWish, kind: type[LogError], detail: str
) -> None:
    with pytest.raises(kind, match=detail):
        world.reset(wish, dry_run=False)
    assert world.group.offsets == {_T0: CommittedOffset(15)}


def test_nothing_is_moved_while_one_leader_cannot_be_asked(world: _World) -> None:
    world.lookup.ranges[_T1] = LeaderNotAvailableError("nobody leads")
    with pytest.raises(LeaderNotAvailableError, match="t-1: nobody leads"):
        world.reset(_all(ResetTo.EARLIEST), dry_run=False)
    world.lookup.ranges[_T1] = OffsetRange(0, 5)
    world.lookup.times[_T1] = LeaderNotAvailableError("gone since")
    with pytest.raises(LeaderNotAvailableError, match="t-1: gone since"):
        world.reset(_all(ResetTo.TIME, 1000), dry_run=False)
    assert world.group.offsets == {_T0: CommittedOffset(15)}
