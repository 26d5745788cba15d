"""The offset index of a segment: sparse, offset -> position in the file.

    entry = relative_offset:i32 position:i32        ; big-endian, both ascending

An entry says: the batch at `position` begins with the offset base + `relative_offset`. The batch at
position 0 needs none. The file around the entries is `index_file.py`'s.
"""

import sys
from array import array
from bisect import bisect_left, bisect_right
from itertools import islice
from operator import lt
from typing import Final, NamedTuple

ENTRY_SIZE: Final = 8
_SWAPS: Final = sys.byteorder == "little"


class Entry(NamedTuple):
    """A batch boundary."""

    relative_offset: int
    position: int


_START: Final = Entry(0, 0)


class OffsetIndex:
    """Entries in memory. One owner, no locks."""

    __slots__ = ("_offsets", "_positions")

    def __init__(self) -> None:
        self._offsets = array("I")
        self._positions = array("I")

    def __len__(self) -> int:
        return len(self._offsets)

    @property
    def last(self) -> Entry:
        """The last entry; the segment's start if there is none."""
        return Entry(self._offsets[-1], self._positions[-1]) if self._offsets else _START

    def append(self, relative_offset: int, position: int) -> None:
        self._offsets.append(relative_offset)
        self._positions.append(position)

    def with_entry(self, relative_offset: int, position: int) -> "OffsetIndex":
        """These entries and one between them; another thread may be encoding the present ones."""
        found = bisect_left(self._offsets, relative_offset)
        copy = OffsetIndex()
        copy._offsets, copy._positions = self._offsets[:], self._positions[:]
        if self._offsets[found : found + 1] != array("I", [relative_offset]):
            copy._offsets.insert(found, relative_offset)
            copy._positions.insert(found, position)
        return copy

    def at_or_below(self, relative_offset: int) -> Entry:
        """The last entry not above `relative_offset`; the segment's start if there is none."""
        found = bisect_right(self._offsets, relative_offset)
        return Entry(self._offsets[found - 1], self._positions[found - 1]) if found else _START

    def last_within(self, relative_offset: int, position: int) -> Entry:
        """The last entry that is above neither `relative_offset` nor `position`."""
        found = min(
            bisect_right(self._offsets, relative_offset), bisect_right(self._positions, position)
        )
        return Entry(self._offsets[found - 1], self._positions[found - 1]) if found else _START

    def after(self, position: int) -> Entry | None:
        """The first entry above `position`."""
        found = bisect_right(self._positions, position)
        if found == len(self._positions):
            return None
        return Entry(self._offsets[found], self._positions[found])

    def truncate(self, relative_offset: int) -> None:
        """Drop the entries at and above `relative_offset`."""
        found = bisect_right(self._offsets, relative_offset - 1) if relative_offset > 0 else 0
        del self._offsets[found:], self._positions[found:]

    def encode(self) -> bytes:
        """The entries as their file holds them; may be called from any thread."""
        count = len(self._positions)  # the owner may append meanwhile
        pairs = array("I", bytes(ENTRY_SIZE * count))
        pairs[0::2] = self._offsets[:count]
        pairs[1::2] = self._positions[:count]
        if _SWAPS:
            pairs.byteswap()
        return pairs.tobytes()

    @classmethod
    def decode(cls, entries: bytes, segment_size: int) -> "OffsetIndex | None":
        """Entries from their file; None unless they ascend within a segment of that many bytes."""
        pairs = array("I", entries)
        if _SWAPS:
            pairs.byteswap()
        index = cls()
        index._offsets = pairs[0::2]
        index._positions = pairs[1::2]
        if not (ascends(index._offsets) and ascends(index._positions)):
            return None
        if index._positions and index._positions[-1] > segment_size:
            return None
        return index


def ascends(values: "array[int]") -> bool:
    """Whether each value is above the one before it."""
    return all(map(lt, values, islice(values, 1, None)))
