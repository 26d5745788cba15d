"""Where a group shall go on reading: its committed offsets moved, on request.

Nothing is moved unless everything can be: the offsets of all partitions are found first.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

from kafkalite.broker.groups.ports import CommittedOffset
from kafkalite.broker.metadata_view import MetadataView
from kafkalite.broker.offset_lookup import OffsetLookup
from kafkalite.groups.description import GroupDescription
from kafkalite.groups.state import GroupPhase
from kafkalite.model.errors import (
    GroupIdNotFoundError,
    InvalidRequestError,
    LogError,
    NonEmptyGroupError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import TopicPartition
from kafkalite.model.offsets import NO_OFFSET, OffsetRange

T = TypeVar("T")


class ResetTo(StrEnum):
    """What new offsets are reckoned from."""

    EARLIEST = "earliest"
    LATEST = "latest"
    CURRENT = "current"
    """The committed offset; where there is none, the latest."""
    OFFSET = "offset"
    SHIFT = "shift"
    """The committed offset and so many more, or fewer."""
    TIME = "time"
    """The first record that is not older; where there is none, the latest."""
    GIVEN = "given"
    """An offset of its own for each partition."""


@dataclass(frozen=True, slots=True)
class ResetWish:
    """Which partitions, and where to."""

    to: ResetTo
    number: int = 0
    """The offset, the shift, or the time in ms since the epoch."""
    topics: Mapping[str, Collection[int] | None] | None = None
    """Topics and partitions of each, None: all of them. None in place of topics: all partitions
    that the group has committed offsets of."""
    given: Mapping[TopicPartition, int] | None = None
    """With GIVEN, in place of `topics`."""


@dataclass(frozen=True, slots=True)
class NewOffset:
    """What a reset does to one partition."""

    partition: TopicPartition
    before: int
    """The committed offset until then; NO_OFFSET where there is none."""
    offset: int
    warning: str = ""
    """Why it is another offset than was asked for."""


class ResettableGroups(Protocol):
    """What a reset needs of the group's coordinator; errors are LogErrors."""

    async def describe(self, group: str) -> GroupDescription:
        """The group; raises GroupIdNotFoundError where there is none."""

    async def committed(self, group: str) -> Mapping[TopicPartition, CommittedOffset]:
        """All committed offsets of a group; none of one that does not exist."""

    async def reset(self, group: str, offsets: Mapping[TopicPartition, CommittedOffset]) -> None:
        """Commit offsets of a group without members; raises NonEmptyGroupError otherwise."""


class OffsetReset:
    """Resets offsets of the groups that this broker coordinates. Lives on the loop."""

    def __init__(self, groups: ResettableGroups, lookup: OffsetLookup, view: MetadataView) -> None:
        self._groups = groups
        self._lookup = lookup
        self._view = view

    async def reset(self, group: str, wish: ResetWish, *, dry_run: bool) -> Sequence[NewOffset]:
        """Find the new offsets, and unless it is a `dry_run` commit them.

        Raises:
            NonEmptyGroupError: the group has members.
            UnknownTopicOrPartitionError: there is no such topic or partition.
            LogError: of some partition the new offset cannot be told; nothing is changed.
        """
        await self._check_inactive(group)
        committed = await self._groups.committed(group)
        partitions = self._partitions(wish, committed)
        new = await self._new_offsets(wish, partitions, committed)
        if new and not dry_run:
            await self._groups.reset(
                group, {each.partition: CommittedOffset(each.offset) for each in new}
            )
        return new

    async def _check_inactive(self, group: str) -> None:
        try:
            phase = (await self._groups.describe(group)).phase
        except GroupIdNotFoundError:
            return  # it will come to be by its offsets
        if phase not in {GroupPhase.EMPTY, GroupPhase.DEAD}:
            raise NonEmptyGroupError(
                f"Assignments can only be reset if the group '{group}' is inactive, but the "
                f"current state is {phase}."
            )

    def _partitions(
        self, wish: ResetWish, committed: Collection[TopicPartition]
    ) -> list[TopicPartition]:
        """The partitions that are meant, all of which exist."""
        if wish.to is ResetTo.GIVEN:
            named = list(wish.given or ())
        elif wish.topics is None:
            topics = self._view.topics
            named = [each for each in committed if each.topic in topics]
        else:
            named = [
                each
                for topic, numbers in wish.topics.items()
                for each in (
                    self._all_of(topic)
                    if numbers is None
                    else [TopicPartition(topic, number) for number in numbers]
                )
            ]
        for each in named:
            if each.partition not in self._known(each.topic):
                raise UnknownTopicOrPartitionError(f"Partition {each} does not exist.")
        return sorted(set(named))

    def _all_of(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for number in self._known(topic)]

    def _known(self, topic: str) -> Collection[int]:
        known = self._view.topics.get(topic)
        if known is None:
            raise UnknownTopicOrPartitionError(f"Topic '{topic}' does not exist.")
        return known.assignment

    async def _new_offsets(
        self,
        wish: ResetWish,
        partitions: Sequence[TopicPartition],
        committed: Mapping[TopicPartition, CommittedOffset],
    ) -> list[NewOffset]:
        ranges = await self._lookup.readable(partitions)
        times: Mapping[TopicPartition, int | LogError] = {}
        if wish.to is ResetTo.TIME:
            times = await self._lookup.at_time(partitions, wish.number)
        new: list[NewOffset] = []
        for each in partitions:
            before = committed[each].offset if each in committed else NO_OFFSET
            try:
                offset, warning = _new_offset(
                    wish, each, before, _unless_error(ranges[each]), times.get(each, NO_OFFSET)
                )
            except LogError as error:
                raise type(error)(f"{each}: {error.detail}", **error.extra) from error
            new.append(NewOffset(each, before, offset, warning))
        return new


def _new_offset(
    wish: ResetWish,
    partition: TopicPartition,
    before: int,
    readable: OffsetRange,
    at_time: int | LogError,
) -> tuple[int, str]:
    """The new offset of one partition, and a warning where it is not what was asked for."""
    match wish.to:
        case ResetTo.EARLIEST:
            return readable.start, ""
        case ResetTo.LATEST:
            return readable.end, ""
        case ResetTo.CURRENT:
            return (readable.end if before == NO_OFFSET else before), ""
        case ResetTo.TIME:
            found = _unless_error(at_time)
            if found != NO_OFFSET:
                return found, ""
            return readable.end, (
                f"Partition {partition.partition} from topic {partition.topic} has no record that "
                "late. Falling back to latest known offset."
            )
        case ResetTo.SHIFT if before == NO_OFFSET:
            raise InvalidRequestError(
                "Cannot shift offset since there is no current committed offset"
            )
        case ResetTo.SHIFT:
            wanted = before + wish.number
        case ResetTo.OFFSET:
            wanted = wish.number
        case ResetTo.GIVEN:
            wanted = (wish.given or {})[partition]
    return _clamped(wanted, partition, readable)


def _clamped(wanted: int, partition: TopicPartition, readable: OffsetRange) -> tuple[int, str]:
    """`wanted`, or the end of the log that it lies beyond, and Kafka's warning then."""
    if wanted < readable.start:
        bound, side = readable.start, "lower than earliest"
    elif wanted > readable.end:
        bound, side = readable.end, "higher than latest"
    else:
        return wanted, ""
    return bound, (
        f"New offset ({wanted}) is {side} offset for topic partition {partition}. "
        f"Value will be set to {bound}"
    )


def _unless_error(found: T | LogError) -> T:
    if isinstance(found, LogError):
        raise found
    return found
