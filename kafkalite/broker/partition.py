"""One partition on this broker: its log, its place in the cluster, and those who wait for it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, NoReturn, Protocol

from kafkalite.broker import batch_rules
from kafkalite.broker.appended import Appended, joined, stored_before
from kafkalite.broker.leaderless import leaderless
from kafkalite.broker.probes import HistogramProbe
from kafkalite.broker.replication.following import Following
from kafkalite.broker.replication.leading import ReplicaRead, records_for, take_fetch
from kafkalite.broker.waiters import AckWaiters, ReadWaiters
from kafkalite.config.topic_config import TopicSettings
from kafkalite.config.views import FlushPolicy
from kafkalite.controller.events import StateChange
from kafkalite.model.clock import Clock
from kafkalite.model.cluster import Broker, PartitionState
from kafkalite.model.errors import (
    CorruptMessageError,
    FencedLeaderEpochError,
    KafkaStorageError,
    LogError,
    NotEnoughReplicasAfterAppendError,
    NotEnoughReplicasError,
    NotLeaderOrFollowerError,
    OffsetNotAvailableError,
    OffsetOutOfRangeError,
    UnknownLeaderEpochError,
    UnknownProducerIdError,
)
from kafkalite.model.ids import (
    ANY_EPOCH,
    NO_EPOCH,
    NO_LEADER,
    BrokerId,
    LeaderEpoch,
    TopicPartition,
)
from kafkalite.model.offsets import NO_OFFSET, LogOffsets
from kafkalite.model.record import NO_TIMESTAMP
from kafkalite.replication.leader_replica import LastFetch, LeaderReplica
from kafkalite.replication.position import Position
from kafkalite.storage.log import Log
from kafkalite.storage.log_read import LogRead
from kafkalite.storage.recent_batches import RecentBatches, RecentBudget
from kafkalite.wire.batch import NO_PRODUCER_ID, BatchHeader, Buffer
from kafkalite.wire.messages import FetchResult

TO_HIGH_WATERMARK: Final = -1
"""Where records shall be deleted up to the high watermark, as Kafka's tools say it."""


class PartitionOptions(NamedTuple):
    """What is the same for all partitions of a broker."""

    flush_policy: FlushPolicy
    lag_ms: int
    """How long a follower may not have been caught up and be in sync (replica.lag.time.max.ms)."""
    append_seconds: HistogramProbe | None = None
    """Where it is noted how long acks=all takes."""
    recent: RecentBudget | None = None
    """For what followers will want soon; None: they are given what is read from the disk."""


class ReplicaWatcher(Protocol):
    """Someone who has to know when a led partition has news for its followers."""

    def moved(self, partition: "Partition") -> None:
        """Its end, its high watermark, its start or its state moved. Cheap; must not raise."""


class Partition:
    """Owns one log and decides who may write and read it, and what it replicates to and from.

    Lives on the event loop, without locks; `on_append` tells the owner that bytes wait to be
    flushed, `on_isr_due` that the in-sync replicas may have to change. Made when its log is open;
    leads while the state that it was told last names this broker, else follows whom that names;
    dropped with its log.
    """

    __slots__ = (
        "_acks", "_clock", "_following", "_high_watermark", "_lag_ms", "_leading", "_on_append",
        "_on_isr_due", "_own_id", "_recent", "_replicas", "_settings", "_state",
        "_waits_for_flush", "log", "readers", "refusal", "topic_partition", "watchers",
    )  # fmt: skip

    def __init__(
        self,
        log: Log,
        settings: TopicSettings,
        options: PartitionOptions,
        own_id: BrokerId,
        clock: Clock,
        *,
        initial_high_watermark: int,
        on_append: Callable[["Partition", bool], None],
        on_isr_due: Callable[["Partition"], None],
    ) -> None:
        self.topic_partition: TopicPartition = log.topic_partition
        self.log = log
        self.readers = ReadWaiters()
        self.watchers: set[ReplicaWatcher] = set()
        self.refusal: KafkaStorageError | None = None
        """Why the disk did not take what its leader gave last; None: it did, or it leads."""
        self._acks = AckWaiters(options.append_seconds)
        self._settings = settings
        self._own_id = own_id
        self._clock = clock
        self._on_append = on_append
        self._on_isr_due = on_isr_due
        self._lag_ms = options.lag_ms
        self._recent = options.recent
        self._state: PartitionState | None = None
        self._replicas: tuple[BrokerId, ...] = ()
        self._leading: LeaderReplica | None = None
        """Of the epoch in which this broker leads; None while it does not."""
        # Under `commit` the high watermark counts durable ends, else appended ones.
        self._waits_for_flush = options.flush_policy is FlushPolicy.COMMIT
        self._following = Following(log, waits_for_flush=self._waits_for_flush)
        log.producers.begin(clock.wall_ms())
        self._high_watermark = min(max(initial_high_watermark, log.start_offset), log.end_offset)

    # -- its place in the cluster ---------------------------------------------------------------

    @property
    def offsets(self) -> LogOffsets:
        return LogOffsets(self.log.start_offset, self._high_watermark, self.log.end_offset)

    @property
    def settings(self) -> TopicSettings:
        return self._settings

    @property
    def state(self) -> PartitionState | None:
        """What it acts on: as stored, as far as is known here; None before there was one."""
        return self._state

    @property
    def replicas(self) -> tuple[BrokerId, ...]:
        """The assigned ones; the first is the preferred leader."""
        return self._replicas

    @property
    def isr(self) -> tuple[BrokerId, ...]:
        """As stored."""
        return self._state.isr if self._state else ()

    @property
    def leader_epoch(self) -> int:
        """Epoch of the last state seen; NO_EPOCH before there was one."""
        return self._state.leader_epoch if self._state else NO_EPOCH

    @property
    def is_leader(self) -> bool:
        return self._leading is not None

    @property
    def leading(self) -> LeaderReplica | None:
        """What this broker knows of the followers while it leads."""
        return self._leading

    @property
    def leader_to_follow(self) -> BrokerId | None:
        """Whom to fetch from; None: this broker leads, nobody does, or the log takes nothing."""
        state = self._state
        if state is None or self._leading is not None or self.log.failure is not None:
            return None
        return None if state.leader == NO_LEADER else state.leader

    def apply(self, state: PartitionState, replicas: tuple[BrokerId, ...] = ()) -> None:
        """Act on a state of the cluster: lead when it names this broker, else follow.

        One that is older than what it acts on changes nothing. `replicas` are the assigned ones.
        """
        known = self._state
        if known is not None and (state.leader_epoch, state.version) < (
            known.leader_epoch,
            known.version,
        ):
            return
        self._state = state
        self._replicas = replicas
        if state.leader == self._own_id:
            self._lead(state)
        else:
            self._stand_back()
        self._tell_watchers()

    def assign(self, replicas: tuple[BrokerId, ...]) -> None:
        """Other brokers than before are its replicas."""
        self._replicas = replicas
        if self._leading is not None:
            self._leading.follow(self._leading.state, replicas, self._clock.monotonic_ms())
            self._keep_recent()
            self._advance()
        self._tell_watchers()

    def _lead(self, state: PartitionState) -> None:
        self.refusal = None
        now_ms = self._clock.monotonic_ms()
        epoch = state.leader_epoch
        leading = self._leading
        if leading is not None and leading.state.leader_epoch == epoch:
            leading.follow(state, self._replicas, now_ms)
        else:
            self.log.begin_epoch(epoch)
            self._leading = LeaderReplica(
                self._own_id,
                state,
                self._replicas,
                epoch_start=self.log.epoch_end_offset(epoch - 1)[1],
                high_watermark=self._high_watermark,
                lag_ms=self._lag_ms,
                now_ms=now_ms,
            )
            # What the log holds may not be durable yet, and nobody else would flush it.
            self._on_append(self, True)
        self._keep_recent()
        self._advance()

    def _keep_recent(self) -> None:
        """Keep in memory what is appended, just while this broker leads and others follow."""
        log = self.log
        if self._leading is None or len(self._replicas) < 2 or self._recent is None:
            if log.recent is not None:
                log.recent.clear()
                log.recent = None
        elif log.recent is None:
            log.recent = RecentBatches(self._recent)

    def follows(self, state: PartitionState | None) -> bool:
        """Whether `state` is what it acts on."""
        return state is not None and self._state == state

    def step_down(self) -> None:
        """Stop leading because the session with ZooKeeper is lost, whatever the last state said."""
        self._state = None
        self._stand_back()
        self._tell_watchers()

    def close(self, error: LogError) -> None:
        """Turn away everyone who waits: the partition leaves this broker."""
        self._state = None
        self._leading = None
        self._keep_recent()
        self._acks.fail(error)
        self._following.fail(error)
        self.readers.wake()
        self._tell_watchers()

    def reconfigure(self, settings: TopicSettings) -> None:
        self._settings = settings
        self.log.reconfigure(settings.log_options)

    def check_leads(self, epoch: int = ANY_EPOCH) -> None:
        """Raise unless this broker leads the partition in `epoch`."""
        if self._leading is None:
            raise self._not_leader(self._state)
        if epoch not in {ANY_EPOCH, self.leader_epoch}:
            raise self._of_another_epoch(epoch)

    def _of_another_epoch(self, epoch: int) -> LogError:
        current = self.leader_epoch
        kind = FencedLeaderEpochError if epoch < current else UnknownLeaderEpochError
        return kind(f"{self.topic_partition} is in epoch {current}, not {epoch}")

    def _not_leader(self, state: PartitionState | None) -> LogError:
        if state is None or state.leader == NO_LEADER:
            return leaderless(self.topic_partition, state)
        return NotLeaderOrFollowerError(
            f"{self.topic_partition} is led by broker {state.leader}", leader_id=state.leader
        )

    def _stand_back(self) -> None:
        self._leading = None
        self._keep_recent()
        self._acks.fail(
            NotLeaderOrFollowerError(
                f"Broker {self._own_id} stopped leading {self.topic_partition}"
            )
        )
        self.readers.wake()

    def _tell_watchers(self) -> None:
        for watcher in tuple(self.watchers):
            watcher.moved(self)

    # -- writing --------------------------------------------------------------------------------

    def append(
        self, batches: Buffer, headers: Sequence[BatchHeader], *, acks_all: bool
    ) -> Appended:
        """Append batches that were validated and are `as_stored`, all or none of them.

        They are of one producer. Those of an idempotent one that were stored before are not stored
        again: that gives where they are.

        Raises:
            LogError: the broker does not lead, too few replicas are in sync, a sequence does not
                follow, a timestamp is out of bounds, or the disk refuses.
        """
        self.check_leads()
        if acks_all:
            self._check_enough_replicas()
            self._acks.check_room()
        settings = self._settings
        before: Appended | None = None
        if headers[0].producer_id != NO_PRODUCER_ID:
            before, batches, headers = self._without_stored(batches, headers)
            if before is not None and not headers:
                return before
        if settings.bounds_timestamps:
            batch_rules.check_timestamps(headers, settings, self._clock.wall_ms())
        log_append_time = NO_TIMESTAMP
        if settings.stamps_log_append_time:
            log_append_time = self._clock.wall_ms()
            batches, headers = batch_rules.stamped(batches, headers, log_append_time)
        base_offset = self.log.append(batches, headers, self.leader_epoch)
        self._on_append(self, acks_all or self.readers.are_waiting)
        if not self._waits_for_flush:
            self._advance()
        if self.watchers:
            self._tell_watchers()
        end_offset = self.log.end_offset
        appended = Appended(base_offset, end_offset, log_append_time, end_offset - base_offset)
        return appended if before is None else joined(before, appended)

    def _without_stored(
        self, batches: Buffer, headers: Sequence[BatchHeader]
    ) -> tuple[Appended | None, Buffer, Sequence[BatchHeader]]:
        """Where the first ones of an idempotent producer's batches are, if stored; and the rest."""
        producers = self.log.producers
        producers.now_ms = self._clock.wall_ms()
        try:
            stored = producers.stored(headers)
        except UnknownProducerIdError as error:
            # With it the producer can tell that its records are not lost but deleted.
            start = self.log.start_offset
            raise UnknownProducerIdError(error.detail, log_start_offset=start) from None
        if not stored:
            return None, batches, headers
        before = stored_before(stored, has_append_time=self._settings.stamps_log_append_time)
        size = sum(header.size for header in headers[: len(stored)])
        return before, memoryview(batches)[size:], headers[len(stored) :]

    def append_built(self, batch: Buffer, header: BatchHeader, *, acks_all: bool) -> Appended:
        """Append a batch that this broker built from a client's records.

        Raises:
            LogError: as `append` and `as_stored`.
        """
        batch, header = self.as_stored(batch, header)
        return self.append(batch, (header,), acks_all=acks_all)

    def as_stored(self, batch: Buffer, header: BatchHeader) -> tuple[Buffer, BatchHeader]:
        """One whole batch, compressed as the topic wants it. May run in any thread.

        Raises:
            MessageTooLargeError: it is larger than the topic takes, as it is or once it is so.
        """
        return batch_rules.as_stored(batch, header, self._settings)

    def committed(self, end_offset: int, timeout_ms: int) -> asyncio.Future[None] | None:
        """Done when every record below `end_offset` is on all in-sync replicas; None: it is so.

        It fails with RequestTimedOutError, or with why it can no longer happen here.
        """
        if self._high_watermark >= end_offset:
            return None
        return self._acks.wait(end_offset, timeout_ms)

    def _check_enough_replicas(self) -> None:
        in_sync = len(self.isr)
        if in_sync < self._settings.min_insync_replicas:
            raise NotEnoughReplicasError(
                f"{self.topic_partition} has {in_sync} in-sync replicas, "
                f"min.insync.replicas is {self._settings.min_insync_replicas}"
            )

    # -- flushing -------------------------------------------------------------------------------

    def on_flushed(self) -> None:
        """The log's durable end offset moved."""
        if self._waits_for_flush:
            self._following.on_flushed()
            self._advance()

    def on_flush_failed(self, error: KafkaStorageError) -> None:
        """The log can no longer promise anything: nobody may wait for it."""
        self._acks.fail(error)
        self._following.fail(error)
        self.readers.wake()
        self._tell_watchers()

    def _advance(self) -> None:
        leading = self._leading
        if leading is None:
            return
        end = self.log.durable_end_offset if self._waits_for_flush else self.log.end_offset
        advanced = leading.advance(end)
        if advanced > self._high_watermark:
            self._high_watermark = advanced
            if self.log.recent is not None:
                self.log.recent.drop_below(advanced)
            self._acks.release(advanced, self._too_few_in_sync())
            self.readers.wake()
            if self.watchers:
                self._tell_watchers()

    def _too_few_in_sync(self) -> LogError | None:
        """What those are told whose records the in-sync replicas have, but too few those are."""
        in_sync, needed = len(self.isr), self._settings.min_insync_replicas
        if in_sync >= needed:
            return None
        return NotEnoughReplicasAfterAppendError(
            f"The records are in the log of {self.topic_partition}, but it has {in_sync} in-sync "
            f"replicas by now, min.insync.replicas is {needed}"
        )

    # -- leading: its followers -----------------------------------------------------------------

    def read_replica(
        self, follower: BrokerId, broker_epoch: int, position: Position, max_bytes: int
    ) -> ReplicaRead:
        """What a follower that stands at `position` gets, after noting what that tells of it.

        Batches go up to the end of the log, flushed or not. With no `max_bytes` it is noted only.

        Raises:
            LogError: this broker does not lead in the follower's epoch; the follower is no replica;
                the log does not reach there (the error has the leader's `log_start_offset`), is
                damaged there, or the disk failed.
        """
        leading = self._leading
        if leading is None:
            raise self._not_leader(self._state)
        epoch = self.leader_epoch
        if position.leader_epoch != epoch:
            raise self._of_another_epoch(position.leader_epoch)
        log = self.log
        now_ms = self._clock.monotonic_ms()
        diverging, is_due = take_fetch(log, leading, follower, broker_epoch, position, now_ms)
        piece = None
        if diverging is None:
            self._advance()
            if is_due:
                self._on_isr_due(self)
            piece = records_for(log, leading, follower, position.offset, max_bytes)
        return ReplicaRead(piece, diverging, self._high_watermark, log.start_offset, epoch)

    def isr_change(
        self, now_ms: int, last_fetch_ms: LastFetch, brokers: Mapping[BrokerId, Broker]
    ) -> StateChange | None:
        """The change of the in-sync replicas that is to be written now, if any.

        It is pending until `isr_written` tells what is stored: as long as that is unknown, the same
        one is given again, unless whom it adds may join no more. To be asked at least every half
        of replica.lag.time.max.ms.

        Args:
            now_ms: monotonic time.
            last_fetch_ms: when the session of a broker fetched last, None if it has none.
            brokers: the registered ones.
        """
        if self._leading is None:
            return None
        change = self._leading.propose(self.log.end_offset, now_ms, last_fetch_ms, brokers)
        self._advance()  # it may wait for fewer by now
        if change is None:
            return None
        return StateChange(
            self.topic_partition, change.state, change.expected_version, self.log.topic_id
        )

    def isr_written(self, state: PartitionState | None) -> None:
        """What the store says is true after a change was written, or found to be too late."""
        if state is None or self._leading is None:
            return  # the topic is gone, or another leads: more is heard of that soon
        if state.leader != self._own_id or state.leader_epoch == self.leader_epoch:
            self.apply(state, self._replicas)

    # -- following a leader ---------------------------------------------------------------------

    def position(self) -> Position:
        """What to fetch from the leader that it follows."""
        return self._following.position(LeaderEpoch(self.leader_epoch))

    def take(self, result: FetchResult, headers: Sequence[BatchHeader]) -> None:
        """Do what an answer of the leader asks for; one of another epoch changes nothing.

        Args:
            result: what the leader gave for this partition.
            headers: of its batches, which are intact.

        Raises:
            CorruptMessageError: the batches do not continue the log; it is to be fetched again.
            KafkaStorageError: the disk is full or failed.
        """
        if self.leader_to_follow is None or result.leader_epoch != self.leader_epoch:
            return
        log = self.log
        # Of a log that diverges it is not known where: nothing more of it is the leader's.
        diverges = result.diverging_end_offset != NO_OFFSET
        leaders = NO_OFFSET if diverges else result.high_watermark
        if headers:
            log.producers.now_ms = self._clock.wall_ms()
        try:
            self._following.take(result, headers)
            if headers:
                self.refusal = None
        except KafkaStorageError as error:
            self.refusal = error
            raise
        finally:
            committed = max(self._high_watermark, min(leaders, self._following.sound_end))
            self._high_watermark = min(max(committed, log.start_offset), log.end_offset)
            if log.records_since_flush:
                self._on_append(self, True)

    def flushing(self) -> asyncio.Future[None] | None:
        """Done once all that it holds is as durable as the policy asks for; None: it is so.

        It fails with a LogError when the log does, or when the partition goes.
        """
        future = self._following.flushing()
        if future is not None and not future.done():
            self._on_append(self, True)
        return future

    # -- reading --------------------------------------------------------------------------------

    def read(self, offset: int, max_bytes: int, *, epoch: int = ANY_EPOCH) -> LogRead | None:
        """Whole batches from the one that holds `offset`, all below the high watermark.

        None when there is no whole one yet. An offset between the high watermark and the end is not
        out of range: a new leader's high watermark may be behind what the old one had shown.

        Raises:
            LogError: not the leader, out of range, a damaged stretch of the log, or above its end
                while a new leader cannot tell the latest offset.
        """
        self.check_leads(epoch)
        if not self.log.start_offset <= offset <= self.log.end_offset:
            if offset > self.log.end_offset:
                self.check_offsets_available()  # or the reader would begin at a wrong end
            raise OffsetOutOfRangeError(
                f"{self.topic_partition} holds {self.log.start_offset} to {self._high_watermark}, "
                f"not {offset}",
                log_start_offset=self.log.start_offset,
                high_watermark=self._high_watermark,
            )
        if offset >= self._high_watermark:
            return None
        found = self.log.read(offset, max_bytes, self._high_watermark)
        # A batch is not cut, whatever a follower says that it has. Nothing must not be taken for
        # something: who reads on from its end would never get anywhere.
        return found if found.size else None

    def check_offsets_available(self) -> None:
        """Raise unless the latest offset can be told.

        Raises:
            OffsetNotAvailableError: this leader's high watermark may still be behind one that the
                leader before it had shown.
        """
        leading = self._leading
        if leading is not None and self._high_watermark < leading.epoch_start:
            raise OffsetNotAvailableError(
                f"The high watermark of {self.topic_partition}, {self._high_watermark}, has not "
                f"reached {leading.epoch_start}, where its leader's epoch begins"
            )

    def inspect(self, offset: int, error: CorruptMessageError) -> NoReturn:
        """Find out what is wrong about a batch at `offset` that did not make sense.

        Raises:
            CorruptMessageError: naming the damaged offsets, where there are any, else `error`.
        """
        self.log.inspect(offset)
        self.log.read(offset, 0, self._high_watermark)
        raise error

    def delete_records(self, before: int) -> int:
        """Move the log start offset to `before`, or to the high watermark; gives the new one."""
        self.check_leads()
        target = self._high_watermark if before == TO_HIGH_WATERMARK else before
        if not 0 <= target <= self._high_watermark:
            raise OffsetOutOfRangeError(
                f"Records of {self.topic_partition} can be deleted up to {self._high_watermark}, "
                f"not {target}"
            )
        self.log.advance_start_offset(max(target, self.log.start_offset))
        self._tell_watchers()
        return self.log.start_offset
