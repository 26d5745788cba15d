"""Where a consumer goes on in each of its partitions, and where it begins."""

from collections.abc import Callable
from typing import Final

from kafkalite.cli.cluster import EARLIEST, LATEST, Cluster
from kafkalite.model.errors import LogError
from kafkalite.model.ids import TopicPartition

UNKNOWN: Final = -1
"""Position of a partition that was found but not asked yet where it begins."""


class Positions:
    """The offset of the next record to ask for, of each partition. Owned by one command."""

    def __init__(self, cluster: Cluster, *, on_notice: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._on_notice = on_notice
        self._out_of_range: dict[TopicPartition, int] = {}
        self.by_partition: dict[TopicPartition, int] = {}
        """UNKNOWN until `locate` has found it."""

    def forget(self, found: TopicPartition) -> None:
        """This partition is not read any more."""
        self.by_partition.pop(found, None)
        self._out_of_range.pop(found, None)

    def is_out_of_range(self, found: TopicPartition) -> bool:
        """Whether `locate` has yet to find another position for it."""
        return found in self._out_of_range

    def note_out_of_range(self, found: TopicPartition) -> None:
        """A partition does not hold its position: the next `locate` finds another one."""
        self._out_of_range[found] = self.by_partition[found]
        self.by_partition[found] = UNKNOWN

    def locate(
        self, leaders: dict[TopicPartition, str], start_of: Callable[[TopicPartition], str]
    ) -> None:
        """Find positions for partitions that have none; those that cannot say it leave `leaders`.

        Args:
            leaders: where each partition is read.
            start_of: where to begin: `earliest`, `latest` or an offset in decimal.

        Raises:
            LogError: a broker cannot say where a partition begins, and never will.
        """
        for found, url in list(leaders.items()):
            if self.by_partition[found] != UNKNOWN:
                continue
            try:
                self.by_partition[found] = self._first(found, url, start_of)
            except LogError as error:
                if not error.retriable:
                    raise
                del leaders[found]

    def _first(
        self, found: TopicPartition, url: str, start_of: Callable[[TopicPartition], str]
    ) -> int:
        lost = self._out_of_range.get(found)
        if lost is not None:
            return self._nearest(found, url, lost)
        start = start_of(found)
        if start.isdecimal():
            return int(start)
        return self._cluster.offset(*found, start, url).offset

    def _nearest(self, found: TopicPartition, url: str, lost: int) -> int:
        """Where to go on when the records at `lost` are gone, or not there yet."""
        earliest = self._cluster.offset(*found, EARLIEST, url).offset
        is_gone = lost < earliest
        position = earliest if is_gone else self._cluster.offset(*found, LATEST, url).offset
        del self._out_of_range[found]
        self._on_notice(f"Offset {lost} of {found} is out of range; going on at {position}.")
        return position
