"""The consumer without asyncio."""

from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Self, TypeVar

from kafkalite.client.bell import Bell
from kafkalite.client.blocking import Blocking
from kafkalite.client.consumer.async_consumer import (
    AsyncConsumer,
    ConsumerBehind,
    OffsetsToCommit,
    to_commit,
)
from kafkalite.client.consumer.commits import Offsets
from kafkalite.client.consumer.failures import ConcurrentUseError
from kafkalite.client.consumer.fetched_batch import FetchedBatch
from kafkalite.client.consumer.listener import CallDue, Partitions
from kafkalite.client.consumer.polling import Steps, Turn, polling
from kafkalite.client.consumer.record import ConsumerRecord
from kafkalite.client.consumer.records import Records
from kafkalite.client.consumer.settings import ConsumerSettings
from kafkalite.client.errors import ClosedError
from kafkalite.client.io_thread import IoThread
from kafkalite.model.errors import LogError
from kafkalite.model.ids import TopicPartition

T = TypeVar("T")

OnCommitted = Callable[[Offsets, LogError | None], None]
"""Called in the thread that does the client's work: it must not block, nor use the consumer."""


class Consumer:
    """Reads records: alone, or sharing partitions with the other members of a group.

        with Consumer("flights", group_id="board") as consumer:
            for record in consumer:
                ...

    Heartbeats and fetching go on in a thread of all clients; a poll that finds records does not
    leave the caller's. For one thread at a time; only `wakeup` may be called by others. `close`
    leaves the group and commits what was handed out, unless `enable_auto_commit` is off.
    """

    def __init__(self, *topics: str, **settings: object) -> None:
        """Consume `topics`, if any are named; settings are Kafka's names with `_` for `.`.

        Raises:
            ConfigError: a setting is not known, or its value does not do.
            InvalidGroupIdError: a group id that cannot be one.
        """
        self._news = Bell()
        self._io = IoThread.shared()
        self.core = ConsumerBehind(
            topics, ConsumerSettings.of(settings), self._news.ring, self._call_soon
        )
        self._core = self.core.core
        self._iteration = self.core.iteration
        self._is_polling = False
        self._ticket = self._io.register(self._close_at_exit)
        try:
            self.run(self.core.start())
        except BaseException:
            self._io.leave(self._ticket)
            raise

    # -- life ------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(commits=kind is None)

    def close(self, *, commits: bool = True) -> None:
        """Commit what was handed out (with `enable_auto_commit`), leave the group, end everything.

        The listener's `on_revoked` is called first. A second time: nothing. Where a `with` block is
        left by an exception, nothing is committed: what was in hand may not be dealt with.
        """
        if self.core.is_closed or not self._io.is_usable:
            return
        self._iteration.settle()
        try:
            self._make(self.run(self._farewell()))
        finally:
            self._shut(commits=commits)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Have the loop run `coroutine`, and wait for it."""
        return self._io.run(coroutine)

    def wakeup(self) -> None:
        """Have the poll that waits, or else the next one, raise WakeupError. Any thread."""
        self._core.wakeup()
        self._news.ring()

    def _close_at_exit(self) -> None:
        """At the interpreter's exit: what was in hand may not be dealt with."""
        if not self.core.is_closed:
            self._shut(commits=False)

    def _shut(self, *, commits: bool) -> None:
        try:
            self.run(self.core.shut(commits=commits))
        finally:
            self._io.leave(self._ticket)

    async def _farewell(self) -> CallDue | None:
        return self._core.farewell()

    def _call_soon(self, call: Callable[[], None]) -> None:
        self._io.call_soon(call)

    # -- what to consume -------------------------------------------------------------------------

    subscribe = Blocking(AsyncConsumer.subscribe)
    assign = Blocking(AsyncConsumer.assign)

    def unsubscribe(self) -> None:
        """Consume nothing any more, and leave the group, as `close` does."""
        self._iteration.settle()
        self._make(self.run(self._farewell()))
        self.run(self.core.leave())

    def assignment(self) -> Partitions:
        """What is consumed at the moment."""
        return self.core.assignment()

    def subscription(self) -> frozenset[str]:
        """The topics that were named."""
        return self.core.subscription()

    # -- records ---------------------------------------------------------------------------------

    def poll(self, timeout: float | None = 1.0, max_records: int | None = None) -> Records:
        """Records, as soon as there are any; see `AsyncConsumer.poll`."""
        self._iteration.settle()
        limit = self.core.settings.max_poll_records if max_records is None else max_records
        return Records(self._poll(lambda: self._core.take(limit), timeout))

    def batches(self, timeout: float | None = None) -> Iterator[FetchedBatch]:
        """Batch by batch, whole, until nothing has come for `timeout` seconds (None: for ever)."""
        while not self.core.is_closed:
            self._iteration.settle()
            handed = self._poll(self._core.take_one, timeout)
            if handed is None:
                return
            yield handed.batch

    def __iter__(self) -> Iterator[ConsumerRecord]:
        """Record by record, until nothing has come for `consumer_timeout_ms`.

        Leaving off loses nothing: the next poll or iteration goes on after the last record given.
        """
        while not self.core.is_closed:
            self._iteration.settle()
            handed = self._poll(self._core.take_one, self.core.iteration_timeout_s)
            if handed is None:
                return
            yield from self._iteration.begin(handed)

    # -- positions -------------------------------------------------------------------------------

    seek = Blocking(AsyncConsumer.seek)
    seek_to_beginning = Blocking(AsyncConsumer.seek_to_beginning)
    seek_to_end = Blocking(AsyncConsumer.seek_to_end)
    seek_to_time = Blocking(AsyncConsumer.seek_to_time)
    position = Blocking(AsyncConsumer.position)

    def lag(self, topic_partition: TopicPartition) -> int | None:
        """Records between the position and the end, as the last answer told it; None: unknown.

        Raises NotAssignedError.
        """
        return self.core.lag(topic_partition)

    def pause(self, *partitions: TopicPartition) -> None:
        """Give nothing of these until `resume`; nothing is lost. Raises NotAssignedError."""
        self.core.pause(*partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        """Give records of these again. Raises NotAssignedError."""
        self.core.resume(*partitions)

    def paused(self) -> Partitions:
        """The partitions that are paused."""
        return self.core.paused()

    # -- commits ---------------------------------------------------------------------------------

    commit = Blocking(AsyncConsumer.commit)
    committed = Blocking(AsyncConsumer.committed)

    def commit_async(
        self, offsets: OffsetsToCommit | None = None, on_done: OnCommitted | None = None
    ) -> None:
        """Begin to commit `offsets`, or all that was handed out: one attempt.

        Args:
            offsets: as for `commit`.
            on_done: called with the offsets and why they were not committed, or None.

        Raises:
            InvalidGroupIdError: there is no group.
        """
        self._iteration.settle()
        self.run(self._commit_soon(to_commit(offsets), on_done))

    async def _commit_soon(self, offsets: Offsets | None, on_done: OnCommitted | None) -> None:
        self._core.commit_soon(offsets, on_done)

    # -- what there is ---------------------------------------------------------------------------

    partitions_for = Blocking(AsyncConsumer.partitions_for)
    beginning_offsets = Blocking(AsyncConsumer.beginning_offsets)
    end_offsets = Blocking(AsyncConsumer.end_offsets)
    offsets_for_times = Blocking(AsyncConsumer.offsets_for_times)

    # -- inside ----------------------------------------------------------------------------------

    def _poll(self, take: Callable[[], T], timeout_s: float | None) -> T:
        if self.core.is_closed or not self._io.is_usable:
            raise ClosedError("The consumer is closed, or another process's")
        if self._is_polling:
            raise ConcurrentUseError
        self._is_polling = True
        try:
            return self._carry_out(polling(self._core, take, timeout_s))
        finally:
            self._is_polling = False

    def _carry_out(self, steps: Steps[T]) -> T:
        """Run the steps of a poll."""
        try:
            step = next(steps)
            while True:
                try:
                    outcome = self._step(step)
                except BaseException as error:  # noqa: BLE001 - thrown where it belongs
                    step = steps.throw(error)
                else:
                    step = steps.send(outcome)
        except StopIteration as end:
            result: T = end.value
            return result

    def _step(self, step: Turn | CallDue | float) -> CallDue | Exception | None:
        if isinstance(step, Turn):
            return self.run(self._core.turn())
        if isinstance(step, CallDue):
            try:
                self._make(step)
            except Exception as error:  # noqa: BLE001 - the listener's
                return error
            return None
        self._news.wait(step)
        return None

    def _make(self, call: CallDue | None) -> None:
        if call is not None and call.make() is not None:
            raise TypeError("the listener of a Consumer must not be a coroutine: see AsyncConsumer")
