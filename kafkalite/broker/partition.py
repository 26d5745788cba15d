"""One partition on this broker: its log, its place in the cluster, and those who wait for it."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, NoReturn

from kafkalite.broker.waiters import AckWaiters, ReadWaiters
from kafkalite.config.topic_config import TopicSettings
from kafkalite.config.views import FlushPolicy
from kafkalite.model.clock import Clock
from kafkalite.model.cluster import PartitionState
from kafkalite.model.errors import (
    CorruptMessageError,
    FencedLeaderEpochError,
    InvalidTimestampError,
    KafkaStorageError,
    LeaderNotAvailableError,
    LogError,
    MessageTooLargeError,
    NotEnoughReplicasError,
    NotLeaderOrFollowerError,
    OffsetOutOfRangeError,
    UnknownLeaderEpochError,
)
from kafkalite.model.ids import ANY_EPOCH, NO_EPOCH, NO_LEADER, BrokerId, TopicPartition
from kafkalite.model.offsets import LogOffsets
from kafkalite.model.record import NO_TIMESTAMP
from kafkalite.replication import high_watermark
from kafkalite.storage.log import Log
from kafkalite.storage.log_read import LogRead
from kafkalite.wire.batch import BatchHeader, Buffer, header_at, read_headers
from kafkalite.wire.restamp import recompress, with_log_append_time

TO_HIGH_WATERMARK: Final = -1
"""Where records shall be deleted up to the high watermark, as Kafka's tools say it."""


class Appended(NamedTuple):
    """What an append made: offsets `base_offset <= offset < end_offset`."""

    base_offset: int
    end_offset: int
    log_append_time: int
    """Milliseconds since the epoch, or NO_TIMESTAMP where the records keep their own time."""


class Partition:
    """Owns one log and decides who may write and read it.

    Lives on the event loop, without locks; `on_append` tells the owner that bytes wait to be
    flushed. Made when its log is open; leads while the state that it was told last names this
    broker; dropped with its log.
    """

    __slots__ = (
        "_acks", "_clock", "_high_watermark", "_on_append", "_own_id", "_settings", "_state",
        "_waits_for_flush", "log", "readers", "topic_partition",
    )  # fmt: skip

    def __init__(
        self,
        log: Log,
        settings: TopicSettings,
        flush_policy: FlushPolicy,
        own_id: BrokerId,
        clock: Clock,
        *,
        initial_high_watermark: int,
        on_append: Callable[["Partition", bool], None],
    ) -> None:
        self.topic_partition: TopicPartition = log.topic_partition
        self.log = log
        self.readers = ReadWaiters()
        self._acks = AckWaiters()
        self._settings = settings
        self._own_id = own_id
        self._clock = clock
        self._on_append = on_append
        self._state: PartitionState | None = None
        # Under `commit` the high watermark counts durable ends, else appended ones.
        self._waits_for_flush = flush_policy is FlushPolicy.COMMIT
        self._high_watermark = min(max(initial_high_watermark, log.start_offset), log.end_offset)

    # -- its place in the cluster ---------------------------------------------------------------

    @property
    def offsets(self) -> LogOffsets:
        return LogOffsets(self.log.start_offset, self._high_watermark, self.log.end_offset)

    @property
    def settings(self) -> TopicSettings:
        return self._settings

    @property
    def leader_epoch(self) -> int:
        """Epoch of the last state seen; NO_EPOCH before there was one."""
        return self._state.leader_epoch if self._state else NO_EPOCH

    @property
    def is_leader(self) -> bool:
        return self._state is not None and self._state.leader == self._own_id

    def apply(self, state: PartitionState) -> None:
        """Follow a state of the cluster: lead when it names this broker, else stand back."""
        if self._state is not None and state.leader_epoch < self._state.leader_epoch:
            return
        self._state = state
        if state.leader == self._own_id:
            self.log.begin_epoch(state.leader_epoch)
            self._advance()
            # What the log holds may not be durable yet, and nobody else would flush it.
            self._on_append(self, True)
        else:
            self._stand_back()

    def follows(self, state: PartitionState | None) -> bool:
        """Whether `state` is what it acts on."""
        return state is not None and self._state == state

    def step_down(self) -> None:
        """Stop leading because the session with ZooKeeper is lost, whatever the last state said."""
        self._state = None
        self._stand_back()

    def close(self, error: LogError) -> None:
        """Turn away everyone who waits: the partition leaves this broker."""
        self._state = None
        self._acks.fail(error)
        self.readers.wake()

    def reconfigure(self, settings: TopicSettings) -> None:
        self._settings = settings
        self.log.reconfigure(settings.log_options)

    def check_leads(self, epoch: int = ANY_EPOCH) -> None:
        """Raise unless this broker leads the partition in `epoch`."""
        state = self._state
        if state is None or state.leader != self._own_id:
            raise self._not_leader(state)
        if epoch not in {ANY_EPOCH, state.leader_epoch}:
            kind = FencedLeaderEpochError if epoch < state.leader_epoch else UnknownLeaderEpochError
            raise kind(f"{self.topic_partition} is in epoch {state.leader_epoch}, not {epoch}")

    def _not_leader(self, state: PartitionState | None) -> LogError:
        if state is None or state.leader == NO_LEADER:
            return LeaderNotAvailableError(f"{self.topic_partition} has no leader at the moment")
        return NotLeaderOrFollowerError(
            f"{self.topic_partition} is led by broker {state.leader}", leader_id=state.leader
        )

    def _stand_back(self) -> None:
        self._acks.fail(
            NotLeaderOrFollowerError(
                f"Broker {self._own_id} stopped leading {self.topic_partition}"
            )
        )
        self.readers.wake()

    # -- writing --------------------------------------------------------------------------------

    def append(
        self, batches: Buffer, headers: Sequence[BatchHeader], *, acks_all: bool
    ) -> Appended:
        """Append batches that were validated and are `as_stored`, all or none of them.

        Raises:
            LogError: the broker does not lead, too few replicas are in sync, a timestamp is out
                of bounds, or the disk refuses.
        """
        self.check_leads()
        if acks_all:
            self._check_enough_replicas()
            self._acks.check_room()
        settings = self._settings
        if settings.bounds_timestamps:
            self._check_timestamps(headers)
        log_append_time = NO_TIMESTAMP
        if settings.stamps_log_append_time:
            log_append_time = self._clock.wall_ms()
            batches, headers = _stamped(batches, headers, log_append_time)
        base_offset = self.log.append(batches, headers, self.leader_epoch)
        self._on_append(self, acks_all or self.readers.are_waiting)
        if not self._waits_for_flush:
            self._advance()
        return Appended(base_offset, self.log.end_offset, log_append_time)

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
        self._check_size(batch)
        codec = self._settings.compression
        if codec is not None and header.compression != codec:
            batch = recompress(batch, codec)
            header = header_at(batch, 0)
            self._check_size(batch)
        return batch, header

    def _check_size(self, batch: Buffer) -> None:
        if len(batch) > self._settings.max_message_bytes:
            raise MessageTooLargeError(
                f"A batch of {len(batch)} bytes, as {self.topic_partition} stores it, is more than "
                f"{self._settings.max_message_bytes} (max.message.bytes)"
            )

    def committed(self, end_offset: int, timeout_ms: int) -> asyncio.Future[None] | None:
        """Done when every record below `end_offset` is on all in-sync replicas; None: it is so.

        It fails with RequestTimedOutError, or with why it can no longer happen here.
        """
        if self._high_watermark >= end_offset:
            return None
        return self._acks.wait(end_offset, timeout_ms)

    def _check_enough_replicas(self) -> None:
        in_sync = len(self._state.isr) if self._state else 0
        if in_sync < self._settings.min_insync_replicas:
            raise NotEnoughReplicasError(
                f"{self.topic_partition} has {in_sync} in-sync replicas, "
                f"min.insync.replicas is {self._settings.min_insync_replicas}"
            )

    def _check_timestamps(self, headers: Sequence[BatchHeader]) -> None:
        now = self._clock.wall_ms()
        earliest = now - self._settings.timestamp_before_max_ms
        latest = now + self._settings.timestamp_after_max_ms
        for header in headers:
            if header.base_timestamp < earliest or header.max_timestamp > latest:
                raise InvalidTimestampError(
                    f"Timestamps {header.base_timestamp} to {header.max_timestamp} are outside "
                    f"of what {self.topic_partition} accepts, {earliest} to {latest}"
                )

    # -- flushing -------------------------------------------------------------------------------

    def on_flushed(self) -> None:
        """The log's durable end offset moved."""
        if self._waits_for_flush:
            self._advance()

    def on_flush_failed(self, error: KafkaStorageError) -> None:
        """The log can no longer promise anything: nobody may wait for it."""
        self._acks.fail(error)
        self.readers.wake()

    def _advance(self) -> None:
        if not self.is_leader:
            return
        end = self.log.durable_end_offset if self._waits_for_flush else self.log.end_offset
        advanced = high_watermark.advance(self._high_watermark, end)
        if advanced > self._high_watermark:
            self._high_watermark = advanced
            self._acks.release(advanced)
            self.readers.wake()

    # -- reading --------------------------------------------------------------------------------

    def read(self, offset: int, max_bytes: int, *, epoch: int = ANY_EPOCH) -> LogRead | None:
        """Whole batches from the one that holds `offset`, all below the high watermark.

        None when there is nothing to read yet. An offset between the high watermark and the end is
        not out of range: a new leader's high watermark may be behind what the old one had shown.

        Raises:
            LogError: not the leader, out of range, or a damaged stretch of the log.
        """
        self.check_leads(epoch)
        if not self.log.start_offset <= offset <= self.log.end_offset:
            raise OffsetOutOfRangeError(
                f"{self.topic_partition} holds {self.log.start_offset} to {self._high_watermark}, "
                f"not {offset}",
                log_start_offset=self.log.start_offset,
                high_watermark=self._high_watermark,
            )
        if offset >= self._high_watermark:
            return None
        return self.log.read(offset, max_bytes, self._high_watermark)

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
        return self.log.start_offset


def _stamped(
    batches: Buffer, headers: Sequence[BatchHeader], now_ms: int
) -> tuple[Buffer, list[BatchHeader]]:
    """Batches back to back, with `now_ms` as the time of all their records."""
    view = memoryview(batches)
    stamped = bytearray()
    position = 0
    for header in headers:
        stamped += with_log_append_time(view[position : position + header.size], now_ms)
        position += header.size
    return stamped, read_headers(stamped)
