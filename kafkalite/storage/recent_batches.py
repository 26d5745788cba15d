"""The batches that a leader appended last, as they came: its followers need no disk to get them."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from kafkalite.wire.batch import BatchHeader, Buffer

RECENT_BYTES: Final = 16 << 20
"""What all partitions of a broker may keep together."""
_SMALL_SHARE: Final = 2
"""A batch that is less than one part in so many of its request is copied, so that the rest goes."""


class RecentRead:
    """Whole batches that are in memory."""

    __slots__ = ("buffers", "next_offset", "size")

    def __init__(self, buffers: Sequence[Buffer], size: int, next_offset: int) -> None:
        self.buffers = buffers
        """To be given one after the other."""
        self.size = size
        """Bytes of all of them."""
        self.next_offset = next_offset
        """The offset after the last record."""

    def try_read(self) -> bytes:
        """The bytes in one piece."""
        return b"".join(self.buffers)

    read = try_read


class RecentBudget:
    """Bytes that the partitions of a broker share."""

    __slots__ = ("left",)

    def __init__(self, size: int = RECENT_BYTES) -> None:
        self.left = size


class _Batch(NamedTuple):
    buffers: tuple[Buffer, Buffer]
    size: int
    next_offset: int


class RecentBatches:
    """What was appended to one log and is not on all in-sync replicas yet, as far as there is room.

    Owned by the partition that leads, fed by its log, on the log's thread. Batches that find no
    room are not kept, and are read from the disk like all others.
    """

    __slots__ = ("_batches", "_budget")

    def __init__(self, budget: RecentBudget) -> None:
        self._budget = budget
        self._batches: dict[int, _Batch] = {}
        """By base offset, ascending."""

    def note(
        self, base_offset: int, headers: Sequence[BatchHeader], buffers: Sequence[Buffer]
    ) -> None:
        """Batches were appended from `base_offset` on; two buffers each, which nobody changes."""
        budget = self._budget
        for number, header in enumerate(headers):
            next_offset = base_offset + header.last_offset_delta + 1
            size = header.size
            if size <= budget.left:
                budget.left -= size
                stamp, rest = buffers[2 * number], buffers[2 * number + 1]
                self._batches[base_offset] = _Batch((stamp, _alone(rest)), size, next_offset)
            base_offset = next_offset

    def find(self, offset: int, max_bytes: int) -> RecentRead | None:
        """Batches from the one that begins at `offset`: one, and what follows in `max_bytes`."""
        batch = self._batches.get(offset)
        if batch is None:
            return None
        buffers: list[Buffer] = []
        size = 0
        while batch is not None and (not size or size + batch.size <= max_bytes):
            buffers += batch.buffers
            size += batch.size
            offset = batch.next_offset
            batch = self._batches.get(offset)
        return RecentRead(buffers, size, offset)

    def drop_below(self, offset: int) -> None:
        """Let go of the batches whose records are all below `offset`."""
        batches = self._batches
        while batches:
            base_offset = next(iter(batches))
            batch = batches[base_offset]
            if batch.next_offset > offset:
                return
            self._budget.left += batch.size
            del batches[base_offset]

    def clear(self) -> None:
        """Let go of all."""
        self._budget.left += sum(batch.size for batch in self._batches.values())
        self._batches.clear()


def _alone(part: Buffer) -> Buffer:
    """`part`, that keeps little else in memory."""
    if isinstance(part, memoryview) and len(part) * _SMALL_SHARE < memoryview(part.obj).nbytes:
        return bytes(part)
    return part
