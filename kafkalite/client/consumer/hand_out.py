"""Turns what was fetched into what a poll gives, and moves positions past it."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from kafkalite.client.consumer.decoding import Decoding
from kafkalite.client.consumer.failures import UnreadableError
from kafkalite.client.consumer.fetched_batch import EncodedBatch, FetchedBatch
from kafkalite.client.consumer.positions import PartitionPosition
from kafkalite.client.consumer.prefetch import FetchedPart, Prefetch
from kafkalite.client.consumer.record import ConsumerRecord
from kafkalite.model.errors import LogError


class Handed(NamedTuple):
    """A batch, and what it takes to give a part of it back."""

    batch: FetchedBatch
    partition: PartitionPosition
    stint: int


class HandOut:
    """Used by the consumer's thread only. Nothing is given twice, and nothing left out."""

    def __init__(
        self,
        prefetch: Prefetch,
        decoding: Decoding,
        *,
        checks_crcs: bool,
        on_error: Callable[[], None],
    ) -> None:
        """Assign only; `on_error` is called when a partition has got an error."""
        self._prefetch = prefetch
        self._decoding = decoding
        self._checks_crcs = checks_crcs
        self._on_error = on_error
        self._batch: EncodedBatch | None = None
        """The one that a part begins with, of which something was given already."""
        self._returned: deque[Handed] = deque()
        """What was given back: it comes first."""

    def take(self, max_records: int) -> list[FetchedBatch]:
        """Up to `max_records` records of what has come, and their partitions moved past them.

        A place that cannot be read becomes the error of its partition.
        """
        taken: list[FetchedBatch] = []
        left = max_records
        while left > 0 and self._returned:
            handed = self._take_returned(left)
            if handed is not None:
                taken.append(handed.batch)
                left -= len(handed.batch)
        while left > 0 and (part := self._prefetch.head()) is not None:
            while left > 0 and not part.is_empty and part.is_current:
                batch = self._next(part, left)
                if batch is not None and len(batch):
                    taken.append(batch)
                    left -= len(batch)
        return taken

    def take_one(self) -> Handed | None:
        """As `take`, but one batch, all that is left of it."""
        while self._returned:
            handed = self._take_returned(None)
            if handed is not None:
                return handed
        while (part := self._prefetch.head()) is not None:
            partition, stint = part.partition, part.stint
            batch = self._next(part, None)
            if batch is not None and len(batch):
                return Handed(batch, partition, stint)
        return None

    def give_back(self, handed: Handed, records: list[ConsumerRecord]) -> None:
        """These records, the last ones of what was handed out last, were not looked at after all.

        Their partition's position is before them again, and they are what comes next.
        """
        if handed.partition.stint != handed.stint:
            return
        rest = handed.batch.rest(records)
        handed.partition.position = rest.first_offset
        self._returned.appendleft(handed._replace(batch=rest))

    def reject(self, handed: Handed, cause: LogError) -> UnreadableError:
        """What was handed out last cannot be read: its partition's position is before it again."""
        partition, batch = handed.partition, handed.batch
        error = UnreadableError(
            partition.topic_partition, batch.first_offset, batch.next_offset, cause
        )
        error.__cause__ = cause
        if partition.stint == handed.stint:
            partition.position = batch.first_offset
            self._prefetch.refetch(partition)
        return error

    def _take_returned(self, max_records: int | None) -> Handed | None:
        handed = self._returned.popleft()
        partition, batch = handed.partition, handed.batch
        if partition.stint != handed.stint:
            return None
        if partition.is_paused:
            # What comes after it may not be given before: let it be fetched again.
            self._prefetch.refetch(partition)
            return None
        if max_records is not None and len(batch) > max_records:
            batch, rest = batch.split(max_records)
            self._returned.appendleft(handed._replace(batch=rest))
        partition.advance(batch.next_offset)
        return handed._replace(batch=batch)

    def _next(self, part: FetchedPart, max_records: int | None) -> FetchedBatch | None:
        """The next window of a part; None where it holds nothing to give."""
        partition = part.partition
        header = part.headers[part.index]
        batch = self._batch
        if batch is None or batch.header is not header:
            batch = EncodedBatch(
                partition.topic_partition,
                header,
                part.data[part.offset : part.offset + header.size],
            )
            if not self._is_readable(part, batch):
                return None
            # A fetch from within a batch gets all of it.
            part.start = max(partition.position - header.base_offset, 0)
        start, stop = part.start, header.record_count
        if max_records is not None and stop - start > max_records:
            stop = part.start = start + max_records
            self._batch = batch
        else:
            part.index += 1
            part.offset += header.size
            part.start = 0
            self._batch = None
        if start >= stop:
            return None
        if self._decoding.is_plain:
            next_offset = header.next_offset if part.start == 0 else header.base_offset + stop
            partition.advance(next_offset)
            return FetchedBatch(batch, start, stop)
        return self._deserialized(part, batch, start, stop)

    def _is_readable(self, part: FetchedPart, batch: EncodedBatch) -> bool:
        try:
            if self._checks_crcs:
                batch.check()
            if not self._decoding.is_plain:
                batch.records()
        except LogError as cause:
            partition, header = part.partition, batch.header
            self._prefetch.refetch(partition)
            error = UnreadableError(
                partition.topic_partition, partition.position, header.next_offset, cause
            )
            error.__cause__ = cause
            partition.error = error
            self._on_error()
            return False
        return True

    def _deserialized(
        self, part: FetchedPart, batch: EncodedBatch, start: int, stop: int
    ) -> FetchedBatch | None:
        partition, header = part.partition, batch.header
        window = batch.records()[start:stop]
        readable, error = self._decoding.apply(window)
        if error is None:
            partition.advance(header.base_offset + stop)
            return FetchedBatch(batch, start, stop, readable)
        partition.advance(error.offset)
        self._prefetch.refetch(partition)
        partition.error = error
        self._on_error()
        stop = error.offset - header.base_offset
        return FetchedBatch(batch, start, stop, readable) if stop > start else None
