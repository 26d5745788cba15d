"""What a log knows of idempotent producers: it tells a retried batch from a new one.

Pure: no file, no clock. docs/design/idempotence.md states the rules and numbers them (IDP-n).
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from kafkalite.model.errors import (
    InvalidProducerEpochError,
    OutOfOrderSequenceNumberError,
    UnknownProducerIdError,
)
from kafkalite.wire.batch import BatchHeader

REMEMBERED_BATCHES: Final = 5
"""Of each producer: as many as it may have sent without an answer."""
MAX_SEQUENCE: Final = 2**31 - 1
"""After it comes 0."""
TIME_UNKNOWN: Final = -1


class StoredBatch(NamedTuple):
    """A batch of an idempotent producer that is in the log, or was."""

    first_sequence: int
    last_sequence: int
    base_offset: int
    last_offset: int
    timestamp: int
    """Its largest; the time of the append where the topic's times are the broker's."""


class Producer(NamedTuple):
    """What is known of one producer id."""

    epoch: int
    seen_ms: int
    """When its last batch was taken in here, TIME_UNKNOWN for a while after a recovery."""
    batches: tuple[StoredBatch, ...]
    """The last ones of its epoch, the oldest first: at least one, at most REMEMBERED_BATCHES."""


class ProducerState:
    """The producers of one log, by id, in the order in which they were last heard of.

    Owned by the log, with its thread rule. It holds no more producers than `max_producers`: then
    the one that was not heard of for the longest time is forgotten.
    """

    __slots__ = ("_producers", "max_producers", "now_ms")

    def __init__(self, max_producers: int) -> None:
        self.max_producers = max_producers
        self.now_ms = TIME_UNKNOWN
        """The time, as it was told last: batches are noted as seen at it."""
        self._producers: dict[int, Producer] = {}

    def __len__(self) -> int:
        return len(self._producers)

    def __iter__(self) -> Iterator[tuple[int, Producer]]:
        """Ids and producers, the one that was not heard of for the longest time first."""
        return iter(self._producers.items())

    def get(self, producer_id: int) -> Producer | None:
        """What is known of a producer id."""
        return self._producers.get(producer_id)

    # -- deciding -------------------------------------------------------------------------------

    def stored(self, headers: Sequence[BatchHeader]) -> list[StoredBatch]:
        """Those of some batches of one producer, from the first on, that were stored before.

        The others are new and continue what is stored. Nothing changes: that is for `note`, once
        they are written.

        Raises:
            UnknownProducerIdError: nothing is known of the producer, and it does not begin.
            InvalidProducerEpochError: the id has been used in a later epoch.
            OutOfOrderSequenceNumberError: batches are missing before one of them; or it was stored
                before so many others that its place is forgotten.
        """
        producer_id, epoch = headers[0].producer_id, headers[0].producer_epoch
        known = self._producers.get(producer_id)
        remembered: tuple[StoredBatch, ...] = ()
        if known is None:
            due = 0
            if headers[0].base_sequence:
                raise UnknownProducerIdError(
                    f"Nothing is known of producer id {producer_id}, so that it must begin with "
                    f"sequence 0, not {headers[0].base_sequence}"
                )
        elif epoch < known.epoch:
            raise InvalidProducerEpochError(
                f"Producer id {producer_id} is in epoch {known.epoch}, later than {epoch}"
            )
        elif epoch > known.epoch:
            due = 0
        else:
            remembered = known.batches
            due = following(remembered[-1].last_sequence)
        stored: list[StoredBatch] = []
        for index, header in enumerate(headers):
            first, last = header.base_sequence, last_sequence(header)
            duplicate = _find(remembered, first, last) if len(stored) == index else None
            if duplicate is not None:
                stored.append(duplicate)
            elif first == due:
                due = following(last)
            else:
                raise OutOfOrderSequenceNumberError(
                    f"Sequence {first} of producer id {producer_id}, epoch {epoch}, does not "
                    f"follow: {due} is due"
                )
        return stored

    # -- taking in ------------------------------------------------------------------------------

    def note(self, header: BatchHeader, base_offset: int) -> None:
        """Take in a batch of a producer that now is in the log, at `base_offset`.

        Nothing is checked: the log is right.
        """
        last_offset = base_offset + header.last_offset_delta
        batch = StoredBatch(
            header.base_sequence,
            last_sequence(header),
            base_offset,
            last_offset,
            header.max_timestamp,
        )
        # Taken out and put back, so that it is the last one.
        known = self._producers.pop(header.producer_id, None)
        batches: tuple[StoredBatch, ...] = (batch,)
        if known is not None and known.epoch == header.producer_epoch:
            batches = (*known.batches[1 - REMEMBERED_BATCHES :], batch)
        self._producers[header.producer_id] = Producer(header.producer_epoch, self.now_ms, batches)
        if len(self._producers) > self.max_producers:
            del self._producers[next(iter(self._producers))]

    def replace(self, producers: dict[int, Producer]) -> None:
        """Know `producers` and nothing else."""
        self._producers = producers
        if self.now_ms != TIME_UNKNOWN:
            self.begin(self.now_ms)  # noted before time was told, they are not silent since

    def copy(self) -> dict[int, Producer]:
        """What is known now."""
        return self._producers.copy()

    # -- time -----------------------------------------------------------------------------------

    def begin(self, now_ms: int) -> None:
        """Tell the time for the first time; what was read from the log counts as seen now."""
        self.now_ms = now_ms
        for producer_id, known in self._producers.items():
            if known.seen_ms == TIME_UNKNOWN:
                self._producers[producer_id] = known._replace(seen_ms=now_ms)

    def expire(self, now_ms: int, expiration_ms: int) -> int:
        """Forget the producers that were not heard of for `expiration_ms`; gives how many."""
        self.now_ms = now_ms
        expired = []
        for producer_id, known in self._producers.items():
            if now_ms - known.seen_ms < expiration_ms:
                break  # those that follow were heard of later
            expired.append(producer_id)
        for producer_id in expired:
            del self._producers[producer_id]
        return len(expired)


def last_sequence(header: BatchHeader) -> int:
    """The sequence of the batch's last record."""
    return (header.base_sequence + header.last_offset_delta) & MAX_SEQUENCE


def following(sequence: int) -> int:
    """The sequence after `sequence`."""
    return (sequence + 1) & MAX_SEQUENCE


def _find(batches: tuple[StoredBatch, ...], first: int, last: int) -> StoredBatch | None:
    for batch in reversed(batches):
        if batch.first_sequence == first and batch.last_sequence == last:
            return batch
    return None
