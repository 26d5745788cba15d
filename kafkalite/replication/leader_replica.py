"""One led partition: how far its followers are, and what that makes of the in-sync replicas.

REP-3  The high watermark is at most the end of every member of the maximal ISR, and never goes
       back. That is the stored ISR plus a pending addition; a pending removal counts until stored.
REP-4  At most one change of the ISR is pending. It is decided by a stored state of a higher version
       than the one it replaces, and by nothing else: one of unknown outcome is tried again as it
       was. Only where whom it adds may join no more another one is tried in its place; whoever was
       asked for counts until it is decided.
REP-5  A replica joins only with everything below the high watermark and up to the start of the
       leader's epoch, in the incarnation that is registered, and by what it did after it left.
REP-6  A member that lacks something below the high watermark is removed at once, and is given no
       records before that is stored: records in an answer prove to a follower that nobody counts
       on what it says it lacks. As a new leader's high watermark may be behind the last one's, that
       goes for all that a damaged log lacks up to the start of the epoch.
REP-7  Only positions in the leader's epoch, which do not diverge, of the latest incarnation of a
       follower, tell of its progress.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from kafkalite.model.cluster import Broker, PartitionState
from kafkalite.model.errors import StaleBrokerEpochError, UnknownTopicOrPartitionError
from kafkalite.model.ids import BrokerId
from kafkalite.model.offsets import NO_OFFSET
from kafkalite.replication import high_watermark
from kafkalite.replication.progress import NEVER_MS, Progress

_JOIN_PATIENCE_MS: Final = 1_000
"""The high watermark does not wait for longer for a replica that was about to join."""

LastFetch = Callable[[BrokerId], int | None]
"""When a broker's session fetched last, naming the partition or not; monotonic milliseconds."""


class IsrChange(NamedTuple):
    """A state to be written by compare-and-set: nothing but the ISR differs from the stored one."""

    state: PartitionState
    expected_version: int


class LeaderReplica:
    """The leader's side of one partition, for as long as one leader epoch lasts.

    Pure: who calls gives the time and the end of the leader's log, and writes what is proposed.
    """

    __slots__ = (
        "_asked", "_awaited", "_joining", "_judged_ms", "_lag_ms", "_own_id", "_pending",
        "_progress", "_replicas", "_state", "epoch_start", "high_watermark", "maximal_isr",
    )  # fmt: skip

    def __init__(
        self,
        own_id: BrokerId,
        state: PartitionState,
        replicas: tuple[BrokerId, ...],
        *,
        epoch_start: int,
        high_watermark: int,
        lag_ms: int,
        now_ms: int,
    ) -> None:
        """Begin to lead.

        Args:
            own_id: the leader.
            state: as stored, of the epoch that begins.
            replicas: the assigned ones.
            epoch_start: the leader's end as its epoch began.
            high_watermark: as the leader knew it so far.
            lag_ms: a member that has not been caught up for longer is removed.
            now_ms: from when on followers have their time.
        """
        self.epoch_start = epoch_start
        self.maximal_isr = frozenset(state.isr)
        """Whoever may be in the stored ISR, whatever becomes of the pending change."""
        self.high_watermark = high_watermark
        """First offset not known to be on every member of the maximal ISR."""
        self._own_id = own_id
        self._lag_ms = lag_ms
        self._state = state
        self._replicas = replicas
        self._pending: IsrChange | None = None
        self._asked: set[BrokerId] = set()
        """Members by it, and by those that were tried before in its place."""
        self._progress: dict[BrokerId, Progress] = {}
        self._joining: set[BrokerId] = set()
        """Caught up, but for what came meanwhile: the high watermark waits for them to join."""
        self._awaited: tuple[Progress, ...] = ()
        """Whom the high watermark waits for, besides the leader."""
        self._judged_ms = now_ms
        """When it was last looked for followers that lag."""
        self.follow(state, replicas, now_ms)

    @property
    def state(self) -> PartitionState:
        """As stored, as far as is known."""
        return self._state

    @property
    def pending(self) -> IsrChange | None:
        """The change whose outcome is not known yet."""
        return self._pending

    def progress(self, follower: BrokerId) -> Progress | None:
        """What is known of a follower; None: it is no replica."""
        return self._progress.get(follower)

    # -- what is heard --------------------------------------------------------------------------

    def follow(self, state: PartitionState, replicas: tuple[BrokerId, ...], now_ms: int) -> None:
        """Take in a state of this epoch, as stored, and who the replicas are."""
        if self._pending is not None and state.version > self._pending.expected_version:
            self._pending = None  # written, or too late for ever (REP-4)
            self._asked.clear()
        left = set(self._state.isr).difference(state.isr)
        self._state = state
        self._replicas = replicas
        known, self._progress = self._progress, {}
        for follower in dict.fromkeys((*replicas, *state.isr, *self._asked)):
            if follower != self._own_id:
                # A member has its time from now on; of others nothing is assumed.
                new = Progress(now_ms if follower in state.isr else NEVER_MS, left_ms=now_ms)
                self._progress[follower] = known.get(follower, new)
        for follower in left:
            if follower in self._progress:
                self._progress[follower].leave(now_ms)
        self._joining.intersection_update(self._progress)
        self._await()

    def _await(self) -> None:
        self.maximal_isr = frozenset((*self._state.isr, *self._asked))
        self._joining -= self.maximal_isr
        awaited = self.maximal_isr | self._joining
        self._awaited = tuple(
            progress for follower, progress in self._progress.items() if follower in awaited
        )

    def check_replica(self, follower: BrokerId, broker_epoch: int) -> None:
        """Raise unless `follower` replicates this partition, and lives still in that incarnation.

        Raises:
            UnknownTopicOrPartitionError: it is not assigned.
            StaleBrokerEpochError: a later incarnation of it has fetched already.
        """
        progress = self._progress.get(follower)
        if progress is None:
            raise UnknownTopicOrPartitionError(f"Broker {follower} is no replica of this partition")
        if broker_epoch < progress.broker_epoch:
            raise StaleBrokerEpochError(
                f"Broker {follower} has fetched with epoch {progress.broker_epoch}, not "
                f"{broker_epoch}, since"
            )

    def note_fetch(
        self,
        follower: BrokerId,
        broker_epoch: int,
        offset: int,
        leader_end: int,
        now_ms: int,
        *,
        is_damaged: bool = False,
    ) -> bool:
        """Take in that a replica has everything below `offset`, as the leader has it.

        With `is_damaged` it had more, and may be counted for it. The high watermark may advance
        next. Gives whether the ISR may have to change.
        """
        progress = self._progress[follower]
        progress.is_damaged = is_damaged
        is_caught_up = progress.note(broker_epoch, offset, leader_end, now_ms)
        if follower in self.maximal_isr:
            return self._pending is None and self._lacks_something(progress)
        if is_caught_up != (follower in self._joining):
            self._joining ^= {follower}
            self._await()
        return self._pending is None and self._has_enough(progress)

    def gives_records_to(self, follower: BrokerId) -> bool:
        """Whether it may be answered with records; not while its loss is not stored (REP-6)."""
        return follower not in self.maximal_isr or not self._lacks_something(
            self._progress[follower]
        )

    def _lacks_something(self, progress: Progress) -> bool:
        """Whether a member may be counted for what it does not have (REP-6)."""
        counted = self.high_watermark
        if progress.is_damaged:
            counted = max(counted, self.epoch_start)
        return progress.end_offset < counted

    def advance(self, own_end: int) -> int:
        """The high watermark, once the leader has everything below `own_end` itself (REP-3)."""
        ends = [progress.end_offset for progress in self._awaited]
        self.high_watermark = high_watermark.advance(self.high_watermark, own_end, ends)
        return self.high_watermark

    # -- what follows from it -------------------------------------------------------------------

    def propose(
        self,
        leader_end: int,
        now_ms: int,
        last_fetch: LastFetch,
        brokers: Mapping[BrokerId, Broker],
    ) -> IsrChange | None:
        """The change of the ISR that is due, pending from now on; None: there is none.

        To be asked at least every half of the lag time: after a longer silence, in which the leader
        may have been stopped, nobody is said to lag.

        Args:
            leader_end: end of the leader's log.
            now_ms: the time.
            last_fetch: of the sessions.
            brokers: the registered ones.
        """
        self._judge(leader_end, now_ms, last_fetch, brokers)
        pending = self._pending
        if pending is not None and all(
            self._may_join(follower, last_fetch, brokers)
            for follower in set(pending.state.isr).difference(self._state.isr)
        ):
            return pending
        staying = [member for member in self._state.isr if not self._must_leave(member, now_ms)]
        joining = [
            follower
            for follower in self._replicas
            if follower in self._progress
            and follower not in self._state.isr
            and self._may_join(follower, last_fetch, brokers)
        ]
        isr = (*staying, *joining)
        if pending is None and isr == self._state.isr:
            return None
        for follower in joining:
            # It has all that counts; from now on it has its time, as every member.
            self._progress[follower].caught_up_ms = now_ms
        self._pending = IsrChange(replace(self._state, isr=isr), self._state.version)
        self._asked.update(isr)
        self._await()
        return self._pending

    def _judge(
        self,
        leader_end: int,
        now_ms: int,
        last_fetch: LastFetch,
        brokers: Mapping[BrokerId, Broker],
    ) -> None:
        """Bring up to date who was caught up when; wait no longer for who does not come to join."""
        was_silent = now_ms - self._judged_ms > self._lag_ms
        self._judged_ms = now_ms
        for follower, progress in self._progress.items():
            seen_ms: int | None = None
            if progress.end_offset >= leader_end and _is_current(follower, progress, brokers):
                # In a session what does not change is not named.
                seen_ms = last_fetch(follower)
            if was_silent and follower in self._state.isr:
                seen_ms = now_ms
            if seen_ms is not None and seen_ms > progress.caught_up_ms:
                progress.caught_up_ms = seen_ms
        gone = {
            follower
            for follower in self._joining
            if now_ms - self._progress[follower].fetched_ms > _JOIN_PATIENCE_MS
        }
        if gone:
            self._joining -= gone
            self._await()

    def _must_leave(self, member: BrokerId, now_ms: int) -> bool:
        if member == self._own_id:
            return False
        progress = self._progress[member]
        if progress.end_offset > NO_OFFSET and self._lacks_something(progress):
            return True
        return now_ms - progress.caught_up_ms > self._lag_ms

    def _may_join(
        self, follower: BrokerId, last_fetch: LastFetch, brokers: Mapping[BrokerId, Broker]
    ) -> bool:
        progress = self._progress[follower]
        if not self._has_enough(progress) or not _is_current(follower, progress, brokers):
            return False
        if progress.has_fetched_since:
            return True
        seen_ms = last_fetch(follower)
        return seen_ms is not None and seen_ms > progress.left_ms

    def _has_enough(self, progress: Progress) -> bool:
        return progress.end_offset >= max(self.high_watermark, self.epoch_start)


def _is_current(follower: BrokerId, progress: Progress, brokers: Mapping[BrokerId, Broker]) -> bool:
    """Whether what is known of a follower is of the incarnation that is registered."""
    return follower in brokers and brokers[follower].epoch == progress.broker_epoch
