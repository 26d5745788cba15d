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
from kafkalite.storage.log_read import LogRead
from kafkalite.wire.messages import NO_OFFSET, FetchPartition, FetchRequest

PIECE_BYTES: Final = 256 << 10
"""Read and sent at once, so that a large fetch neither fills memory nor stalls the loop."""
_COLD_READ_THREADS: Final = 4


class PartitionRead(NamedTuple):
    """What one partition gives to a fetch: where it stands, and bytes that are not read yet."""

    topic: str
    partition: int
    pieces: Sequence[LogRead] = ()
    high_watermark: int = NO_OFFSET
    log_start_offset: int = NO_OFFSET
    error: LogError | None = None

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
        """What there is for each entry, or None while it is less than `min_bytes`.

        An error of any partition is an answer: the client wants to know.
        """
        self._probe.fetch_requests += 1
        return self._try(request, piece_bytes)

    def _try(self, request: FetchRequest, piece_bytes: int) -> list[PartitionRead] | None:
        reads = self._read_all(request, piece_bytes)
        found = sum(read.size for read in reads)
        if found < request.min_bytes and not any(read.error for read in reads):
            return None
        self._probe.fetch_bytes += found
        return reads

    async def fetch(
        self, request: FetchRequest, piece_bytes: int = PIECE_BYTES
    ) -> list[PartitionRead]:
        """After `try_fetch` gave None: waits up to `max_wait_ms`, then gives what there is."""
        started = self._clock.monotonic_ms()
        while True:
            wait_ms = min(request.max_wait_ms, self._max_wait_ms)
            left_ms = started + wait_ms - self._clock.monotonic_ms()
            if left_ms <= 0:
                reads = self._read_all(request, piece_bytes)
                self._probe.fetch_bytes += sum(read.size for read in reads)
                return reads
            found = self._try(request, piece_bytes)
            if found is not None:
                return found
            partitions = [self._partitions.get(e.topic, e.partition) for e in request.partitions]
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

    def _read_all(self, request: FetchRequest, piece_bytes: int) -> list[PartitionRead]:
        budget = min(request.max_bytes, self._max_bytes)
        reads: list[PartitionRead] = []
        for entry in request.partitions:
            read = self._read(entry, budget, piece_bytes)
            budget -= read.size
            reads.append(read)
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
