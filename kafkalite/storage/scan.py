"""Walking the batches of a segment file, and finding the way back behind a broken one.

`walk` trusts what it walks over as far as lengths and offsets agree; `Scanner` checks checksums too
and never gives up: a stretch that cannot be read is reported with the place where batches go on.
"""

import re
import struct
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Final, NamedTuple

from kafkalite.model.ids import NO_EPOCH
from kafkalite.model.offsets import OffsetRange
from kafkalite.storage.files import Disk
from kafkalite.storage.leader_epochs import EpochStart
from kafkalite.wire.batch import (
    CRC_START,
    HEADER_SIZE,
    LENGTH_END,
    MAGIC,
    BatchHeader,
    checksum,
    read_header,
)

_WALK_WINDOW: Final = 4096
_SCAN_WINDOW: Final = 1 << 20
_MAGIC_POSITION: Final = 16
_TELLING_ZEROS: Final = 8
SECTOR: Final = 512
"""The smallest piece in which disks lose or keep what was not synced."""


class Batch(NamedTuple):
    """A batch and where it begins."""

    position: int
    header: BatchHeader


class Damage(NamedTuple):
    """A stretch of a file that is not batches."""

    position: int
    end_position: int
    """Where batches go on; the end of the file when they do not."""
    next_offset: int | None
    """The offset with which batches go on; None when nothing readable follows."""
    is_lost: bool
    """Bytes are missing there, as after a crash of the machine, rather than altered."""


class DamagedStretch(NamedTuple):
    """Offsets whose records cannot be read, and where in the file batches go on behind them."""

    offsets: OffsetRange
    end_position: int


class BrokenBatchError(Exception):
    """There is no batch with the expected offset at `position`."""

    def __init__(self, position: int) -> None:
        super().__init__(f"no batch at position {position}")
        self.position = position


def walk(
    disk: Disk, descriptor: int, position: int, end_position: int, offset: int
) -> Iterator[Batch]:
    """Batches from `position`, where `offset` must begin, by their headers alone.

    Raises:
        BrokenBatchError: a header is malformed or does not continue the offsets, or a batch is
            cut off.
    """
    window, window_start = b"", position
    while position < end_position:
        if position + HEADER_SIZE > window_start + len(window):
            size = min(_WALK_WINDOW, end_position - position)
            window, window_start = disk.pread(descriptor, size, position), position
        try:
            header = read_header(window, position - window_start)
        except struct.error:
            raise BrokenBatchError(position) from None
        if not _is_plausible(header, offset) or position + header.size > end_position:
            raise BrokenBatchError(position)
        yield Batch(position, header)
        position += header.size
        offset = header.next_offset


class DamageTally:
    """Makes of what a scan meets the stretches of offsets that cannot be read."""

    __slots__ = ("_expected", "_limit", "stretches")

    def __init__(self, begin: int, limit: int) -> None:
        """Take over nothing yet.

        Args:
            begin: the offset with which the scan begins.
            limit: the offset to which it should come.
        """
        self._expected = begin
        self._limit = limit
        self.stretches: list[DamagedStretch] = []

    def take(self, found: Batch | Damage) -> None:
        """Count what the scan has met next."""
        if isinstance(found, Batch):
            self._expected = found.header.next_offset
        else:
            resumes = self._limit if found.next_offset is None else found.next_offset
            self._add(resumes, found.end_position)

    def finish(self, end_position: int) -> list[DamagedStretch]:
        """The scan is through, at `end_position`; gives all stretches."""
        if self._expected < self._limit:
            self._add(self._limit, end_position)
        return self.stretches

    def _add(self, resumes: int, end_position: int) -> None:
        self.stretches.append(DamagedStretch(OffsetRange(self._expected, resumes), end_position))
        self._expected = resumes


_offset_of: Final = itemgetter(1)


def _is_plausible(header: BatchHeader, offset: int) -> bool:
    return (
        header.base_offset == offset
        and header.magic == MAGIC
        and header.batch_length >= HEADER_SIZE - LENGTH_END
        and header.last_offset_delta >= 0
    )


class Scanner:
    """Reads a segment file from a position on, checking everything."""

    def __init__(
        self,
        disk: Disk,
        descriptor: int,
        end_position: int,
        *,
        offset_limit: int | None = None,
        epochs: Sequence[EpochStart] = (),
        epoch_after: int | None = None,
    ) -> None:
        """Assign only; nothing is read yet.

        Args:
            disk: that the file is on.
            descriptor: of the file, open.
            end_position: how much of it to read.
            offset_limit: first offset that belongs to the next segment, where there is one.
            epochs: where the log's epochs begin, as far as known: batches there have to agree.
            epoch_after: of what follows the end, where it is known.
        """
        self._disk = disk
        self._descriptor = descriptor
        self._end = end_position
        self._offset_limit = offset_limit
        self._epochs = epochs
        self._epoch_after = epoch_after
        self._window = b""
        self._window_start = 0

    def scan(self, position: int, offset: int, epoch: int = NO_EPOCH) -> Iterator[Batch | Damage]:
        """Batches and damaged stretches in their order, from `position`, where `offset` begins.

        Batches are dense: each begins with the offset after its predecessor's last, but after a
        damaged stretch the next one may begin anywhere above. Epochs never go back.
        """
        while position < self._end:
            header = self._batch_at(position, offset, epoch)
            if header is not None and self._epoch_holds(position, header, epoch):
                yield Batch(position, header)
                position += header.size
                offset, epoch = header.next_offset, header.leader_epoch
                continue
            found = self._resume(position, offset, epoch)
            end = found.position if found else self._end
            yield Damage(
                position,
                end,
                found.header.base_offset if found else None,
                self._is_lost(position, end),
            )
            if found is None:
                return
            position, offset = end, found.header.base_offset

    def _batch_at(
        self, position: int, offset: int, epoch: int, *, exact: bool = True
    ) -> BatchHeader | None:
        """The header of the sound batch at `position`; with `exact` it begins with `offset`."""
        head = self._read(position, HEADER_SIZE)
        if len(head) < HEADER_SIZE:
            return None
        header = read_header(head)
        if not _is_plausible(header, offset if exact else max(offset, header.base_offset)):
            return None
        if position + header.size > self._end or header.leader_epoch < epoch:
            return None
        if self._offset_limit is not None and header.next_offset > self._offset_limit:
            return None
        if not self._agrees(header):
            return None
        body = self._read(position + CRC_START, header.size - CRC_START)
        return header if checksum(body) == header.crc else None

    def _agrees(self, header: BatchHeader) -> bool:
        """Whether a batch's epoch is the one that its log knows for its offset, if it knows any."""
        index = bisect_right(self._epochs, header.base_offset, key=_offset_of)
        return not index or self._epochs[index - 1][0] == header.leader_epoch

    def _epoch_holds(self, position: int, header: BatchHeader, epoch: int) -> bool:
        """Whether a rise of the epoch is real.

        The checksum does not cover the epoch. Were one altered upwards believed, all that follows
        would seem to go back.
        """
        if header.leader_epoch == epoch:
            return True
        if position + header.size >= self._end:
            return self._epoch_after is None or header.leader_epoch <= self._epoch_after
        following = self._batch_at(position + header.size, header.next_offset, epoch)
        return following is None or following.leader_epoch >= header.leader_epoch

    def _resume(self, position: int, offset: int, epoch: int) -> Batch | None:
        """The next sound batch after the broken one at `position`."""
        head = self._read(position, HEADER_SIZE)
        if len(head) == HEADER_SIZE:
            header = read_header(head)
            # The broken batch may still tell its length: then what follows continues its offsets.
            if _is_plausible(header, offset) and position + header.size < self._end:
                following = position + header.size
                found = self._batch_at(following, header.next_offset, epoch)
                if found:
                    return Batch(following, found)
        return self._search(position + 1, offset, epoch)

    def _search(self, start: int, offset: int, epoch: int) -> Batch | None:
        """Look at every byte from `start` on for a batch that is sound and leads on to the next.

        A record may hold bytes that look like a batch, even one of this log; that the next batch,
        or the end of the file, follows it is what tells a real one apart.
        """
        lowest = offset + 1
        # The upper half of the base offset (it may grow by one), then twelve bytes, then the magic.
        high = b"|".join(re.escape(struct.pack(">i", (lowest >> 32) + carry)) for carry in (0, 1))
        pattern = re.compile(b"(?s)(?=(?:" + high + b").{12}" + bytes([MAGIC]) + b")")
        doubtful: Batch | None = None
        while start + HEADER_SIZE <= self._end:
            window = bytes(self._read(start, _SCAN_WINDOW))
            if len(window) < HEADER_SIZE:
                break  # the file is shorter than it was said to be
            for match in pattern.finditer(window):
                position = start + match.start()
                header = self._batch_at(position, lowest, epoch, exact=False)
                if header is None:
                    continue
                if self._leads_on(position + header.size, header.next_offset):
                    return Batch(position, header)
                doubtful = doubtful or Batch(position, header)
            start += max(len(window) - _MAGIC_POSITION, 1)
        return doubtful

    def _leads_on(self, position: int, offset: int) -> bool:
        head = self._read(position, HEADER_SIZE)
        return len(head) < HEADER_SIZE or _is_plausible(read_header(head), offset)

    def _is_lost(self, start: int, end: int) -> bool:
        """Whether the file ends within a batch of the stretch, or a sector of it is all zeros."""
        head = self._read(start, HEADER_SIZE)
        if len(head) < HEADER_SIZE or (
            end >= self._end and start + read_header(head).size > self._end
        ):
            return True
        position = start
        while position < end:
            sector_end = min((position // SECTOR + 1) * SECTOR, end)
            piece = bytes(self._read(position, sector_end - position))
            # A few zeros prove nothing: small numbers begin with them.
            if len(piece) >= _TELLING_ZEROS and not piece.strip(b"\0"):
                return True
            position = sector_end
        return False

    def _read(self, position: int, size: int) -> memoryview:
        """`size` bytes at `position`, fewer at the end; through a window of the file."""
        size = max(min(size, self._end - position), 0)
        start = position - self._window_start
        if start < 0 or start + size > len(self._window):
            window = max(size, min(_SCAN_WINDOW, self._end - position))
            self._window = self._disk.pread(self._descriptor, window, position)
            self._window_start, start = position, 0
        return memoryview(self._window)[start : start + size]
