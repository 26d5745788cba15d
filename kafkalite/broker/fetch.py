"""The fetch path: read below the high watermark, or wait until there is something to read."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from kafkalite.broker.partition import Partition
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.broker.probes import DataProbe
from kafkalite.broker.waiters import wait_any
from kafkalite.model.clock import Clock
from kafkalite.model.errors import KafkaStorageError, LogError
from kafkalite.model.ids import NO_EPOCH
from kafkalite.model.offsets import NO_OFFSET
from kafkalite.storage.log_read import LogRead
from kafkalite.wire.messages import FetchPartition, FetchRequest

PIECE_BYTES: Final = 256 << 10
"""Read and sent at once, so that a large fetch neither fills memory nor stalls the loop."""
_COLD_READ_THREADS: Final = 4
_ENTRIES_A_TURN: Final = 100
"""Looked at before others have their turn."""


class PartitionRead(NamedTuple):
    """What one partition gives to a fetch: where it stands, and bytes that are not read yet."""

    topic: str
    partition: int
    pieces: Sequence[LogRead] = ()
    high_watermark: int = NO_OFFSET
    log_start_offset: int = NO_OFFSET
    error: LogError | None = None
    leader_epoch: int = NO_EPOCH
    """To a replica: the epoch in which the leader answers."""
    diverging_epoch: int = NO_EPOCH
    diverging_end_offset: int = NO_OFFSET
    """To a replica: where its log stops being the leader's, as FetchResult says it."""

    @property
    def size(self) -> int:
        """Bytes of batches that the pieces will give."""
        return sum(piece.size for piece in self.pieces)


class FetchPath:
    """Reads for clients. Lives on the loop; reads that miss the page cache run in threads."""

    def __init__(
        self,
        partitions: PartitionTable,
        clock: Clock,
        probe: DataProbe,
        *,
        max_bytes: int,
        max_wait_ms: int,
    ) -> None:
        """Assign only; `max_bytes` and `max_wait_ms` bound a fetch whatever it asks for."""
        self._partitions = partitions
        self._clock = clock
        self._probe = probe
        self._max_bytes = max_bytes
        self._max_wait_ms = max_wait_ms
        self._threads = ThreadPoolExecutor(_COLD_READ_THREADS, thread_name_prefix="cold-read")

    def stop_waiting(self) -> None:
        """Answer every waiting fetch with what there is, and let none wait from now on."""
        self._max_wait_ms = 0
        self._partitions.wake_readers()

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)

    def try_fetch(
        self, request: FetchRequest, piece_bytes: int = PIECE_BYTES
    ) -> list[PartitionRead] | None:
        """What there is for each entry; None where that takes `fetch`.

        Which is while there is less than `min_bytes`, and for so many entries that looking at all
        of them would keep others waiting. An error of any partition is an answer: the client wants
        to know.
        """
        self._probe.fetch_requests += 1
        if len(request.partitions) > _ENTRIES_A_TURN:
            return None
        budget = min(request.max_bytes, self._max_bytes)
        reads = self._read_entries(request.partitions, budget, piece_bytes)
        return self._counted(reads) if _is_enough(request, reads) else None

    async def fetch(
        self, request: FetchRequest, piece_bytes: int = PIECE_BYTES
    ) -> list[PartitionRead]:
        """After `try_fetch` gave None: waits up to `max_wait_ms`, then gives what there is."""
        started = self._clock.monotonic_ms()
        while True:
            reads = await self._read_in_turns(request, piece_bytes)
            wait_ms = min(request.max_wait_ms, self._max_wait_ms)
            left_ms = started + wait_ms - self._clock.monotonic_ms()
            if left_ms <= 0 or _is_enough(request, reads):
                return self._counted(reads)
            partitions = self._unchanged(request, reads)
            if partitions is None:
                continue
            self._probe.waiting_fetches += 1
            try:
                await wait_any([one.readers for one in partitions], left_ms / 1000)
            finally:
                self._probe.waiting_fetches -= 1

    async def read_piece(self, piece: LogRead) -> bytes:
        """The bytes of one piece.

        Raises:
            KafkaStorageError: the disk failed.
        """
        try:
            data = piece.try_read()
            if data is None:
                self._probe.cold_reads += 1
                loop = asyncio.get_running_loop()
                data = await loop.run_in_executor(self._threads, piece.read)
        except OSError as error:
            raise KafkaStorageError(f"Reading from the log failed: {error}") from error
        return data

    async def _read_in_turns(self, request: FetchRequest, piece_bytes: int) -> list[PartitionRead]:
        budget = min(request.max_bytes, self._max_bytes)
        reads: list[PartitionRead] = []
        for begin in range(0, len(request.partitions), _ENTRIES_A_TURN):
            if begin:
                await asyncio.sleep(0)
            entries = request.partitions[begin : begin + _ENTRIES_A_TURN]
            found = self._read_entries(entries, budget, piece_bytes)
            budget -= sum(read.size for read in found)
            reads += found
        return reads

    def _read_entries(
        self, entries: Sequence[FetchPartition], budget: int, piece_bytes: int
    ) -> list[PartitionRead]:
        reads: list[PartitionRead] = []
        for entry in entries:
            read = self._read(entry, budget, piece_bytes)
            budget -= read.size
            reads.append(read)
        return reads

    def _unchanged(
        self, request: FetchRequest, reads: Sequence[PartitionRead]
    ) -> list[Partition] | None:
        """The partitions to wait for; None where one has moved on while others had their turn."""
        partitions: list[Partition] = []
        for entry, read in zip(request.partitions, reads, strict=True):
            try:
                partition = self._partitions.get(entry.topic, entry.partition)
                partition.check_leads(entry.leader_epoch)
            except LogError:
                return None
            if partition.offsets.high_watermark != read.high_watermark:
                return None
            partitions.append(partition)
        return partitions

    def _counted(self, reads: list[PartitionRead]) -> list[PartitionRead]:
        self._probe.fetch_bytes += sum(read.size for read in reads)
        return reads

    def _read(self, entry: FetchPartition, budget: int, piece_bytes: int) -> PartitionRead:
        try:
            partition = self._partitions.get(entry.topic, entry.partition)
            pieces = _pieces(partition, entry, budget, piece_bytes)
        except LogError as error:
            self._probe.fetch_errors += 1
            return PartitionRead(entry.topic, entry.partition, error=error)
        start, high_watermark, _ = partition.offsets
        return PartitionRead(entry.topic, entry.partition, pieces, high_watermark, start)


def _is_enough(request: FetchRequest, reads: Sequence[PartitionRead]) -> bool:
    found = sum(read.size for read in reads)
    return found >= request.min_bytes or any(read.error for read in reads)


def _pieces(
    partition: Partition, entry: FetchPartition, budget: int, piece_bytes: int
) -> list[LogRead]:
    """What to read of one partition.

    Its first batch is given even where it passes a limit, or a reader with a small limit would
    never get past it; but not once other partitions have used the budget up.
    """
    left = min(entry.max_bytes, budget)
    offset, epoch = entry.offset, entry.leader_epoch
    pieces: list[LogRead] = []
    while True:
        try:
            piece = partition.read(offset, min(max(left, 0), piece_bytes), epoch=epoch)
        except LogError:
            if pieces:
                return pieces  # what precedes a damaged stretch is good; the next fetch meets it
            raise
        if piece is None or (piece.size > left and (pieces or budget <= 0)):
            return pieces
        pieces.append(piece)
        left -= piece.size
        offset = piece.next_offset
        if left <= 0:
            return pieces
