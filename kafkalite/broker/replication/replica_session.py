"""The leader's side of one follower's fetch session: where it stands, and what it has to hear of.

A partition in the session is in one of these states:
  - due: the follower may have to hear of it, so that it is looked at;
  - answered: the follower was given something and has not named it since, so that there is nothing
    more to say whatever happens to it;
  - quiet: the follower knows all there is but, perhaps, for moved offsets. Those are told with the
    next answer and cause none themselves.
Whoever appends moves quiet partitions to due: a fetch costs what has changed, not what there is.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from kafkalite.broker.partition import Partition
from kafkalite.broker.partition_read import PartitionRead
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.broker.replication.leading import ReplicaRead, read_tail
from kafkalite.broker.replication.throttle import ReplicationThrottle
from kafkalite.model.errors import (
    FetchSessionIdNotFoundError,
    InconsistentTopicIdError,
    KafkaStorageError,
    LogError,
)
from kafkalite.model.ids import NO_EPOCH, BrokerId, LeaderEpoch, TopicPartition
from kafkalite.model.offsets import NO_OFFSET
from kafkalite.replication.position import Position
from kafkalite.storage.log_read import LogRead
from kafkalite.storage.recent_batches import RecentRead
from kafkalite.wire.messages import FIRST_OF_SESSION, FetchPartition, FetchRequest

_TURNS_BEFORE_ANSWER: Final = 3
"""Between the first news and the answer: what else has arrived by then comes with it."""
_LOOKS_A_TURN: Final = 100
"""Partitions looked at before others have their turn."""

_log = logging.getLogger(__name__)


class Cursor:
    """Where a follower stands in one partition, and what it was told."""

    __slots__ = (
        "error", "given", "has_been_noted", "inspected", "is_answered", "max_bytes", "position",
        "told", "topic_id", "topic_partition", "watched",
    )  # fmt: skip

    def __init__(self, topic_partition: TopicPartition) -> None:
        self.topic_partition = topic_partition
        self.position = Position(0, NO_EPOCH, LeaderEpoch(NO_EPOCH))
        self.topic_id = ""
        """Whose position that is: a topic that was created anew begins in the same epochs."""
        self.max_bytes = 0
        self.has_been_noted = False
        """Whether the partition knows of this position."""
        self.is_answered = False
        self.error: type[LogError] | None = None
        """What it was told is wrong; it need not hear the same again."""
        self.told = (NO_OFFSET, NO_OFFSET)
        """The high watermark and the log start offset that it knows."""
        self.watched: Partition | None = None
        self.given: Position | None = None
        """Where it stood when it was given records last."""
        self.inspected: Position | None = None
        """Where it could not use them, so that they were looked at: they may be damaged here."""

    @property
    def is_doubtful(self) -> bool:
        """Whether it stands where it stood before it was given records, and nobody knows why."""
        return self.given == self.position != self.inspected

    def check_topic(self, topic_id: str) -> None:
        """Raise InconsistentTopicIdError unless the position is in a log of that very topic."""
        if self.topic_id != topic_id:
            raise InconsistentTopicIdError(
                f"The log of {self.topic_partition} is of the topic {topic_id} at its leader, and "
                f"of {self.topic_id or 'an unknown one'} at its follower"
            )

    def place(self, position: Position) -> None:
        """It names where it stands."""
        self.position = position
        self.has_been_noted = self.is_answered = False
        self.error = None


class _Found:
    """What there is to say, as it is gathered for one answer."""

    __slots__ = ("held_ms", "left", "reads", "share")

    def __init__(self, max_bytes: int, partitions: int) -> None:
        self.reads: list[PartitionRead] = []
        self.left = max_bytes
        """Bytes of batches that still fit."""
        self.share = max_bytes // max(partitions, 1)
        """The least of them that each partition may fill."""
        self.held_ms: int | None = None
        """When to look for what the throttle holds back."""

    def hold(self, milliseconds: int) -> None:
        """Something is held back for so long."""
        held_ms = self.held_ms
        self.held_ms = milliseconds if held_ms is None else min(milliseconds, held_ms)


class ReplicaSession:
    """One follower's session; a ReplicaWatcher of its partitions. Owned by ReplicaSessions.

    Lives on the event loop. One request is in work at a time; `close` ends it, and whatever waits.
    """

    def __init__(
        self,
        replica_id: BrokerId,
        broker_epoch: int,
        partitions: PartitionTable,
        throttle: ReplicationThrottle,
    ) -> None:
        self.broker_epoch = broker_epoch
        """Of the follower's registration."""
        self.epoch = FIRST_OF_SESSION
        """Of the request that is, or was last, in work."""
        self.last_fetch_ms = 0
        """When the last request came, monotonic."""
        self._replica_id = replica_id
        self._partitions = partitions
        self._throttle = throttle
        self._cursors: dict[TopicPartition, Cursor] = {}
        self._due: dict[TopicPartition, Cursor] = {}
        """In the order in which they are looked at, who waits longest first."""
        self._moved: dict[TopicPartition, Cursor] = {}
        """Quiet ones whose offsets the follower should be told, at its leisure."""
        self._wakeup: asyncio.Future[None] | None = None
        self._has_news = False
        """Whether something became due since it was last looked."""
        self._is_hurried = self._is_next_hurried = False
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._cursors)

    def __contains__(self, topic_partition: TopicPartition) -> bool:
        """Whether the follower follows that partition here."""
        return topic_partition in self._cursors

    # -- what happens ---------------------------------------------------------------------------

    def moved(self, partition: Partition) -> None:
        """As ReplicaWatcher: a partition's end, offsets or state moved."""
        topic_partition = partition.topic_partition
        cursor = self._cursors.get(topic_partition)
        if cursor is None or cursor.is_answered:
            return
        position = cursor.position
        if (
            partition.log.end_offset <= position.offset
            and partition.leader_epoch == position.leader_epoch
            and partition.is_leader
            and cursor.error is None
        ):
            self._moved[topic_partition] = cursor
            return
        self._due[topic_partition] = cursor
        self._wake()

    def hurry(self, epoch: int) -> None:
        """Let a request be answered at once with what there is: that which waits, or the next one.

        The latter where this, on a connection of its own, was faster than what it hurries.
        """
        if epoch == self.epoch:
            self._is_hurried = True
            self._wake()
        elif epoch == self.epoch + 1:
            self._is_next_hurried = True

    def close(self) -> None:
        """End the session: the request that waits is refused, and no partition tells it more."""
        self._is_closed = True
        for cursor in self._cursors.values():
            self._watch(cursor, None)
        self._cursors.clear()
        self._due.clear()
        self._moved.clear()
        self._wake()

    def _wake(self) -> None:
        self._has_news = True
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)

    # -- a request ------------------------------------------------------------------------------

    def take_in(self, request: FetchRequest) -> None:
        """Take in what the request says that is due; what is to be said to it is for `answer`."""
        self._is_hurried, self._is_next_hurried = self._is_next_hurried, False
        for gone in request.forgotten:
            self._forget(TopicPartition(gone.topic, gone.partition))
        for entry in request.partitions:
            self._place(entry)

    def answer_now(self, max_bytes: int) -> list[PartitionRead] | None:
        """As `answer` does; None where there is nothing to say yet, or too much to look through."""
        due = list(self._due.values())
        if len(due) > _LOOKS_A_TURN:
            return None
        found = _Found(max_bytes, len(due))
        self._look_at(due, found)
        return self._with_moved(found.reads) if found.reads or self._is_hurried else None

    async def answer(self, max_bytes: int, wait_ms: int) -> list[PartitionRead]:
        """Wait until there is something to say to what was taken in, and say it.

        Args:
            max_bytes: a bound on the batches; one batch is given however large it is.
            wait_ms: how long to wait while there is nothing to say but moved offsets.

        Raises:
            FetchSessionIdNotFoundError: the session was closed meanwhile.
        """
        self._check_open()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_ms / 1000
        while True:
            self._has_news = False
            found = await self._look_at_due(max_bytes)
            now = loop.time()
            if found.reads or self._is_hurried or now >= deadline:
                return self._with_moved(found.reads)
            if not self._has_news:
                held_ms = found.held_ms
                until = deadline if held_ms is None else now + held_ms / 1000
                await self._wait(min(until, deadline))
            self._check_open()

    async def _wait(self, deadline: float) -> None:
        loop = asyncio.get_running_loop()
        wakeup = self._wakeup = loop.create_future()
        timer = loop.call_at(deadline, self._wake)
        try:
            await wakeup
        finally:
            timer.cancel()
            self._wakeup = None
        for _ in range(_TURNS_BEFORE_ANSWER):
            await asyncio.sleep(0)

    def _check_open(self) -> None:
        if self._is_closed:
            raise FetchSessionIdNotFoundError(
                f"The session of broker {self._replica_id} was ended, or begun anew"
            )

    def _place(self, entry: FetchPartition) -> None:
        topic_partition = TopicPartition(entry.topic, entry.partition)
        cursor = self._cursors.get(topic_partition)
        if cursor is None:
            cursor = self._cursors[topic_partition] = Cursor(topic_partition)
        cursor.place(
            Position(
                entry.offset,
                LeaderEpoch(entry.last_fetched_epoch),
                LeaderEpoch(entry.leader_epoch),
                entry.is_damaged,
            )
        )
        cursor.topic_id = entry.topic_id
        cursor.max_bytes = entry.max_bytes
        # Behind those that have waited for room in an answer.
        self._due.pop(topic_partition, None)
        self._due[topic_partition] = cursor

    def _with_moved(self, reads: list[PartitionRead]) -> list[PartitionRead]:
        """`reads`, and the offsets that moved of other partitions than theirs."""
        if not self._moved:
            return reads
        told = {(read.topic, read.partition) for read in reads}
        for topic_partition, cursor in self._moved.items():
            partition = cursor.watched
            if partition is None or cursor.is_answered or topic_partition in told:
                continue
            start, high_watermark, _ = partition.offsets
            cursor.told = high_watermark, start
            reads.append(
                PartitionRead(
                    *topic_partition, (), *cursor.told, leader_epoch=partition.leader_epoch
                )
            )
        self._moved.clear()
        return reads

    def _forget(self, topic_partition: TopicPartition) -> None:
        cursor = self._cursors.pop(topic_partition, None)
        if cursor is not None:
            self._watch(cursor, None)
            self._due.pop(topic_partition, None)
            self._moved.pop(topic_partition, None)

    def _watch(self, cursor: Cursor, partition: Partition | None) -> None:
        if cursor.watched is not partition:
            if cursor.watched is not None:
                cursor.watched.watchers.discard(self)
            if partition is not None:
                partition.watchers.add(self)
            cursor.watched = partition

    # -- what there is to say -------------------------------------------------------------------

    async def _look_at_due(self, max_bytes: int) -> _Found:
        """What is due and fits."""
        due = list(self._due.values())
        found = _Found(max_bytes, len(due))
        for begin in range(0, len(due), _LOOKS_A_TURN):
            if begin:
                await asyncio.sleep(0)
                self._check_open()
            self._look_at(due[begin : begin + _LOOKS_A_TURN], found)
        return found

    def _look_at(self, due: Sequence[Cursor], found: _Found) -> None:
        for cursor in due:
            if found.left <= 0 and cursor.has_been_noted:
                continue  # it is looked at first next time
            partition = cursor.watched
            is_throttled = partition is not None and self._is_throttled(partition)
            held_ms = self._throttle.wait_ms() if is_throttled else 0
            if held_ms:
                if cursor.has_been_noted:
                    found.hold(held_ms)
                    continue
                limit = 0
            elif is_throttled or partition is None:
                limit = min(cursor.max_bytes, found.left)
            else:
                # What it asks for keeps one partition from taking the room of others, so it does
                # not count where they have nothing. What is throttled, though, is to come evenly.
                limit = min(max(cursor.max_bytes, found.share), found.left)
            read = self._look(cursor, max(limit, 0))
            if read is not None:
                found.left -= read.size
                found.reads.append(read)

    def _is_throttled(self, partition: Partition) -> bool:
        state = partition.state
        if state is None or self._replica_id in state.isr:
            return False
        number = partition.topic_partition.partition
        return partition.settings.leader_throttled.covers(number, state.leader)

    def _look(self, cursor: Cursor, limit: int) -> PartitionRead | None:
        """What the follower must hear of one partition; no more batches than `limit` bytes.

        With no limit its position is noted only, and the partition stays due if it has more.
        """
        topic, number = topic_partition = cursor.topic_partition
        epoch = NO_EPOCH
        try:
            partition = self._partitions.get(topic, number)
            self._watch(cursor, partition)
            epoch = partition.leader_epoch
            cursor.check_topic(partition.log.topic_id)
            if cursor.is_doubtful:
                cursor.inspected = cursor.position
                partition.log.inspect(cursor.position.offset)
            found = partition.read_replica(
                self._replica_id, self.broker_epoch, cursor.position, limit
            )
            pieces = _pieces(partition, found, limit)
        except Exception as unforeseen:  # noqa: BLE001 - the follower's other partitions go on
            error = _known(topic_partition, unforeseen)
            self._due.pop(topic_partition, None)
            cursor.has_been_noted = True
            if cursor.error is type(error):
                return None
            cursor.error = type(error)
            return PartitionRead(topic, number, error=error, leader_epoch=epoch)
        was_wrong, cursor.error = cursor.error is not None, None
        cursor.has_been_noted = True
        offsets = found.high_watermark, found.log_start_offset
        if found.diverging is None and not pieces:
            if limit or partition.log.end_offset <= cursor.position.offset:
                self._due.pop(topic_partition, None)
            if was_wrong or cursor.told != offsets:
                self._moved[topic_partition] = cursor
            return None
        del self._due[topic_partition]
        # A follower that diverges has no use for them yet.
        cursor.told = offsets if found.diverging is None else (NO_OFFSET, NO_OFFSET)
        cursor.is_answered = True
        diverging_epoch, diverging_end_offset = found.diverging or (NO_EPOCH, NO_OFFSET)
        read = PartitionRead(
            topic, number, pieces, *offsets, None,
            found.leader_epoch, diverging_epoch, diverging_end_offset,
        )  # fmt: skip
        if pieces:
            cursor.given = cursor.position
            if self._is_throttled(partition):
                self._throttle.take(read.size)
        return read


def _known(topic_partition: TopicPartition, error: Exception) -> LogError:
    """What a follower is told of an error, a foreseen one or not."""
    if isinstance(error, LogError):
        return error
    _log.error("%s could not be looked at for a follower", topic_partition, exc_info=error)
    return KafkaStorageError(f"{topic_partition} could not be read: {error!r}")


def _pieces(partition: Partition, found: ReplicaRead, limit: int) -> list[LogRead | RecentRead]:
    """What was found, and what follows it within `limit` bytes."""
    pieces: list[LogRead | RecentRead] = []
    piece, log = found.piece, partition.log
    left = limit
    while piece is not None and (piece.size <= left or not pieces):
        pieces.append(piece)
        left -= piece.size
        if left <= 0 or piece.next_offset >= log.end_offset:
            break
        try:
            piece = read_tail(log, piece.next_offset, left)
        except LogError:
            break  # what precedes it is good; the next fetch meets it
    return pieces
