"""The time index of a segment: sparse, largest timestamp so far -> offset.

    entry = timestamp:i64 relative_offset:i32       ; big-endian, both ascending

An entry says: no batch up to the one that begins at base + `relative_offset` holds a timestamp
above `timestamp`, and that one holds it. A new one is made where the offset index gets one and the
largest timestamp has grown, and a last one when the segment is closed.
"""

import sys
from array import array
from bisect import bisect_left
from typing import Final, NamedTuple

from kafkalite.storage.offset_index import ascends

ENTRY_SIZE: Final = 12
_SWAPS: Final = sys.byteorder == "little"
_HIGH, _LOW = (1, 0) if _SWAPS else (0, 1)


class TimeEntry(NamedTuple):
    """The largest timestamp up to a batch that holds it."""

    timestamp: int
    relative_offset: int


class TimeIndex:
    """Entries in memory. One owner, no locks."""

    __slots__ = ("_offsets", "_timestamps")

    def __init__(self) -> None:
        self._timestamps = array("q")
        self._offsets = array("I")

    def __len__(self) -> int:
        return len(self._timestamps)

    @property
    def last(self) -> TimeEntry | None:
        return TimeEntry(self._timestamps[-1], self._offsets[-1]) if self._timestamps else None

    def append(self, timestamp: int, relative_offset: int) -> None:
        """Add an entry unless the timestamp is not above the last one's."""
        if not self._timestamps or timestamp > self._timestamps[-1]:
            self._timestamps.append(timestamp)
            self._offsets.append(relative_offset)

    def below(self, timestamp: int) -> int:
        """Where to search from: no batch before this offset reaches `timestamp`."""
        found = bisect_left(self._timestamps, timestamp)
        return self._offsets[found - 1] if found else 0

    def truncate(self, relative_offset: int) -> None:
        """Drop the entries at and above `relative_offset`."""
        found = bisect_left(self._offsets, relative_offset)
        del self._offsets[found:], self._timestamps[found:]

    def encode(self) -> bytes:
        """The entries as their file holds them; may be called from any thread."""
        count = len(self._offsets)  # the owner may append meanwhile
        halves = array("I", self._timestamps[:count].tobytes())
        words = array("I", bytes(ENTRY_SIZE * count))
        words[0::3] = halves[_HIGH::2]
        words[1::3] = halves[_LOW::2]
        words[2::3] = self._offsets[:count]
        if _SWAPS:
            words.byteswap()
        return words.tobytes()

    @classmethod
    def decode(cls, entries: bytes) -> "TimeIndex | None":
        """Entries from their file; None unless they ascend."""
        words = array("I", entries)
        if _SWAPS:
            words.byteswap()
        index = cls()
        index._offsets = words[2::3]
        halves = array("I", bytes(8 * len(index._offsets)))
        halves[_HIGH::2] = words[0::3]
        halves[_LOW::2] = words[1::3]
        index._timestamps = array("q", halves.tobytes())
        return index if ascends(index._timestamps) and ascends(index._offsets) else None
