"""Records of requests that bring one each, gathered into batches."""

import asyncio
from typing import Final

from kafkalite.broker.partition import Partition
from kafkalite.broker.probes import DataProbe
from kafkalite.broker.record_place import RecordPlace
from kafkalite.model.clock import Clock
from kafkalite.model.errors import LogError
from kafkalite.model.record import Record
from kafkalite.wire.records import encode_batch_with_header

_LARGE_RECORD_BYTES: Final = 16 << 10
"""A record from this size on makes a batch by itself."""
_MAX_BATCH_BYTES: Final = 256 << 10
_MAX_RECORDS: Final = 1000

_Future = asyncio.Future[RecordPlace]


class _Batch:
    """Records that wait for the end of this turn of the loop, and who waits for them."""

    __slots__ = ("futures", "records", "size")

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.futures: list[_Future] = []
        self.size = 0


class Gathering:
    """Makes one batch of what many clients send to a partition in the same turn of the loop.

    A turn takes in what has arrived on all connections, so this waits for nothing: under load it
    saves a write, a checksum and a header for each request but one, and a reader gets larger
    batches. Lives on the loop.
    """

    def __init__(self, clock: Clock, probe: DataProbe) -> None:
        self._clock = clock
        self._probe = probe
        self._batches: dict[tuple[Partition, bool, int], _Batch] = {}
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

    def append(
        self, record: Record, partition: Partition, *, acks_all: bool, timeout_ms: int
    ) -> _Future:
        """Append a record that `takes` is true of; the future gives its place.

        It fails with what nobody foresaw only.
        """
        key = (partition, acks_all, timeout_ms)
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        batch = self._batches.get(key)
        if batch is None:
            batch = self._batches[key] = _Batch()
            loop.call_soon(self._append, key, batch)
        future: _Future = loop.create_future()
        batch.records.append(record)
        batch.futures.append(future)
        batch.size += len(record.value or b"") + len(record.key or b"")
        if batch.size >= _MAX_BATCH_BYTES or len(batch.records) >= _MAX_RECORDS:
            del self._batches[key]  # complete: the next record begins another
        return future

    def _append(self, key: tuple[Partition, bool, int], batch: _Batch) -> None:
        if self._batches.get(key) is batch:
            del self._batches[key]
        partition, acks_all, timeout_ms = key
        number = partition.topic_partition.partition
        try:
            data, header = encode_batch_with_header(batch.records, now_ms=self._clock.wall_ms())
            appended = partition.append_built(data, header, acks_all=acks_all)
        except LogError as error:
            self._probe.produce_errors += len(batch.futures)
            place = RecordPlace(number, -1, error)
            _settle(batch.futures, [place] * len(batch.futures))
            return
        except Exception as error:  # noqa: BLE001 - it is for each request to answer
            for future in batch.futures:
                if not future.done():
                    future.set_exception(error)
            return
        self._probe.appended(len(batch.records), len(data))
        places = [
            RecordPlace(number, offset)
            for offset in range(appended.base_offset, appended.end_offset)
        ]
        committed = partition.committed(appended.end_offset, timeout_ms) if acks_all else None
        if committed is None:
            _settle(batch.futures, places)
        else:
            committed.add_done_callback(lambda done: self._committed(done, batch.futures, places))

    def _committed(
        self, done: asyncio.Future[None], futures: list[_Future], places: list[RecordPlace]
    ) -> None:
        failure = done.exception()
        if isinstance(failure, LogError):
            self._probe.produce_errors += len(futures)
            places = [place._replace(error=failure) for place in places]
        _settle(futures, places)


def _settle(futures: list[_Future], places: list[RecordPlace]) -> None:
    for future, place in zip(futures, places, strict=True):
        if not future.done():  # its client may have gone
            future.set_result(place)
