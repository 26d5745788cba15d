"""The leader's side of a partition: what followers are given, and what their fetches tell."""

from typing import Final, NamedTuple

from kafkalite.model.errors import OffsetOutOfRangeError
from kafkalite.model.ids import BrokerId
from kafkalite.replication.divergence import Divergence, divergence
from kafkalite.replication.leader_replica import LeaderReplica
from kafkalite.replication.position import Position
from kafkalite.storage.log import Log
from kafkalite.storage.log_read import LogRead
from kafkalite.storage.recent_batches import RecentRead

_PIECE_BYTES: Final = 256 << 10
"""Read from the disk at once, so that a large answer does not stall the loop."""


class ReplicaRead(NamedTuple):
    """What a follower gets: records from its position on, or where its log diverges, or neither."""

    piece: LogRead | RecentRead | None
    diverging: Divergence | None
    high_watermark: int
    log_start_offset: int
    leader_epoch: int


class FetchTaken(NamedTuple):
    """What a leader makes of a follower's fetch before it gives anything."""

    diverging: Divergence | None
    is_isr_due: bool
    """Whether the in-sync replicas may have to change."""


def take_fetch(
    log: Log,
    replica: LeaderReplica,
    follower: BrokerId,
    broker_epoch: int,
    position: Position,
    now_ms: int,
) -> FetchTaken:
    """Note what a fetch in the leader's own epoch tells of the follower.

    Raises:
        UnknownTopicOrPartitionError: it is no replica.
        StaleBrokerEpochError: it is from an earlier incarnation of the broker.
    """
    replica.check_replica(follower, broker_epoch)
    found = None
    if position.offset >= log.start_offset:
        found = divergence(log, position)
    # Of a log that diverges nothing is known to be the leader's; nor above the leader's end.
    if found is not None or position.offset > log.end_offset:
        return FetchTaken(found, is_isr_due=False)
    is_due = replica.note_fetch(
        follower,
        broker_epoch,
        position.offset,
        log.end_offset,
        now_ms,
        is_damaged=position.is_damaged,
    )
    return FetchTaken(None, is_due)


def records_for(
    log: Log, replica: LeaderReplica, follower: BrokerId, offset: int, max_bytes: int
) -> LogRead | RecentRead | None:
    """Batches from `offset` up to the end of the log; None: there are none, or none for it.

    Raises:
        OffsetOutOfRangeError: the log does not reach there; with the leader's `log_start_offset`.
        CorruptMessageError: the leader's log is damaged there.
        KafkaStorageError: the disk failed.
    """
    if not log.start_offset <= offset <= log.end_offset:
        raise OffsetOutOfRangeError(
            f"{log.topic_partition} holds {log.start_offset} to {log.end_offset}, not {offset}",
            log_start_offset=log.start_offset,
            high_watermark=replica.high_watermark,
        )
    if offset == log.end_offset or max_bytes <= 0 or not replica.gives_records_to(follower):
        return None
    return read_tail(log, offset, max_bytes)


def read_tail(log: Log, offset: int, max_bytes: int) -> LogRead | RecentRead:
    """Some of the batches from `offset` up to the log's end; from memory what is there."""
    if log.recent is not None:
        found = log.recent.find(offset, max_bytes)
        if found is not None:
            return found
    return log.read(offset, min(max_bytes, _PIECE_BYTES), log.end_offset)
