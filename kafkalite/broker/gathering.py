"""Records of requests that bring one each, gathered into batches."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from kafkalite.broker.forwarding import Forwarding
from kafkalite.broker.partition import Partition
from kafkalite.broker.probes import DataProbe
from kafkalite.broker.record_place import RecordPlace
from kafkalite.broker.remote_records import RemoteRecords
from kafkalite.model.clock import Clock
from kafkalite.model.errors import LogError
from kafkalite.model.record import Record
from kafkalite.wire.messages import ACKS_ALL, ACKS_LEADER
from kafkalite.wire.records import encode_batch_with_header

_LARGE_RECORD_BYTES: Final = 16 << 10
"""A record from this size on makes a batch by itself."""
_MAX_BATCH_BYTES: Final = 256 << 10
_MAX_RECORDS: Final = 1000

Then = Callable[[RecordPlace | Exception], None]
"""Told once what became of a record; an exception is one that nobody foresaw."""

_log = logging.getLogger(__name__)


class _Batch:
    """Records that wait for the end of this turn of the loop, and who is told of them."""

    __slots__ = ("records", "size", "thens")

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.thens: list[Then] = []
        self.size = 0


class Gathering:
    """Makes one batch of what many clients send to a partition in the same turn of the loop.

    A turn takes in what has arrived on all connections, so this waits for nothing: under load it
    saves a write, a checksum and a header for each request but one, and a reader gets larger
    batches. Lives on the loop.
    """

    def __init__(
        self, remote: RemoteRecords, forwarding: Forwarding, clock: Clock, probe: DataProbe
    ) -> None:
        self._remote = remote
        self._forwarding = forwarding
        self._clock = clock
        self._probe = probe
        self._batches: dict[tuple[Partition, bool, int], _Batch] = {}
        self._sending: set[asyncio.Task[None]] = set()
        """Batches on their way to a leader that was elected while they were gathered."""
        self._loop: asyncio.AbstractEventLoop | None = None
        """Kept, because asking for it is a system call each time (Python 3.11's getpid)."""

    @staticmethod
    def takes(record: Record, partition: Partition) -> bool:
        """Whether the record can share a batch: no other one may be refused because of it."""
        size = len(record.value or b"") + len(record.key or b"")
        settings = partition.settings
        return (
            size < _LARGE_RECORD_BYTES
            and not record.headers
            and not settings.bounds_timestamps
            and settings.batch_target_bytes >= 2 * _MAX_BATCH_BYTES
        )

    async def wait(
        self, record: Record, partition: Partition, *, acks_all: bool, timeout_ms: int
    ) -> RecordPlace:
        """The place of a record that is appended by `append`; raises what nobody foresaw."""
        place: asyncio.Future[RecordPlace | Exception] = self._running_loop().create_future()

        def settle(outcome: RecordPlace | Exception) -> None:
            if not place.done():  # the request may have been given up
                place.set_result(outcome)

        self.append(record, partition, acks_all=acks_all, timeout_ms=timeout_ms, then=settle)
        outcome = await place
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def append(
        self, record: Record, partition: Partition, *, acks_all: bool, timeout_ms: int, then: Then
    ) -> None:
        """Append a record that `takes` is true of; `then` is told its place, later.

        Not a future: that would wake a task, for each record by itself, a turn of the loop later.
        """
        key = (partition, acks_all, timeout_ms)
        batch = self._batches.get(key)
        if batch is None:
            batch = self._batches[key] = _Batch()
            self._running_loop().call_soon(self._append, key, batch)
        batch.records.append(record)
        batch.thens.append(then)
        batch.size += len(record.value or b"") + len(record.key or b"")
        if batch.size >= _MAX_BATCH_BYTES or len(batch.records) >= _MAX_RECORDS:
            del self._batches[key]  # complete: the next record begins another

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop

    def _append(self, key: tuple[Partition, bool, int], batch: _Batch) -> None:
        if self._batches.get(key) is batch:
            del self._batches[key]
        partition, acks_all, timeout_ms = key
        number = partition.topic_partition.partition
        thens = batch.thens
        try:
            data, header = encode_batch_with_header(batch.records, now_ms=self._clock.wall_ms())
            appended = partition.append_built(data, header, acks_all=acks_all)
        except LogError as error:
            if self._forwarding.may_help(*partition.topic_partition, error):
                # Rare, as it was led here when its records came: the only case that takes a task.
                sending = asyncio.create_task(self._send_on(key, data, thens))
                self._sending.add(sending)
                sending.add_done_callback(self._sending.discard)
                return
            self._probe.produce_errors += len(thens)
            _tell(thens, [RecordPlace(number, -1, error)] * len(thens))
            return
        except Exception as error:  # noqa: BLE001 - it is for each request to answer
            _tell(thens, [error] * len(thens))
            return
        self._probe.appended(len(batch.records), len(data))
        places = [
            RecordPlace(number, offset)
            for offset in range(appended.base_offset, appended.end_offset)
        ]
        committed = partition.committed(appended.end_offset, timeout_ms) if acks_all else None
        if committed is None:
            _tell(thens, places)
        else:
            committed.add_done_callback(lambda done: self._committed(done, thens, places))

    async def _send_on(
        self, key: tuple[Partition, bool, int], data: bytes, thens: list[Then]
    ) -> None:
        partition, acks_all, timeout_ms = key
        outcomes: Sequence[RecordPlace | Exception]
        try:
            outcomes = places = await self._remote.append_batch(
                partition.topic_partition,
                data,
                len(thens),
                acks=ACKS_ALL if acks_all else ACKS_LEADER,
                timeout_ms=timeout_ms,
            )
            self._probe.produce_errors += sum(place.error is not None for place in places)
        except Exception as error:  # noqa: BLE001 - it is for each request to answer
            outcomes = [error] * len(thens)
        _tell(thens, outcomes)

    def _committed(
        self, done: asyncio.Future[None], thens: list[Then], places: list[RecordPlace]
    ) -> None:
        failure = done.exception()
        if isinstance(failure, LogError):
            self._probe.produce_errors += len(thens)
            places = [place._replace(error=failure) for place in places]
        _tell(thens, places)


def _tell(thens: list[Then], outcomes: Sequence[RecordPlace | Exception]) -> None:
    for then, outcome in zip(thens, outcomes, strict=True):
        try:
            then(outcome)
        except Exception:  # noqa: BLE001 - the others are told all the same
            _log.exception("a producer could not be told what became of its record")
