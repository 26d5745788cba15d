"""One partition's batches on their way, in order: what may be sent next, and under which number.

With idempotence each batch carries (producer id, epoch, sequence of its first record). The leader
takes a batch of an epoch only if its sequence follows what it has, so batches that are sent one
after the other, without waiting, are stored in order or not at all; and it knows the last
MAX_UNACKNOWLEDGED of them again, so that a batch may be sent until somebody says what became of it.

    numbered = [oldest ... newest]      each SENT, or WAITING to be sent again
    ready    = [oldest ... newest]      CLOSED, without a number
    open                                being filled

Q-1 A batch is numbered after all older ones. While the oldest without an answer may have been
    stored, it is among the last MAX_UNACKNOWLEDGED that were, so its leader knows it again.
Q-2 A batch that may have been stored keeps its number until somebody says that it was: a leader
    that says it was not may have been deposed without knowing.
Q-3 A gap is a sequence that no batch will fill any more. It is certain where a batch was refused at
    each attempt, the last of them for its number and with no older one under way; then no later
    one was stored either. What is left begins a new epoch at 0 (KIP-360), once nothing is under
    way any more; that bars all of the old epoch that may still arrive.
Q-4 With `acks=1` a new leader may lack what the old one acknowledged, and that is a gap, too: taken
    for certain after a while in which no leader took a batch that is in doubt.

The epoch is the partition's own: a leader compares epochs by producer id and partition.
"""

from collections import deque
from collections.abc import Sequence
from enum import Enum
from typing import Final, NamedTuple

from kafkalite.client.errors import NotSentError
from kafkalite.client.producer.producer_batch import BatchState, ProducerBatch
from kafkalite.model.errors import (
    InvalidProducerEpochError,
    LeaderNotAvailableError,
    LogError,
    MessageTooLargeError,
    NotLeaderOrFollowerError,
    OutOfOrderSequenceNumberError,
    RecordListTooLargeError,
    RequestTooLargeError,
    UnknownProducerIdError,
)
from kafkalite.model.ids import TopicPartition
from kafkalite.model.offsets import NO_OFFSET
from kafkalite.wire.batch import NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE

MAX_UNACKNOWLEDGED: Final = 5
"""Batches of a producer that a leader knows again."""
MAX_EPOCH: Final = 2**15 - 1
DOUBT_S: Final = 10.0
"""How long a leader that was deposed may go on without knowing, and more (Q-4)."""
_SEQUENCES: Final = 2**31
_MAX_OVERTAKINGS: Final = 2

SEQUENCE_ERRORS: Final = (
    OutOfOrderSequenceNumberError,
    UnknownProducerIdError,
    InvalidProducerEpochError,
)
_NO_ATTEMPT: Final = (NotSentError, NotLeaderOrFollowerError, LeaderNotAvailableError)
"""Only the wrong moment, or the wrong broker: retries do not count them, the deadline does."""
_TOO_LARGE: Final = (MessageTooLargeError, RecordListTooLargeError, RequestTooLargeError)


class Verdict(Enum):
    """What becomes of a batch that was refused, or whose answer is missing."""

    AGAIN = "it is sent again"
    SPLIT = "its records are sent as two batches"
    FAILED = "it is given up"


class Identity(NamedTuple):
    """Who numbers a partition's batches."""

    producer_id: int
    epoch: int


class PartitionQueue:
    """The batches of one partition.

    `open` and the growing end of `ready` are of whoever holds the accumulator's lock; everything
    else is of the sender's loop.
    """

    __slots__ = (
        "_accepts_loss",
        "_gap_at",
        "_is_idempotent",
        "_is_overtaken",
        "_last_offset",
        "_max_numbered",
        "_ordinal",
        "_retries",
        "_sequence",
        "_waits_for_id_after",
        "failures",
        "has_leader",
        "identity",
        "is_active",
        "leaving",
        "numbered",
        "open",
        "place",
        "ready",
        "retry_at_s",
    )

    def __init__(
        self,
        place: TopicPartition,
        *,
        is_idempotent: bool,
        max_in_flight: int,
        retries: int,
        accepts_loss: bool = False,
    ) -> None:
        """Assign only.

        Args:
            max_in_flight: batches that may be under way; without idempotence one that is sent again
                would come behind those sent after it, so there is one if there are retries.
            retries: how often a batch is sent again.
            accepts_loss: whether what the leader has stored may get lost with it (Q-4).
        """
        self.place = place
        self.open: ProducerBatch | None = None
        self.ready: deque[ProducerBatch] = deque()
        self.numbered: list[ProducerBatch] = []
        self.leaving: Sequence[ProducerBatch] = ()
        """Taken out of the others, and to be finished by whoever did that, who then empties it: so
        that a thread which wants to wait for all that is unfinished misses none."""
        self.is_active = False
        """Whether the sender looks at it."""
        self.has_leader = True
        """As far as the sender knows."""
        self.retry_at_s = 0.0
        """Nothing is sent before."""
        self.failures = 0
        """Attempts in a row that failed."""
        self.identity: Identity | None = None
        self._is_idempotent = is_idempotent
        self._retries = retries
        self._accepts_loss = accepts_loss
        if is_idempotent:
            self._max_numbered = min(max_in_flight, MAX_UNACKNOWLEDGED)
        else:
            self._max_numbered = 1 if retries else max_in_flight
        self._sequence = 0
        """Of the next record that gets one."""
        self._ordinal = 0
        """How many batches were numbered."""
        self._last_offset = NO_OFFSET
        """The largest that is known to be stored."""
        self._gap_at: int | None = None
        """Numbered batches from this ordinal on were not stored, and never will be with their
        numbers: see Q-3."""
        self._is_overtaken = False
        """Whether the leader knows a later epoch of the producer id than ours."""
        self._waits_for_id_after = NO_PRODUCER_ID
        """The producer id that cannot be used any more."""

    # -- sending --------------------------------------------------------------------------------

    @property
    def is_empty(self) -> bool:
        return self.open is None and not self.ready and not self.numbered

    @property
    def has_more(self) -> bool:
        """Whether there is anything beside the newest numbered batch that might be sent."""
        return bool(self.ready) or self.open is not None or len(self.numbered) > 1

    @property
    def load(self) -> int:
        """Batches that wait or are under way."""
        return len(self.ready) + len(self.numbered)

    @property
    def takes_new(self) -> bool:
        """Whether a batch that was never sent may be sent next."""
        return (
            not self.has_gap
            and (not self.numbered or self._span < self._max_numbered)
            and all(batch.state is BatchState.SENT for batch in self.numbered)
        )

    @property
    def _span(self) -> int:
        """How many were numbered since the oldest that has no answer, itself included."""
        return self._ordinal - self.numbered[0].ordinal

    @property
    def has_gap(self) -> bool:
        """Whether some sequence will never be filled."""
        return self._gap_at is not None

    def needs_producer_id(self) -> bool:
        """Whether nothing can be sent before `identify` is called."""
        return self._is_idempotent and self.identity is None

    def identify(self, producer_id: int) -> bool:
        """Number batches for `producer_id` from now on; False if that one is used up here."""
        if producer_id == self._waits_for_id_after:
            return False
        self._begin(Identity(producer_id, 0))
        return True

    def next_to_send(self) -> ProducerBatch | None:
        """The batch to send next, numbered; None if there is none that may be. `sent` follows."""
        if self._gap_at is not None and self.identity is not None:
            self._end_gap(self._gap_at)
        if self.needs_producer_id():
            return None
        for batch in self.numbered[: self._max_numbered]:
            if self._gap_at is not None and batch.ordinal >= self._gap_at:
                return None
            if batch.state is BatchState.WAITING:
                # Once more right behind an older one is worth it, for ever is not.
                is_next = batch is self.numbered[0] or batch.overtakings < _MAX_OVERTAKINGS
                return batch if is_next else None
        if not self.ready or not self.takes_new:
            return None
        batch = self.ready[0]
        self._number(batch)
        batch.state = BatchState.WAITING
        self.numbered.append(batch)  # before it is gone there, so that a flush sees it
        self.ready.popleft()
        return batch

    def sent(self, batch: ProducerBatch) -> None:
        """`batch`, as `next_to_send` gave it, is under way."""
        batch.state = BatchState.SENT
        batch.attempts += 1
        batch.sent_as_first = self.numbered[0] is batch

    def _number(self, batch: ProducerBatch) -> None:
        batch.ordinal = self._ordinal
        self._ordinal += 1
        if self.identity is None:
            batch.number(NO_PRODUCER_ID, NO_PRODUCER_EPOCH, NO_SEQUENCE)
            return
        batch.number(*self.identity, self._sequence)
        self._sequence = (self._sequence + batch.count) % _SEQUENCES

    def _end_gap(self, gap_at: int) -> None:
        """Begin a new epoch if nothing is under way, and nothing from before the gap is left."""
        if any(batch.state is BatchState.SENT or batch.ordinal < gap_at for batch in self.numbered):
            return
        assert self.identity is not None
        if self.identity.epoch >= MAX_EPOCH or self._is_overtaken:
            self._waits_for_id_after = self.identity.producer_id
            self.identity = None
        else:
            self._begin(self.identity._replace(epoch=self.identity.epoch + 1))

    def _begin(self, identity: Identity) -> None:
        self.identity = identity
        self._sequence = 0
        self._gap_at = None
        self._is_overtaken = False
        for batch in self.numbered:
            batch.in_doubt = False
            batch.refused_since_s = None
            self._number(batch)

    # -- answers --------------------------------------------------------------------------------

    def accepted(self, batch: ProducerBatch, base_offset: int = NO_OFFSET) -> None:
        """The leader has stored `batch`, now or at an earlier attempt."""
        self.leaving = (batch,)
        self.numbered.remove(batch)
        self._last_offset = max(self._last_offset, base_offset)
        self.failures = 0
        self.retry_at_s = 0.0

    def refused(
        self,
        batch: ProducerBatch,
        error: LogError,
        *,
        is_open: bool,
        now_s: float,
        log_start_offset: int = NO_OFFSET,
    ) -> Verdict:
        """The leader refused `batch`, or there is no answer; FAILED ones are to be finished.

        Args:
            is_open: whether it may have been stored all the same.
            log_start_offset: as far as the leader told.
        """
        batch.state = BatchState.WAITING
        if isinstance(error, SEQUENCE_ERRORS) and self._is_idempotent:
            if batch.sent_as_first:
                self._judge(batch, error, now_s, log_start_offset)
            else:
                batch.overtakings += 1
            verdict = Verdict.AGAIN
        else:
            batch.in_doubt = batch.in_doubt or is_open
            verdict = self._verdict(batch, error)
        if batch.is_done or (verdict is Verdict.AGAIN and batch.deadline_s <= now_s):
            verdict = Verdict.FAILED
        if verdict is Verdict.FAILED:
            self.leaving = (batch,)
            self.remove(batch)
        elif verdict is Verdict.SPLIT:
            self._replace(batch)
        return verdict

    def _judge(
        self, batch: ProducerBatch, error: LogError, now_s: float, log_start_offset: int
    ) -> None:
        """See whether the number of `batch`, the oldest, was refused because of a gap."""
        if batch.refused_since_s is None:
            batch.refused_since_s = now_s
        # All that this producer had there was deleted, and the leader's memory of it as well.
        is_forgotten = (
            isinstance(error, UnknownProducerIdError) and log_start_offset > self._last_offset
        )
        is_lost = self._accepts_loss and now_s - batch.refused_since_s >= DOUBT_S
        if not batch.in_doubt or is_forgotten or is_lost:
            self._gap_at = batch.ordinal
            self._is_overtaken = isinstance(error, InvalidProducerEpochError)

    def _verdict(self, batch: ProducerBatch, error: LogError) -> Verdict:
        if isinstance(error, _TOO_LARGE) and batch.count > 1 and not batch.in_doubt:
            return Verdict.SPLIT
        if self._retries and isinstance(error, _NO_ATTEMPT):
            return Verdict.AGAIN
        batch.refusals += 1
        if error.retriable and batch.refusals <= self._retries:
            return Verdict.AGAIN
        return Verdict.FAILED

    def _replace(self, batch: ProducerBatch) -> None:
        """Halves of `batch` under its numbers: records are numbered, not batches."""
        index = self.numbered.index(batch)
        first, second = batch.halve()
        for half, offset in ((first, 0), (second, first.count)):
            sequence = NO_SEQUENCE
            if self._is_idempotent:
                sequence = (batch.base_sequence + offset) % _SEQUENCES
            half.number(batch.producer_id, batch.producer_epoch, sequence)
            half.state = BatchState.WAITING
            half.ordinal = batch.ordinal
        self.numbered[index : index + 1] = [first, second]

    def remove(self, batch: ProducerBatch) -> None:
        """Leave `batch`, which is numbered and not under way, out."""
        self.numbered.remove(batch)
        if not self._is_idempotent or batch.in_doubt:
            return  # in doubt: whether there is a gap, the leader will say of what comes next
        if self._sequence == (batch.base_sequence + batch.count) % _SEQUENCES:
            self._sequence = batch.base_sequence  # no number behind it was ever given
        elif self._gap_at is None or batch.ordinal < self._gap_at:
            self._gap_at = batch.ordinal

    def expire(self, now_s: float) -> list[ProducerBatch]:
        """Take out what was to be given up by now; what is under way stays until it is answered."""
        expired: list[ProducerBatch] = []
        self.leaving = expired
        while self.ready and self.ready[0].deadline_s <= now_s:
            expired.append(self.ready[0])
            self.ready.popleft()
        for batch in list(self.numbered):
            if batch.deadline_s <= now_s and not batch.is_done:
                expired.append(batch)
                if batch.state is BatchState.WAITING:
                    self.remove(batch)
        return expired

    def take_all(self) -> list[ProducerBatch]:
        """Everything but the open batch, which is to be given up; nothing is left."""
        batches = [*self.numbered, *self.ready]
        self.leaving = batches
        self.numbered.clear()
        self.ready.clear()
        return batches
