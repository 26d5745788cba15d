"""What a sender holds of a record on its way: a batch and a place in it, nothing else."""

import asyncio
from collections.abc import Callable, Generator, Iterator
from threading import get_ident

import msgspec

from kafkalite.client.producer.producer_batch import ProducerBatch, call_back
from kafkalite.client.producer.record_metadata import RecordMetadata


class Delivery(msgspec.Struct, gc=False, eq=False):
    """A record that was taken to be sent.

    Wait for it with `result()` in a thread or `await` in a task, or have a function called; or let
    it go: nothing depends on it. May be used from any thread.

    A struct without garbage collection because there is one for each record: making it takes a
    third of the time that an object of a plain class does.
    """

    _batch: ProducerBatch
    _index: int

    @property
    def is_done(self) -> bool:
        """Whether it is known what became of the record."""
        return self._batch.is_done

    @property
    def topic(self) -> str:
        return self._batch.topic

    @property
    def partition(self) -> int:
        """Chosen when the record was taken."""
        return self._batch.partition

    def result(self, timeout: float | None = None) -> RecordMetadata:
        """Wait until the record is stored; not on the event loop, nor in a callback.

        Args:
            timeout: seconds to wait; None waits as long as `delivery.timeout.ms` lets it take.

        Raises:
            LogError: it was not stored, or nobody knows; the error says why.
            TimeoutError: it is not known yet.
        """
        if not self._batch.wait(timeout):
            raise TimeoutError(f"The record was not acknowledged in {timeout} s")
        return self._batch.metadata(self._index)

    def exception(self, timeout: float | None = None) -> Exception | None:
        """As `result`, but gives the error; None for a record that was stored."""
        if not self._batch.wait(timeout):
            raise TimeoutError(f"The record was not acknowledged in {timeout} s")
        return self._batch.error_of(self._index)

    def add_done_callback(self, function: "Callable[[Delivery], object]") -> None:
        """Call `function(delivery)` once it is known what became of the record.

        On the thread that does the producer's input and output: it must not block. Called at once,
        here, if it is known already. What it raises is logged and goes no further.
        """
        self._batch.call_when_done(lambda: function(self))

    def __await__(self) -> Generator[object, None, RecordMetadata]:
        if not self._batch.is_done:
            yield from settled(self._batch).__await__()
        return self._batch.metadata(self._index)


class Deliveries:
    """Records that were taken together: `result()` and `await` are for all of them.

    Has a length, and gives a `Delivery` for each record in order when iterated over.
    """

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[tuple[ProducerBatch, int, int]] = []

    def add(self, batch: ProducerBatch, start: int, count: int) -> None:
        """Append `count` records that are in `batch` from `start` on."""
        if self._parts:
            last, first, before = self._parts[-1]
            if last is batch and first + before == start:
                self._parts[-1] = (batch, first, before + count)
                return
        self._parts.append((batch, start, count))

    def add_one(self, delivery: Delivery) -> None:
        """Append a record."""
        self.add(delivery._batch, delivery._index, 1)

    def __len__(self) -> int:
        return sum(count for _, _, count in self._parts)

    def __iter__(self) -> Iterator[Delivery]:
        for batch, start, count in self._parts:
            for index in range(start, start + count):
                yield Delivery(batch, index)

    @property
    def is_done(self) -> bool:
        """Whether it is known what became of each."""
        return all(batch.is_done for batch, _, _ in self._parts)

    def result(self, timeout: float | None = None) -> list[RecordMetadata]:
        """Wait until all are stored.

        Args:
            timeout: seconds to wait for each batch that they are in.

        Raises:
            LogError: one was not stored; the first one's error.
            TimeoutError: it is not known yet.
        """
        for batch, _, _ in self._parts:
            if not batch.wait(timeout):
                raise TimeoutError(f"The records were not acknowledged in {timeout} s")
        return self._metadata()

    def add_done_callback(self, function: "Callable[[Deliveries], object]") -> None:
        """Call `function(deliveries)` once it is known of all; see `Delivery`."""
        left = [len(self._parts)]

        def count_down() -> None:
            left[0] -= 1
            if not left[0]:
                function(self)

        for batch, _, _ in self._parts:
            batch.call_when_done(count_down)
        if not self._parts:
            call_back(lambda: function(self))

    def __await__(self) -> Generator[object, None, list[RecordMetadata]]:
        for batch, _, _ in self._parts:
            if not batch.is_done:
                yield from settled(batch).__await__()
        return self._metadata()

    def failures(self) -> list[tuple[int, Exception]]:
        """The records that were not stored, by their index, and why; once all `is_done`."""
        found: list[tuple[int, Exception]] = []
        offset = 0
        for batch, start, count in self._parts:
            if batch.has_failed:
                errors = (batch.error_of(index) for index in range(start, start + count))
                found += [(offset + i, error) for i, error in enumerate(errors) if error]
            offset += count
        return found

    def _metadata(self) -> list[RecordMetadata]:
        return [
            batch.metadata(index)
            for batch, start, count in self._parts
            for index in range(start, start + count)
        ]


async def settled(batch: ProducerBatch) -> None:
    """Wait for `batch` on the running loop, whatever thread settles it."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    waiting_thread = get_ident()

    def settle() -> None:
        if not future.done():
            future.set_result(None)

    def wake() -> None:
        if get_ident() == waiting_thread:
            settle()
        elif not loop.is_closed():
            loop.call_soon_threadsafe(settle)

    batch.call_when_done(wake)
    await future
