"""One batch of a producer, from its first record until it is known what became of it."""

import logging
from bisect import bisect_right
from collections.abc import Callable
from enum import Enum
from threading import Lock
from typing import Final

from kafkalite.client.bell import Bell
from kafkalite.client.producer.batch_builder import (
    ITEMS_A_RECORD,
    Span,
    compressed,
    encode_records,
    encode_values,
    plain_to_items,
    record_start,
)
from kafkalite.client.producer.record_metadata import RecordMetadata
from kafkalite.model.compression import Compression
from kafkalite.model.offsets import NO_OFFSET
from kafkalite.model.record import NO_TIMESTAMP, Header
from kafkalite.wire.batch import (
    HEADER_SIZE,
    NO_PRODUCER_EPOCH,
    NO_PRODUCER_ID,
    NO_SEQUENCE,
    complete,
)
from kafkalite.wire.records import decode_batch

BATCH_OVERHEAD: Final = HEADER_SIZE + 5
VALUE_OVERHEAD: Final = 16
"""The most that a record of a value takes beside it, or a few bytes more."""
RECORD_OVERHEAD: Final = 32
"""The same for a record with a key, headers or a time of its own."""
HEADER_OVERHEAD: Final = 16

_ANY_SIZE: Final = 1 << 62

_logger = logging.getLogger(__name__)
_callbacks_lock: Final = Lock()
"""Guards the callbacks of all batches: held for an append, and taken once a batch otherwise."""


def record_size(value: bytes | None, key: bytes | None, headers: tuple[Header, ...]) -> int:
    """Bytes that a record takes in a batch, or a few more."""
    size = len(value) if value is not None else 0
    if key is None and not headers:
        return size + VALUE_OVERHEAD
    size += RECORD_OVERHEAD + (len(key) if key is not None else 0)
    for name, text in headers:
        size += HEADER_OVERHEAD + 4 * len(name) + (len(text) if text is not None else 0)
    return size


class BatchState(Enum):
    """Where a batch is, as long as it `is_done` not."""

    OPEN = "records are added"
    CLOSED = "encoded, not sent yet"
    SENT = "sent, without an answer"
    WAITING = "to be sent again"


def nowhere() -> bool:
    """Nobody's loop."""
    return False


class ProducerBatch:
    """Records of one partition, in order.

    While it is open whoever holds the accumulator's lock adds to it. From `close` on it belongs to
    the sender's loop; anyone may wait for it.
    """

    __slots__ = (
        "_bell",
        "_callbacks",
        "_given_ms",
        "_halves",
        "_items",
        "_spans",
        "attempts",
        "base_offset",
        "base_sequence",
        "body",
        "compression",
        "count",
        "created_s",
        "deadline_s",
        "error",
        "in_doubt",
        "is_done",
        "is_encoded_late",
        "limit",
        "log_append_time",
        "ordinal",
        "overtakings",
        "partition",
        "plain_limit",
        "producer_epoch",
        "producer_id",
        "refusals",
        "refused_since_s",
        "reserved",
        "sent_as_first",
        "settles_here",
        "size",
        "state",
        "topic",
        "values",
    )

    def __init__(
        self,
        topic: str,
        partition: int,
        *,
        now_ms: int,
        now_s: float,
        deadline_s: float,
        settles_here: Callable[[], bool] = nowhere,
    ) -> None:
        """An open batch without records.

        Args:
            now_ms: the time, for records that come without one.
            now_s: the same on the loop's clock, and ...
            deadline_s: ... when to give the batch up.
            settles_here: whether it is asked on the loop that settles the batch.
        """
        self.settles_here = settles_here
        self.topic, self.partition = topic, partition
        self.created_s, self.deadline_s = now_s, deadline_s
        self.state = BatchState.OPEN
        self.values: list[bytes | None] = []
        """While it is open: the records, as long as each is a value and nothing else."""
        self._items: list[object] | None = None
        """While it is open: the records from the first one on that is more; see batch_builder."""
        self._spans: list[Span] = [(0, now_ms)]
        self._given_ms: dict[int, int] | None = None
        self.size = BATCH_OVERHEAD
        """While it is open: bytes that it takes once encoded, not fewer; else exactly."""
        self.limit = 0
        """The size up to which memory has been reserved for it; 0 once nothing is added."""
        self.plain_limit = 0
        """The same as long as each record is a value and nothing else; else 0."""
        self.reserved = 0
        """Bytes that it holds of the producer's memory."""
        self.is_encoded_late = False
        """Whether nobody but the sender's loop closes it, once nothing is added any more."""
        self.count = 0
        """Records, once closed."""
        self.compression = Compression.NONE
        self.body = bytearray()
        """All bytes of the batch, once closed; the header is current once numbered."""
        self.producer_id = NO_PRODUCER_ID
        self.producer_epoch = NO_PRODUCER_EPOCH
        self.base_sequence = NO_SEQUENCE
        """With the two above: of its first record; all the same from attempt to attempt, until the
        broker has said that it holds none of it."""
        self.attempts = self.refusals = 0
        """How often it was sent, and to no avail other than because it went to the wrong broker."""
        self.sent_as_first = False
        """Whether all older ones of the partition were settled when it was sent last."""
        self.ordinal = 0
        """How many batches of the partition were numbered before."""
        self.refused_since_s: float | None = None
        """Since when its number is refused although nothing older is missing."""
        self.overtakings = 0
        """How often it was refused because an older one was not there yet."""
        self.in_doubt = False
        """Whether some attempt may have been stored although nobody said so."""
        self.is_done = False
        self.error: Exception | None = None
        self.base_offset = NO_OFFSET
        self.log_append_time = NO_TIMESTAMP
        self._halves: tuple[ProducerBatch, ProducerBatch] | None = None
        self._callbacks: list[Callable[[], object]] = []
        self._bell: Bell | None = None

    # -- open -----------------------------------------------------------------------------------

    def set_limit(self, limit: int) -> None:
        """Let it grow up to `limit` bytes; 0: not any more."""
        self.limit = limit
        self.plain_limit = limit if self._items is None else 0

    @property
    def is_plain(self) -> bool:
        """Whether each record so far is a value and nothing else."""
        return self._items is None

    @property
    def record_count(self) -> int:
        """Records in it so far, or in all."""
        if self.state is not BatchState.OPEN:
            return self.count
        if self._items is None:
            return len(self.values)
        return len(self._items) // ITEMS_A_RECORD

    def add(
        self,
        value: bytes | None,
        key: bytes | None,
        headers: tuple[Header, ...],
        timestamp: int | None,
        size: int,
    ) -> int:
        """Add a record of `size` bytes; gives its index."""
        if self._items is None and key is None and not headers and timestamp is None:
            index = len(self.values)
            self.values.append(value)
        else:
            if self._items is None:
                self._items = plain_to_items(self.values)
                self.values = []
                self.plain_limit = 0
            index = len(self._items) // ITEMS_A_RECORD
            self._items += (record_start(0), key, value, headers or None)
            if timestamp is not None:
                self._given_ms = self._given_ms or {}
                self._given_ms[index] = timestamp
        self.size += size
        return index

    def tick(self, now_ms: int) -> None:
        """Records that come from now on get the time `now_ms`."""
        if self._spans[-1][1] != now_ms:
            index = self.record_count
            if self._spans[-1][0] == index:
                self._spans.pop()
            self._spans.append((index, now_ms))

    def close(self, codec: Compression, spare: bytearray | None = None) -> None:
        """Encode the records, of which there must be some; no more can be added.

        `spare` may be written over: memory that is used again needs neither be had nor be cleared.
        """
        count = self.record_count
        while self._spans[-1][0] >= count:
            self._spans.pop()
        base_ms = min(self._times(count))
        if self._items is None:
            body = encode_values(self.values, self._spans, base_ms, self.size, spare)
        else:
            body = encode_records(self._items, self._spans, self._given_ms, base_ms, self.size)
        if codec is not Compression.NONE:
            body = compressed(codec, body)
        self.compression = codec
        self.count = count
        self.body = body
        self.size = len(body)
        self.state = BatchState.CLOSED  # not before: else it may be closed once more
        self.values, self._items = [], None

    # -- closed ---------------------------------------------------------------------------------

    @property
    def base_ms(self) -> int:
        """The earliest time of a record."""
        return min(self._times(self.count))

    def number(self, producer_id: int, epoch: int, sequence: int) -> None:
        """Give it the sequence of its first record, or none (-1, -1, -1); completes the bytes."""
        self.producer_id = producer_id
        self.producer_epoch = epoch
        self.base_sequence = sequence
        if len(self._spans) == 1 and self._given_ms is None:
            bounds = (self._spans[0][1],) * 2
        else:
            times = self._times(self.count)
            bounds = (min(times), max(times))
        complete(self.body, self.compression, self.count, bounds, (producer_id, epoch, sequence))

    def halve(self) -> "tuple[ProducerBatch, ProducerBatch]":
        """Two batches in place of this one, of two records or more; it is done when both are."""
        first, second = (
            ProducerBatch(
                self.topic,
                self.partition,
                now_ms=self.base_ms,
                now_s=self.created_s,
                deadline_s=self.deadline_s,
                settles_here=self.settles_here,
            )
            for _ in range(2)
        )
        middle = self.count // 2
        for index, record in enumerate(decode_batch(self.body, max_bytes=_ANY_SIZE)):
            half = first if index < middle else second
            size = record_size(record.value, record.key, record.headers)
            half.add(record.value, record.key, record.headers, record.timestamp, size)
        for half in (first, second):
            half.close(self.compression)
            half.attempts = self.attempts
        first.reserved = self.reserved // 2
        second.reserved = self.reserved - first.reserved
        self.reserved = 0
        self._halves = (first, second)
        first.call_when_done(self._half_done)
        second.call_when_done(self._half_done)
        return self._halves

    def _half_done(self) -> None:
        assert self._halves is not None
        if all(half.is_done for half in self._halves):
            self.finish()

    def _times(self, count: int) -> list[int]:
        """The times that its `count` records have."""
        if self._given_ms:
            return [self._time_of(index) for index in range(count)]
        return [time_ms for _, time_ms in self._spans]

    def _time_of(self, index: int) -> int:
        if self._given_ms is not None and index in self._given_ms:
            return self._given_ms[index]
        return self._spans[bisect_right(self._spans, index, key=lambda span: span[0]) - 1][1]

    # -- done -----------------------------------------------------------------------------------

    def finish(
        self,
        error: Exception | None = None,
        *,
        base_offset: int = NO_OFFSET,
        log_append_time: int = NO_TIMESTAMP,
    ) -> None:
        """Say what became of the records: stored from `base_offset` on, or why not."""
        assert not self.is_done
        self.error = error
        self.base_offset = base_offset
        self.log_append_time = log_append_time
        if self.state is BatchState.OPEN:
            self.count, self.state = self.record_count, BatchState.CLOSED
        self.body = bytearray()
        self.values, self._items = [], None
        with _callbacks_lock:
            self.is_done = True
            callbacks, self._callbacks = self._callbacks, []
        for function in callbacks:
            call_back(function)

    def call_when_done(self, function: Callable[[], object]) -> None:
        """Call `function` once, from `finish`, or now if that has been."""
        with _callbacks_lock:
            if not self.is_done:
                self._callbacks.append(function)
                return
        call_back(function)

    def wait(self, timeout: float | None) -> bool:
        """Block until it is done, for `timeout` seconds at most; gives whether it is.

        Raises:
            RuntimeError: called on the loop that settles it, which would wait for itself.
        """
        if self.is_done:
            return True
        if self.settles_here():
            raise RuntimeError(
                "a callback, or a task on the producer's loop, must not block until a record is "
                "acknowledged: await it, or wait in another thread"
            )
        bell = self._bell
        if bell is None:
            # Two threads may each make one: both are told. No other gets to know of it before it
            # will ring: an interruption may come between the two.
            bell = Bell()
            self.call_when_done(bell.ring)
            self._bell = bell
        try:
            bell.wait(timeout)
        finally:
            if self.is_done:
                bell.ring()  # for others who wait as well, even if this one is interrupted
        return self.is_done

    @property
    def has_failed(self) -> bool:
        """Whether some of its records were not stored. Only when it is done."""
        if self._halves is not None:
            return any(half.has_failed for half in self._halves)
        return self.error is not None

    def error_of(self, index: int) -> Exception | None:
        """Why the record at `index` was not stored; None if it was. Only when it is done."""
        if self._halves is None:
            return self.error
        half, index = self._half_of(index)
        return half.error_of(index)

    def metadata(self, index: int) -> RecordMetadata:
        """Where the record at `index` is; raises why it was not stored. Only when it is done."""
        if self._halves is not None:
            half, index = self._half_of(index)
            return half.metadata(index)
        if self.error is not None:
            raise self.error.with_traceback(None)
        offset = self.base_offset + index if self.base_offset != NO_OFFSET else NO_OFFSET
        timestamp = self.log_append_time
        if timestamp == NO_TIMESTAMP:
            timestamp = self._time_of(index)
        return RecordMetadata(self.topic, self.partition, offset, timestamp)

    def _half_of(self, index: int) -> "tuple[ProducerBatch, int]":
        assert self._halves is not None
        first, second = self._halves
        return (first, index) if index < first.count else (second, index - first.count)


def call_back(function: Callable[[], object]) -> None:
    """Call a function of the program; what it raises is logged and goes no further."""
    try:
        function()
    except Exception:  # a user's function must not stop what serves everybody else
        _logger.exception("A delivery callback failed")
