"""The segments of one log in their order; the last one is active."""

from bisect import bisect_right
from collections.abc import Iterator

from kafkalite.storage.segment import Segment


class Segments:
    """Never empty once its log is open. Shares the log's owner and thread."""

    __slots__ = ("_bases", "_list", "active")

    active: Segment
    """Where batches are appended."""

    def __init__(self) -> None:
        self._list: list[Segment] = []
        self._bases: list[int] = []

    def __iter__(self) -> Iterator[Segment]:
        return iter(self._list)

    def __reversed__(self) -> Iterator[Segment]:
        return reversed(self._list)

    def __len__(self) -> int:
        return len(self._list)

    def __getitem__(self, index: int) -> Segment:
        return self._list[index]

    @property
    def size_bytes(self) -> int:
        return sum(segment.size for segment in self._list)

    def add(self, segment: Segment) -> None:
        """Make `segment` the active one."""
        self._list.append(segment)
        self._bases.append(segment.base_offset)
        self.active = segment

    def holding(self, offset: int) -> Segment:
        """The segment that holds `offset`, or would."""
        if offset >= self.active.base_offset:
            return self.active
        return self._list[max(bisect_right(self._bases, offset) - 1, 0)]

    def drop_first(self, count: int) -> list[Segment]:
        """Take out the oldest `count` segments, fewer than there are."""
        assert count < len(self._list)
        dropped = self._list[:count]
        del self._list[:count], self._bases[:count]
        return dropped

    def drop_after(self, segment: Segment) -> list[Segment]:
        """Take out the segments that follow `segment`, which becomes the active one."""
        kept = self._list.index(segment) + 1
        dropped = self._list[kept:]
        del self._list[kept:], self._bases[kept:]
        self.active = segment
        return dropped

    def replace_all(self, segment: Segment) -> list[Segment]:
        """Make `segment` the only one; gives those there were."""
        dropped, self._list, self._bases = self._list, [], []
        self.add(segment)
        return dropped
