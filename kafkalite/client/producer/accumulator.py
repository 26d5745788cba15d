"""Records on their way into batches: the callers' side of a producer.

Any number of threads add records; one loop takes the batches. A lock guards what is open, and only
callers wait for it. The loop tries, and comes back later: a thread may be stopped for as long as
the interpreter likes in the middle of adding a record. Batches that are full lie in queues of which
callers append at one end and the loop pops at the other, which needs no lock.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from threading import RLock
from typing import Final, NamedTuple

from kafkalite.client.producer.buffer_memory import BufferMemory
from kafkalite.client.producer.delivery import Deliveries, Delivery
from kafkalite.client.producer.partition_queue import PartitionQueue
from kafkalite.client.producer.partitioner import Partitioner, StickyChoice
from kafkalite.client.producer.producer_batch import (
    BATCH_OVERHEAD,
    VALUE_OVERHEAD,
    BatchState,
    ProducerBatch,
    nowhere,
    record_size,
)
from kafkalite.model.clock import Clock
from kafkalite.model.compression import Compression
from kafkalite.model.errors import InvalidPartitionsError, LogError, MessageTooLargeError
from kafkalite.model.ids import TopicPartition
from kafkalite.model.partitioning import partition_for_key
from kafkalite.model.record import Header

_FIRST_BYTES: Final = 16 << 10
"""Of memory for a new batch; doubled as it grows."""
_NOT_KNOWN: Final = -(2**63)
"""Stands for a partition where it is not known how many there are."""
_LARGE_RECORD_BYTES: Final = 512
"""Records of this size take little more memory as objects than encoded."""
_MAX_SPARES: Final = 2
_MANY: Final = 1_000
"""Records that are looked at together when there are many."""


class BatchOptions(NamedTuple):
    """How records are gathered; the fields are Kafka's settings."""

    batch_bytes: int
    max_request_bytes: int
    delivery_timeout_s: float
    compression: Compression
    partitioner: Partitioner | None
    """None for Kafka's own: by key, else sticky."""
    ignores_keys: bool
    """Whether a key has no say in the partition."""


class NoMetadata(NamedTuple):
    """It is not known how many partitions the topic has."""

    topic: str


class NoRoom(NamedTuple):
    """There is no memory for the record."""

    partition: int
    """Where it would go."""
    size: int
    """Bytes that there must be."""


Obstacle = NoMetadata | NoRoom


class TopicQueues:
    """The partitions of one topic, and where its next record without a key goes."""

    __slots__ = ("queues", "sticky")

    def __init__(self, sticky: StickyChoice) -> None:
        self.queues: list[PartitionQueue] = []
        self.sticky = sticky

    def loads(self) -> Sequence[tuple[int, int]]:
        """Partitions that have a leader, with the batches that wait."""
        return [
            (number, queue.load) for number, queue in enumerate(self.queues) if queue.has_leader
        ]


class Accumulator:
    """The open batches of all partitions. Callers add, under `lock`; the loop takes."""

    def __init__(
        self,
        options: BatchOptions,
        memory: BufferMemory,
        clock: Clock,
        *,
        make_queue: Callable[[TopicPartition], PartitionQueue],
        make_sticky: Callable[[], StickyChoice],
        wake: Callable[[], None],
        settles_here: Callable[[], bool] = nowhere,
    ) -> None:
        """Assign only.

        Args:
            wake: have the loop look; called from any thread.
            settles_here: whether it is asked on that loop.
        """
        self._settles_here = settles_here
        self._options = options
        self._batch_bytes = min(options.batch_bytes, options.max_request_bytes, memory.total)
        self._memory = memory
        self._clock = clock
        self._make_queue = make_queue
        self._make_sticky = make_sticky
        self._wake = wake
        self.lock = RLock()
        self.topics: dict[str, TopicQueues] = {}
        self.plain: dict[str, ProducerBatch] = {}
        """By topic: the batch to which whoever has the lock may add a record of nothing but a
        value, as long as its size stays within its `plain_limit`."""
        self.newly_active: deque[PartitionQueue] = deque()
        """Queues that were idle, for the loop."""
        self._spares: list[bytearray] = []
        """The loop's: bodies to be written over."""
        self.refusal: LogError | None = None
        """Why nothing is taken any more."""

    # -- callers --------------------------------------------------------------------------------

    def append(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        partition: int | None = None,
        headers: tuple[Header, ...] = (),
        timestamp: int | None = None,
    ) -> Delivery | Obstacle:
        """Add a record, or say what is in the way.

        Raises:
            LogError: nothing is taken any more, or the partition does not exist.
        """
        size = record_size(value, key, headers)
        if timestamp is not None:
            size += VALUE_OVERHEAD
        if partition is None and self._options.partitioner is not None:
            # Without the lock: it may ask the producer for what the loop needs the lock for.
            partition = self._chosen(self._options.partitioner, topic, key, value)
        with self.lock:
            if self.refusal is not None:
                raise self.refusal
            known = self.topics.get(topic)
            if known is None or partition is _NOT_KNOWN:
                return NoMetadata(topic)
            queue, is_sticky = self._queue_for(known, topic, key, partition)
            queue, batch = self._with_room(known, queue, size, is_sticky=is_sticky)
            if batch is None:
                begun = self._begin(queue, size)
                if not isinstance(begun, ProducerBatch):
                    return begun
                batch = begun
            index = batch.add(value, key, headers, timestamp, size)
            if not batch.is_plain:
                if self.plain.get(topic) is batch:
                    del self.plain[topic]
            elif is_sticky:
                self.plain[topic] = batch
            return Delivery(batch, index)

    def append_many(
        self,
        topic: str,
        values: Sequence[bytes],
        start: int,
        partition: int | None,
        taken: Deliveries,
    ) -> tuple[int, Obstacle | None]:
        """Add `values` from `start` on to `taken`, as many as there is room for.

        Returns:
            The index of the first one that was not added, and what is in the way; None at the end.
        """
        count = len(values)
        while start < count:
            with self.lock:
                added = self._add_some(values, start, self._plain_batch(topic, partition), taken)
            if added:
                start += added
                continue
            # One by itself over the end of a batch, and whatever else is not as usual.
            delivery = self.append(topic, values[start], None, partition)
            if not isinstance(delivery, Delivery):
                return start, delivery
            taken.add_one(delivery)
            start += 1
        return start, None

    def _add_some(
        self, values: Sequence[bytes], start: int, batch: ProducerBatch | None, taken: Deliveries
    ) -> int:
        """Add as many values from `start` on as surely fit, up to _MANY; gives how many."""
        if batch is None:
            return 0
        some = values[start : start + _MANY]
        size = sum(map(len, some)) + VALUE_OVERHEAD * len(some)
        room = self._batch_bytes - batch.size
        if size > room:
            some = some[: len(some) * room // size]
            size = sum(map(len, some)) + VALUE_OVERHEAD * len(some)
        if not some or size > room or not self._has_room(batch, size):
            return 0
        taken.add(batch, len(batch.values), len(some))
        batch.values += some
        batch.size += size
        return len(some)

    def _plain_batch(self, topic: str, partition: int | None) -> ProducerBatch | None:
        if self.refusal is not None:
            return None
        if partition is None:
            return self.plain.get(topic)
        known = self.topics.get(topic)
        if known is None or not 0 <= partition < len(known.queues):
            return None
        batch = known.queues[partition].open
        return batch if batch is not None and batch.is_plain else None

    def _chosen(
        self, choose: Partitioner, topic: str, key: bytes | None, value: bytes | None
    ) -> int:
        """What a partitioner of the program's own says, where there is anything to choose from."""
        known = self.topics.get(topic)
        return _NOT_KNOWN if known is None else choose(topic, key, value, len(known.queues))

    def _queue_for(
        self,
        known: TopicQueues,
        topic: str,
        key: bytes | None,
        partition: int | None,
    ) -> tuple[PartitionQueue, bool]:
        """Where a record goes, and whether a later one may go elsewhere for no other reason."""
        count = len(known.queues)
        is_sticky = False
        if partition is None:
            if key is not None and not self._options.ignores_keys:
                partition = partition_for_key(key, count)
            else:
                partition = self._sticky_partition(known)
                is_sticky = True
        if not 0 <= partition < count:
            raise InvalidPartitionsError(
                f"Partition {partition} of topic '{topic}' does not exist; it has {count}"
            )
        return known.queues[partition], is_sticky

    def _sticky_partition(self, known: TopicQueues) -> int:
        return known.sticky.current(len(known.queues), known.loads)

    def _with_room(
        self, known: TopicQueues, queue: PartitionQueue, size: int, *, is_sticky: bool
    ) -> tuple[PartitionQueue, ProducerBatch | None]:
        """The open batch that takes a record of `size`, if any; those that do not are closed."""
        batch = queue.open
        while batch is not None and not self._has_room(batch, size):
            self._close(queue, batch)
            if is_sticky:
                queue = known.queues[self._sticky_partition(known)]
            batch = queue.open
        return queue, batch

    def _has_room(self, batch: ProducerBatch, size: int) -> bool:
        """Whether a record of `size` still goes into `batch`; reserves memory for it."""
        needed = batch.size + size
        if needed <= batch.limit:
            return True
        if needed > self._batch_bytes or not batch.limit:
            return False
        least = needed - batch.limit
        wanted = min(batch.limit, self._batch_bytes - batch.limit)
        more = self._memory.reserve(least, max(least, wanted))
        if not more:
            return False
        batch.reserved += more
        batch.set_limit(batch.limit + more)
        batch.tick(self._clock.wall_ms())
        return True

    def _too_large(self, size: int) -> LogError | None:
        for limit, name in (
            (self._options.max_request_bytes, "max.request.size"),
            (self._memory.total, "buffer.memory"),
        ):
            if BATCH_OVERHEAD + size > limit:
                return MessageTooLargeError(
                    f"The record takes {size} bytes, more than {name} ({limit}) allows"
                )
        return None

    def _begin(self, queue: PartitionQueue, size: int) -> ProducerBatch | Delivery | NoRoom:
        """A new batch that takes a record of `size`; else what becomes of that record."""
        too_large = self._too_large(size)
        if too_large is not None:
            return _failed(queue.place, too_large)
        least = BATCH_OVERHEAD + size
        least_free = max(least, self._memory.step)
        if self._memory.free < least_free:
            return NoRoom(queue.place.partition, least_free)
        limit = self._memory.reserve(least, max(least, min(_FIRST_BYTES, self._batch_bytes)))
        if not limit:  # free for a moment only
            return NoRoom(queue.place.partition, least_free)
        try:
            return self._open(queue, limit)
        except BaseException:  # a KeyboardInterrupt may come between any two steps
            self._mend(queue, limit)
            raise

    def _open(self, queue: PartitionQueue, limit: int) -> ProducerBatch:
        now_s = self._clock.monotonic_ms() / 1000
        batch = ProducerBatch(
            *queue.place,
            now_ms=self._clock.wall_ms(),
            now_s=now_s,
            deadline_s=now_s + self._options.delivery_timeout_s,
            settles_here=self._settles_here,
        )
        batch.reserved = limit
        batch.set_limit(limit)
        queue.open = batch
        self._activate(queue)
        self._wake()
        return batch

    def _mend(self, queue: PartitionQueue, limit: int) -> None:
        """Undo, or finish, an `_open` that was interrupted."""
        if queue.open is None:
            self._memory.give_back(limit)
        else:
            queue.is_active = True
            self.newly_active.append(queue)
            self._wake()

    def _close(self, queue: PartitionQueue, batch: ProducerBatch) -> None:
        if self._detach(queue, batch) and not batch.is_encoded_late:
            self.encode(batch)
        self._activate(queue)
        self._wake()

    def _activate(self, queue: PartitionQueue) -> None:
        if not queue.is_active:
            queue.is_active = True
            self.newly_active.append(queue)

    def _detach(self, queue: PartitionQueue, batch: ProducerBatch) -> bool:
        """Move the open `batch` to the ready ones; False if it has no records, and is dropped.

        A KeyboardInterrupt may come between any two steps: whoever looks next takes the rest.
        """
        self.plain.pop(batch.topic, None)
        batch.set_limit(0)
        if not batch.record_count:
            queue.open = None
            self._memory.give_back(batch.reserved)
            batch.finish()
            return False
        if batch.state is BatchState.OPEN and batch not in queue.ready:
            batch.is_encoded_late = self._may_be_encoded_late(batch)
            queue.ready.append(batch)
            self.topics[batch.topic].sticky.batch_ended(batch.partition, batch.size)
        queue.open = None
        return True

    def _may_be_encoded_late(self, batch: ProducerBatch) -> bool:
        """Whether the loop shall encode `batch` just before it sends it.

        A megabyte that was encoded long ago is in no cache any more, and has to come from memory
        for its checksum and again to be sent. But small records take several times as much memory
        until then, and compressing takes too long for the loop.
        """
        count = len(batch.values)  # none where they are more than values
        return (
            0 < count * _LARGE_RECORD_BYTES <= batch.size
            and self._options.compression is Compression.NONE
        )

    def encode(self, batch: ProducerBatch) -> None:
        """Close `batch`, unless it is, and hold no more memory than it takes."""
        if batch.state is not BatchState.OPEN:
            return  # whose thread was interrupted, and which was found among the ready ones since
        spare = None
        if batch.is_encoded_late and self._spares and batch.size > len(self._spares[-1]) // 2:
            spare = self._spares.pop()
        batch.close(self._options.compression, spare)
        surplus = batch.reserved - batch.size
        if surplus > 0:
            batch.reserved = batch.size
            self._memory.give_back(surplus)

    def abandon(self, refusal: LogError) -> None:
        """Take nothing any more, in a process where no thread is left that could have the lock."""
        self.lock = RLock()
        self.refuse(refusal)

    def refuse(self, refusal: LogError) -> None:
        """Take nothing any more."""
        with self.lock:
            self.refusal = refusal
            self.plain.clear()

    # -- the loop -------------------------------------------------------------------------------

    def set_partitions(self, topic: str, count: int) -> None:
        """Learn that `topic` has `count` partitions; their number never falls."""
        with self.lock:
            known = self.topics.get(topic)
            if known is None:
                known = TopicQueues(self._make_sticky())
            for number in range(len(known.queues), count):
                known.queues.append(self._make_queue(TopicPartition(topic, number)))
            self.topics[topic] = known

    def close_open(self, queue: PartitionQueue) -> bool:
        """Close the open batch of `queue`; False where a thread is just adding something.

        Never waits.
        """
        if not self.lock.acquire(blocking=False):
            return False
        try:
            batch = queue.open
            has_records = batch is not None and self._detach(queue, batch)
        finally:
            self.lock.release()
        if batch is not None and has_records:
            self.encode(batch)
        return True

    def encode_next(self, queue: PartitionQueue) -> bool:
        """See to it that the first ready batch is encoded; False while a thread is just at it."""
        batch = queue.ready[0]
        if batch.state is not BatchState.OPEN:
            return True
        if batch.is_encoded_late:
            self.encode(batch)
            return True
        if not self.lock.acquire(blocking=False):
            return False
        try:
            if batch.state is BatchState.OPEN:  # whose thread was interrupted
                self.encode(batch)
        finally:
            self.lock.release()
        return True

    def reuse(self, batch: ProducerBatch) -> None:
        """Write over the bytes of `batch`, which was sent once and arrived, for another one."""
        is_worth_it = batch.is_encoded_late and batch.size > self._batch_bytes // 2
        if is_worth_it and len(self._spares) < _MAX_SPARES:
            self._spares.append(batch.body)

    def unfinished(self) -> list[ProducerBatch]:
        """The batches that hold records of which nobody knows yet; from any thread."""
        found: list[ProducerBatch | None] = []
        for known in list(self.topics.values()):
            for queue in known.queues:
                # In the order in which batches move on, so that none is missed.
                if not queue.is_empty or queue.leaving:
                    found += (queue.open, *queue.ready.copy(), *queue.numbered, *queue.leaving)
        return [batch for batch in found if batch is not None and not batch.is_done]

    def tick(self, queue: PartitionQueue) -> None:
        """Let records that are added from now on have the time of now, if nobody is adding."""
        if self.lock.acquire(blocking=False):
            try:
                if queue.open is not None:
                    queue.open.tick(self._clock.wall_ms())
            finally:
                self.lock.release()

    def take_active(self) -> Iterator[PartitionQueue]:
        """Queues that have become active."""
        while self.newly_active:
            yield self.newly_active.popleft()


def _failed(place: TopicPartition, error: LogError) -> Delivery:
    """The delivery of a record that is not even tried."""
    batch = ProducerBatch(*place, now_ms=0, now_s=0, deadline_s=0)
    batch.finish(error)
    return Delivery(batch, 0)
