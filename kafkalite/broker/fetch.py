"""The fetch path: read below the high watermark, or wait until there is something to read."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from kafkalite.broker.forwarding import Forwarding
from kafkalite.broker.partition import Partition
from kafkalite.broker.partition_read import PartitionRead, ReadPiece
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.broker.probes import DataProbe
from kafkalite.broker.remote_reads import RemoteReads
from kafkalite.broker.replication.leadership_proof import LeadershipProof
from kafkalite.broker.waiters import ReadWaiters, wait_any
from kafkalite.model.clock import Clock
from kafkalite.model.errors import (
    KafkaStorageError,
    LogError,
    OffsetNotAvailableError,
    OffsetOutOfRangeError,
)
from kafkalite.model.ids import TopicPartition
from kafkalite.storage.log_read import LogRead
from kafkalite.wire.messages import FetchPartition, FetchRequest

PIECE_BYTES: Final = 256 << 10
"""Read and sent at once, so that a large fetch neither fills memory nor stalls the loop."""
_COLD_READ_THREADS: Final = 4
_NEVER: Final = 2**63 - 1
_PAUSE_S: Final = 0.05
_ENTRIES_A_TURN: Final = 100
"""Looked at before others have their turn."""


class FetchPath:
    """Reads for clients. Lives on the loop; reads that miss the page cache run in threads."""

    def __init__(
        self,
        partitions: PartitionTable,
        forwarding: Forwarding,
        proof: LeadershipProof,
        clock: Clock,
        probe: DataProbe,
        *,
        max_bytes: int,
        max_wait_ms: int,
    ) -> None:
        """Assign only.

        Args:
            partitions: those here.
            forwarding: to those elsewhere.
            proof: that this broker leads, before a reader is told that it is beyond the end.
            clock: the machine's.
            probe: counts.
            max_bytes: bounds a fetch, whatever it asks for.
            max_wait_ms: the same.
        """
        self._partitions = partitions
        self._proof = proof
        self._forwarding = forwarding
        self._clock = clock
        self._probe = probe
        self._max_bytes = max_bytes
        self._max_wait_ms = max_wait_ms
        self._stopping = ReadWaiters()
        """Those who wait for other brokers: woken when this one stops."""
        self._threads = ThreadPoolExecutor(_COLD_READ_THREADS, thread_name_prefix="cold-read")

    def stop_waiting(self) -> None:
        """Answer every waiting fetch with what there is, and let none wait from now on."""
        self._max_wait_ms = 0
        self._stopping.wake()
        self._partitions.wake_readers()

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)

    def try_fetch(
        self, request: FetchRequest, piece_bytes: int = PIECE_BYTES
    ) -> list[PartitionRead] | None:
        """What there is for each entry; None where that takes `fetch`.

        Which is while there is less than `min_bytes`, for entries that another broker leads, or may
        lead by now, and for so many that looking at all of them would keep others waiting. An error
        of any partition is an answer: the client wants to know.
        """
        self._probe.fetch_requests += 1
        if len(request.partitions) > _ENTRIES_A_TURN:
            return None
        budget = min(request.max_bytes, self._max_bytes)
        reads = self._read_entries(request.partitions, budget, piece_bytes)
        if (
            not _is_enough(request, reads)
            or self._elsewhere(request, reads)
            or self._doubtful(request, reads)
        ):
            return None
        return self._counted(reads)

    async def fetch(
        self, request: FetchRequest, piece_bytes: int = PIECE_BYTES
    ) -> list[PartitionRead]:
        """After `try_fetch` gave None: waits up to `max_wait_ms`, then gives what there is."""
        due = self._clock.monotonic_ms() + min(request.max_wait_ms, self._max_wait_ms)
        while True:
            reads = await self._read_surely(request, piece_bytes)
            if self._elsewhere(request, reads):
                return self._counted(await self._fetch_anywhere(request, piece_bytes, due))
            left_ms = self._left_ms(due)
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

    async def _fetch_anywhere(
        self, request: FetchRequest, piece_bytes: int, due: int
    ) -> list[PartitionRead]:
        """As `fetch`, where other brokers lead some or all of the entries."""
        remote = RemoteReads(self._forwarding, request, piece_bytes, self._stopping)
        patience = self._forwarding.patience()
        found = -1
        while True:
            seen = patience.states_of(
                TopicPartition(entry.topic, entry.partition) for entry in request.partitions
            )
            reads = await self._read_surely(request, piece_bytes)
            elsewhere = self._elsewhere(request, reads)
            # One broker can do all the waiting, where it leads all there is to wait for.
            is_handed_over = remote.is_one_broker(elsewhere)
            budget = min(request.max_bytes, self._max_bytes) - sum(read.size for read in reads)
            wait_ms = max(self._left_ms(due), 0) if is_handed_over else 0
            await remote.look(reads, elsewhere, budget, wait_ms)
            if self._may_yet_be_led(request, reads) and await patience.wait(seen):
                continue
            left_ms = self._left_ms(due)
            if is_handed_over or left_ms <= 0 or _is_enough(request, reads):
                return reads
            here = self._unchanged(request, reads)
            if here is None:
                continue
            if found == (found := sum(read.size for read in reads)):
                await asyncio.sleep(_PAUSE_S)  # who woke us had no more than before
            self._probe.waiting_fetches += 1
            try:
                await remote.wait([one.readers for one in here], left_ms)
            finally:
                self._probe.waiting_fetches -= 1

    def _left_ms(self, due: int) -> int:
        """What is left of a request's time; nothing once nobody may wait any more."""
        return min(due - self._clock.monotonic_ms(), self._max_wait_ms)

    def _elsewhere(self, request: FetchRequest, reads: Sequence[PartitionRead]) -> list[int]:
        """Indexes of the entries that other brokers may be asked for."""
        if request.forwarded:
            return []
        return [
            index
            for index, read in enumerate(reads)
            if read.error is not None
            and self._forwarding.may_help(read.topic, read.partition, read.error)
        ]

    def _may_yet_be_led(self, request: FetchRequest, reads: Sequence[PartitionRead]) -> bool:
        """Whether an entry found no leader, and the others not enough to answer without it."""
        return sum(read.size for read in reads) < max(request.min_bytes, 1) and any(
            read.error is not None
            and self._forwarding.may_try_again(
                read.topic, read.partition, read.error.code, is_repeatable=True
            )
            for read in reads
        )

    async def bounds(self, topic: str, number: int) -> tuple[int, int]:
        """Start offset and high watermark of a partition, whoever leads it.

        Raises:
            LogError: it does not exist, or nobody can be asked.
        """
        try:
            partition = self._partitions.get(topic, number)
            partition.check_leads()
        except LogError:
            pass
        else:
            partition.check_offsets_available()
            return partition.offsets.start, partition.offsets.high_watermark
        # No partition holds that offset, and whoever says so says what it holds.
        entry = FetchPartition(topic, number, _NEVER)
        (read,) = await self.fetch(FetchRequest([entry], max_wait_ms=0))
        error = read.error or OffsetNotAvailableError("The leader did not say what it holds")
        start, end = error.extra.get("log_start_offset"), error.extra.get("high_watermark")
        if isinstance(error, OffsetOutOfRangeError) and isinstance(start, int):
            return start, end if isinstance(end, int) else start
        raise error

    async def read_piece(self, piece: ReadPiece) -> bytes:
        """The bytes of one piece.

        Raises:
            KafkaStorageError: the disk failed.
        """
        started = time.perf_counter()
        try:
            data = piece.try_read()
            if data is None:
                self._probe.cold_reads += 1
                loop = asyncio.get_running_loop()
                data = await loop.run_in_executor(self._threads, piece.read)
        except OSError as error:
            raise KafkaStorageError(f"Reading from the log failed: {error}") from error
        self._probe.read_seconds.observe(time.perf_counter() - started)
        return data

    def _doubtful(self, request: FetchRequest, reads: Sequence[PartitionRead]) -> list[int]:
        """Indexes of the entries beyond the end here, where another broker may lead by now.

        A reader would begin anew at its policy's end, and lose or repeat what it was given there.
        """
        if self._proof.is_fresh:
            return []
        return [
            index
            for index, (entry, read) in enumerate(zip(request.partitions, reads, strict=True))
            if isinstance(read.error, OffsetOutOfRangeError) and _is_beyond(entry, read.error)
        ]

    async def _read_surely(self, request: FetchRequest, piece_bytes: int) -> list[PartitionRead]:
        """What there is; nobody is told that it is beyond the end by a leader of former times."""
        reads = await self._read_in_turns(request, piece_bytes)
        if self._doubtful(request, reads):
            await self._proof.renew()
            reads = await self._read_in_turns(request, piece_bytes)
            for index in self._doubtful(request, reads):
                error = OffsetNotAvailableError(
                    "This broker cannot tell now whether it still leads the partition"
                )
                reads[index] = PartitionRead(
                    reads[index].topic, reads[index].partition, error=error
                )
        return reads

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
            if read.leader is not None:
                continue
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
        self._probe.fetch_errors += sum(read.error is not None for read in reads)
        self._probe.fetch_bytes += sum(read.size for read in reads)
        return reads

    def _read(self, entry: FetchPartition, budget: int, piece_bytes: int) -> PartitionRead:
        try:
            partition = self._partitions.get(entry.topic, entry.partition)
            pieces = _pieces(partition, entry, budget, piece_bytes)
        except LogError as error:
            return PartitionRead(entry.topic, entry.partition, error=self._forwarding.named(error))
        start, high_watermark, _ = partition.offsets
        return PartitionRead(entry.topic, entry.partition, pieces, high_watermark, start)


def _is_beyond(entry: FetchPartition, error: OffsetOutOfRangeError) -> bool:
    """Whether it is the end of the log that is passed, and not its start."""
    high_watermark = error.extra.get("high_watermark")
    return isinstance(high_watermark, int) and entry.offset > high_watermark


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
