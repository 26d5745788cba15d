"""The follower's side of a partition: where it stands, and what it makes of its leader's answers.

REP-8  A log with damage is kept whole, and asked for from the damage on, until an answer with
       records from there proves that nobody counts on this replica (REP-6). Then it is cut there.
"""

import asyncio
from collections.abc import Sequence

from kafkalite.model.errors import CorruptMessageError, LogError, OffsetOutOfRangeError
from kafkalite.model.ids import LeaderEpoch
from kafkalite.model.offsets import NO_OFFSET
from kafkalite.replication.divergence import Divergence, epoch_before, truncation_offset
from kafkalite.replication.position import Position
from kafkalite.storage.log import Log
from kafkalite.wire.batch import BatchHeader
from kafkalite.wire.messages import FetchResult


class Following:
    """Makes a log follow another one. Shares the partition's loop; knows of no epoch but the log's.

    Owned by the partition, which sees to it that answers are of the leader that it follows.
    """

    __slots__ = ("_flush", "_log", "_waits_for_flush")

    def __init__(self, log: Log, *, waits_for_flush: bool) -> None:
        """Assign only; `waits_for_flush`: what it has counts once it is durable."""
        self._log = log
        self._waits_for_flush = waits_for_flush
        self._flush: asyncio.Future[None] | None = None
        """Who waits until all of the log is durable."""

    def position(self, leader_epoch: LeaderEpoch) -> Position:
        """What to ask the leader of `leader_epoch` for."""
        offset = self._safe_end
        is_damaged = bool(self._log.damaged)
        return Position(offset, epoch_before(self._log, offset), leader_epoch, is_damaged)

    @property
    def sound_end(self) -> int:
        """Everything below is here and can be read."""
        log = self._log
        return log.damaged[0].start if log.damaged else log.end_offset

    @property
    def _safe_end(self) -> int:
        """Everything below is as safe as the policy asks for, too."""
        safe = self._log.durable_end_offset if self._waits_for_flush else self._log.end_offset
        return min(safe, self.sound_end)

    def take(self, result: FetchResult, headers: Sequence[BatchHeader]) -> None:
        """Do to the log what the leader's answer asks for.

        Raises:
            CorruptMessageError: the batches do not continue the log; it is to be fetched again.
            KafkaStorageError: the disk is full or failed.
        """
        log = self._log
        if result.error_code == OffsetOutOfRangeError.code:
            self._leave_range(result.log_start_offset)
        elif result.error_code:
            return
        elif result.diverging_end_offset != NO_OFFSET:
            found = Divergence(result.diverging_epoch, result.diverging_end_offset)
            log.truncate_to(truncation_offset(log, found))
        elif headers:
            self._append(result, headers)
        log.advance_start_offset(min(result.log_start_offset, log.end_offset))
        self._settle()

    def _append(self, result: FetchResult, headers: Sequence[BatchHeader]) -> None:
        log = self._log
        if log.damaged:
            start = log.damaged[0].start
            if headers[0].base_offset > start:
                return  # asked for before the damage was found: it proves nothing (REP-8)
            log.truncate_to(start)
        if headers[-1].leader_epoch > result.leader_epoch:
            # No checksum covers it: were it believed, all that follows would seem out of date.
            raise CorruptMessageError(
                f"The leader of epoch {result.leader_epoch} has a batch of epoch "
                f"{headers[-1].leader_epoch} at {headers[-1].base_offset}"
            )
        log.append_replica(result.batches, headers)

    def _leave_range(self, leader_start: int) -> None:
        """The leader has nothing at the offset that was asked for.

        Where it begins above all that is here, or has nothing above where this log begins, which
        has nothing sound itself, the log begins anew; else only its start is behind.
        """
        log = self._log
        has_nothing = self._safe_end <= log.start_offset
        if leader_start > log.end_offset or (has_nothing and 0 <= leader_start < log.start_offset):
            log.begin_anew_at(leader_start)

    # -- flushing -------------------------------------------------------------------------------

    @property
    def is_durable(self) -> bool:
        """Whether all of the log is as durable as the policy asks for."""
        return not self._waits_for_flush or self._log.durable_end_offset >= self._log.end_offset

    def flushing(self) -> asyncio.Future[None] | None:
        """Done when that is so, failed when it can no longer come; None: it is so."""
        if self.is_durable:
            return None
        if self._flush is None or self._flush.done():
            self._flush = asyncio.get_running_loop().create_future()
            if self._log.failure is not None:
                self.fail(self._log.failure)
        return self._flush

    def on_flushed(self) -> None:
        """The log's durable end moved."""
        self._settle()

    def fail(self, error: LogError) -> None:
        """Nothing will be flushed any more."""
        if self._flush is not None and not self._flush.done():
            self._flush.set_exception(error)
            self._flush.exception()  # seen, also where nobody came back for it

    def _settle(self) -> None:
        if self._flush is not None and not self._flush.done() and self.is_durable:
            self._flush.set_result(None)
