"""Finds where partitions begin: where the group got to, at one of their ends, or at a time."""

from collections.abc import Callable, Collection, Mapping
from typing import Literal, NamedTuple, Protocol

from kafkalite.client.consumer.commits import OffsetAndMetadata
from kafkalite.client.consumer.failures import NoOffsetError
from kafkalite.client.consumer.log_requests import Bounds, LogRequests
from kafkalite.client.consumer.positions import (
    EARLIEST,
    GROUP,
    LATEST,
    PartitionPosition,
    Positions,
)
from kafkalite.model.ids import TopicPartition
from kafkalite.model.offsets import NO_OFFSET

Reset = Literal["earliest", "latest", "none"]
OutOfRange = Literal["reset", "nearest"]


class ResetPolicy(NamedTuple):
    """What to do where there is no offset to go on from."""

    reset: Reset
    out_of_range: OutOfRange = "reset"
    """Of an offset that the log does not hold: as `reset` says, or at the end that is nearer."""


class CommittedOffsets(Protocol):
    """Where a group got to."""

    async def committed(
        self, partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, OffsetAndMetadata]:
        """What is committed of `partitions`; raises LogError."""


class Located(NamedTuple):
    """What one round has found."""

    is_complete: bool
    """Whether every partition knows where it is, or what is wrong with it."""
    begun: list[PartitionPosition]
    """Those that began where nothing was committed."""


class Starts:
    """Owned by a consumer, on the loop; `locate` again until it is complete."""

    def __init__(
        self,
        policy: ResetPolicy,
        positions: Positions,
        requests: LogRequests,
        committed: CommittedOffsets | None,
        *,
        timeout_s: float,
        on_notice: Callable[[str], None],
    ) -> None:
        """`committed` is None without a group; `on_notice` hears of offsets out of range."""
        self._policy = policy
        self._positions = positions
        self._requests = requests
        self._committed = committed
        self._timeout_s = timeout_s
        self._on_notice = on_notice

    async def locate(self) -> Located:
        """Find positions for partitions that have none.

        Raises:
            LogError: the group cannot be asked where it got to.
        """
        unknown = [each for each in self._positions if not each.is_known and each.error is None]
        begun: list[PartitionPosition] = []
        if not unknown:
            return Located(is_complete=True, begun=begun)
        stints = {each: each.stint for each in unknown}
        await self._go_on_with_group(unknown, stints)
        left = [each for each in unknown if stints[each] == each.stint]
        to_ask: dict[TopicPartition, PartitionPosition] = {}
        for each in left:
            if self._end_of(each) is None:
                each.error = NoOffsetError([each.topic_partition])
            else:
                to_ask[each.topic_partition] = each
        bounds = await self._requests.bounds(to_ask, self._timeout_s)
        is_complete = True
        for key, each in to_ask.items():
            found = bounds[key]
            if each.stint != stints[each]:
                continue
            if isinstance(found, Bounds):
                self._begin(each, found)
                begun.append(each)
            elif found.retriable:
                is_complete = False
            else:
                each.error = found
        return Located(is_complete, begun)

    async def _go_on_with_group(
        self, unknown: list[PartitionPosition], stints: dict[PartitionPosition, int]
    ) -> None:
        if self._committed is None:
            return
        asked = {
            each.topic_partition: each
            for each in unknown
            if each.start == GROUP and each.lost_offset == NO_OFFSET
        }
        if not asked:
            return
        committed = await self._committed.committed(asked)
        for key, each in asked.items():
            if key in committed and each.stint == stints[each]:
                each.go_to(committed[key].offset)

    def _end_of(self, each: PartitionPosition) -> str | None:
        """The end of the log to begin at; None where nobody says."""
        if each.lost_offset != NO_OFFSET and self._policy.out_of_range == "nearest":
            return "nearest"
        if each.start != GROUP and each.lost_offset == NO_OFFSET:
            return str(each.start)
        if each.is_new and each.lost_offset == NO_OFFSET:
            return EARLIEST
        return None if self._policy.reset == "none" else self._policy.reset

    def _begin(self, each: PartitionPosition, bounds: Bounds) -> None:
        end, lost = self._end_of(each), each.lost_offset
        if lost != NO_OFFSET and bounds.start <= lost <= bounds.end:
            each.go_to(lost)  # who said otherwise was behind
            return
        if end == "nearest":
            offset = bounds.start if lost < bounds.start else bounds.end
        else:
            offset = bounds.end if end == LATEST else bounds.start
        each.go_to(offset)
        each.high_watermark, each.log_start_offset = bounds.end, bounds.start
        if lost != NO_OFFSET:
            self._on_notice(
                f"Offset {lost} of {each.topic_partition} is out of range; going on at {offset}."
            )
