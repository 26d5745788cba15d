"""The consumer for asyncio, and what the other one is a face of."""

import asyncio
import contextlib
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from typing import Self, TypeVar

from kafkalite.client.backoff import Backoff
from kafkalite.client.cluster import Cluster
from kafkalite.client.connections import Connections
from kafkalite.client.consumer.commits import OffsetAndMetadata
from kafkalite.client.consumer.core import ConsumerCore
from kafkalite.client.consumer.failures import ConcurrentUseError
from kafkalite.client.consumer.fetched_batch import FetchedBatch
from kafkalite.client.consumer.iteration import Iteration
from kafkalite.client.consumer.listener import CallDue, Partitions, RebalanceListener
from kafkalite.client.consumer.log_requests import Bounds, OffsetAndTimestamp
from kafkalite.client.consumer.polling import Steps, Turn, polling
from kafkalite.client.consumer.positions import EARLIEST, LATEST
from kafkalite.client.consumer.record import ConsumerRecord
from kafkalite.client.consumer.records import Records
from kafkalite.client.consumer.settings import ConsumerSettings
from kafkalite.client.errors import ClosedError
from kafkalite.client.settings import keywords_only
from kafkalite.model.errors import LogError
from kafkalite.model.ids import TopicPartition

T = TypeVar("T")

OffsetsToCommit = Mapping[TopicPartition, int | OffsetAndMetadata]
"""Where to go on, of each partition: one more than the offset of the last record dealt with."""


class AsyncConsumer:
    """Reads records: alone, or sharing partitions with the other members of a group.

        async with AsyncConsumer("flights", group_id="board") as consumer:
            async for record in consumer:
                ...

    For one task at a time; only `wakeup` may be called by others. Nothing happens before
    `start` or `async with`; `close` leaves the group and commits what was handed out, unless
    `enable_auto_commit` is off.
    """

    def __init__(self, *topics: str, **settings: object) -> None:
        """Consume `topics`, if any are named; settings are Kafka's names with `_` for `.`.

        Raises:
            ConfigError: a setting is not known, or its value does not do.
            InvalidGroupIdError: a group id that cannot be one.
        """
        self._news = asyncio.Event()
        self._assemble(topics, ConsumerSettings.of(settings), self._news.set, lambda call: call())

    def _assemble(
        self,
        topics: tuple[str, ...],
        settings: ConsumerSettings,
        notify: Callable[[], None],
        call_soon: Callable[[Callable[[], None]], None],
    ) -> None:
        keywords_only("Consumer", [each for each in topics if not isinstance(each, str)])
        self.settings = settings
        self._topics = topics
        self._connections = Connections(settings)
        self._cluster = Cluster(settings, self._connections)
        self.core = ConsumerCore(
            settings, self._cluster, self._connections, notify=notify, call_soon=call_soon
        )
        self.iteration = Iteration(self.core)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._subscription: frozenset[str] = frozenset()
        self._pattern: str | None = None
        self._is_polling = False
        self.is_closed = False

    # -- life ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to consume the topics that the consumer was made with; a second time: nothing."""
        if self.is_closed:
            raise ClosedError("The consumer is closed")
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            if self._topics:
                await self.subscribe(*self._topics)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await self.close(commits=kind is None)

    async def close(self, *, commits: bool = True) -> None:
        """Commit what was handed out (with `enable_auto_commit`), leave the group, end everything.

        The listener's `on_revoked` is called first. A second time: nothing. Where a `with` block is
        left by an exception, nothing is committed: what was in hand may not be dealt with.
        """
        if self.is_closed:
            return
        self.iteration.settle()
        try:
            await self._make(self.core.farewell())
        finally:
            await self.shut(commits=commits)

    async def shut(self, *, commits: bool) -> None:
        """As `close`, without telling the listener."""
        self.is_closed = True
        try:
            await self.core.close(commits=commits)
        finally:
            await self._cluster.close()
            await self._connections.close()

    def wakeup(self) -> None:
        """Have the poll that waits, or else the next one, raise WakeupError. Any thread."""
        self.core.wakeup()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._news.set)

    # -- what to consume -------------------------------------------------------------------------

    async def subscribe(
        self,
        *topics: str,
        pattern: str | None = None,
        listener: RebalanceListener | None = None,
    ) -> None:
        """Consume these topics, in place of those before, or all that match a pattern.

        With a group its members share the partitions. Without one this consumer reads all of them.

        Args:
            topics: names; they need not exist yet.
            pattern: a regular expression (RE2) that whole names match; takes a group.
            listener: hears which partitions come and go.

        Raises:
            ValueError: partitions were assigned by hand: `unsubscribe` first.
            InvalidGroupIdError: a pattern without a group.
        """
        self._check_open()
        if not topics and pattern is None:
            raise ValueError("topics or a pattern are needed")
        if not self.core.is_subscribed and len(self.core.positions):
            raise ValueError("partitions are assigned by hand: unsubscribe first")
        await self._begin_if_new()
        self.core.subscribe(topics, pattern, listener)
        self._subscription = frozenset(topics)
        self._pattern = pattern

    async def unsubscribe(self) -> None:
        """Consume nothing any more, and leave the group, as `close` does."""
        self._check_open()
        self.iteration.settle()
        await self._make(self.core.farewell())
        await self.leave()

    async def leave(self) -> None:
        """As `unsubscribe`, without telling the listener."""
        self._subscription, self._pattern = frozenset(), None
        await self.core.leave()

    async def assign(self, partitions: Collection[TopicPartition]) -> None:
        """Consume exactly these partitions, shared with nobody.

        Where there is a group, they begin where it got to, and commits count for it, as long as it
        has no members.

        Raises:
            ValueError: topics are subscribed to: `unsubscribe` first.
        """
        self._check_open()
        if self.core.is_subscribed:
            raise ValueError("topics are subscribed to: unsubscribe first")
        self.iteration.settle()
        await self._begin_if_new()
        await self.core.assign([TopicPartition(*each) for each in partitions])

    def assignment(self) -> Partitions:
        """What is consumed at the moment."""
        return self.core.positions.partitions

    def subscription(self) -> frozenset[str]:
        """The topics that were named."""
        return self._subscription

    # -- records ---------------------------------------------------------------------------------

    async def poll(
        self,
        timeout: float | None = 1.0,  # noqa: ASYNC109 - as in Kafka's clients
        max_records: int | None = None,
    ) -> Records:
        """Records, as soon as there are any.

        They count as handed out: later polls commit them, if the consumer commits by itself.

        Args:
            timeout: how long to wait for the first one, in seconds; None: for ever.
            max_records: how many to give at most; None: `max_poll_records`.

        Raises:
            UnreadableError: a partition cannot be read where it is; see `seek`.
            NoOffsetError: nothing says where to begin in a partition.
            WakeupError: `wakeup` was called.
            LogError: the group does not want this member; or what the listener raised.
        """
        self.iteration.settle()
        limit = self.settings.max_poll_records if max_records is None else max_records
        return Records(await self._poll(lambda: self.core.take(limit), timeout))

    async def batches(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - as in Kafka's clients
    ) -> AsyncIterator[FetchedBatch]:
        """Batch by batch, whole, until nothing has come for `timeout` seconds (None: for ever)."""
        while not self.is_closed:
            self.iteration.settle()
            handed = await self._poll(self.core.take_one, timeout)
            if handed is None:
                return
            yield handed.batch

    async def __aiter__(self) -> AsyncIterator[ConsumerRecord]:
        """Record by record, until nothing has come for `consumer_timeout_ms`.

        Leaving off loses nothing: the next poll or iteration goes on after the last record given.
        """
        while not self.is_closed:
            self.iteration.settle()
            handed = await self._poll(self.core.take_one, self.iteration_timeout_s)
            if handed is None:
                return
            for record in self.iteration.begin(handed):
                yield record

    @property
    def iteration_timeout_s(self) -> float | None:
        """How long iteration waits for a record; None: for ever."""
        timeout_ms = self.settings.consumer_timeout_ms
        return None if timeout_ms < 0 else timeout_ms / 1000

    # -- positions -------------------------------------------------------------------------------

    async def seek(self, topic_partition: TopicPartition, offset: int) -> None:
        """Go on at `offset`; raises NotAssignedError."""
        if offset < 0:
            raise ValueError(f"an offset is 0 or more, not {offset}")
        self.iteration.settle()
        await self.core.seek({TopicPartition(*topic_partition): offset})

    async def seek_to_beginning(self, partitions: Collection[TopicPartition] = ()) -> None:
        """Go on with the first record that is there; in all partitions where none are named."""
        self.iteration.settle()
        await self.core.seek(dict.fromkeys(self._named(partitions), EARLIEST))

    async def seek_to_end(self, partitions: Collection[TopicPartition] = ()) -> None:
        """Go on with the next record that comes; in all partitions where none are named."""
        self.iteration.settle()
        await self.core.seek(dict.fromkeys(self._named(partitions), LATEST))

    async def seek_to_time(
        self, timestamp: int, partitions: Collection[TopicPartition] = ()
    ) -> dict[TopicPartition, int | None]:
        """Go on with the first record of `timestamp` (ms since the epoch) or later.

        At the end, where there is none. Gives the offsets, None for the end.

        Raises:
            NotAssignedError, LogError: nothing was changed.
        """
        self.iteration.settle()
        wanted = self._named(partitions)
        found = await self.offsets_for_times(dict.fromkeys(wanted, timestamp))
        await self.core.seek(
            {each: LATEST if at is None else at.offset for each, at in found.items()}
        )
        return {each: None if at is None else at.offset for each, at in found.items()}

    async def position(
        self,
        topic_partition: TopicPartition,
        timeout: float | None = None,  # noqa: ASYNC109 - as in Kafka's clients
    ) -> int:
        """Offset of the next record to hand out, found out where it is not known yet.

        Raises:
            NotAssignedError, NoOffsetError: there is none.
            RequestTimedOutError: it cannot be found out in time.
        """
        self.iteration.settle()
        return await self.core.position(TopicPartition(*topic_partition), self._limit_s(timeout))

    def lag(self, topic_partition: TopicPartition) -> int | None:
        """Records between the position and the end, as the last answer told it; None: unknown.

        Raises NotAssignedError.
        """
        self.iteration.settle()
        return self.core.positions.of(TopicPartition(*topic_partition)).lag

    def pause(self, *partitions: TopicPartition) -> None:
        """Give nothing of these until `resume`; nothing is lost. Raises NotAssignedError."""
        self.core.pause([TopicPartition(*each) for each in partitions])

    def resume(self, *partitions: TopicPartition) -> None:
        """Give records of these again. Raises NotAssignedError."""
        self.core.resume([TopicPartition(*each) for each in partitions])

    def paused(self) -> Partitions:
        """The partitions that are paused."""
        return frozenset(each.topic_partition for each in self.core.positions if each.is_paused)

    # -- commits ---------------------------------------------------------------------------------

    async def commit(
        self,
        offsets: OffsetsToCommit | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as in Kafka's clients
    ) -> None:
        """Commit `offsets`, or all that was handed out; tries again while that may help.

        While iterating that includes the record in hand.

        Raises:
            InvalidGroupIdError: there is no group.
            CommitFailedError: the group gave the partitions to somebody else.
            LogError: it did not go well in time.
        """
        self._check_open()
        self.iteration.settle()
        await self.core.commit(to_commit(offsets), self._limit_s(timeout))

    async def committed(
        self,
        partitions: Collection[TopicPartition] = (),
        timeout: float | None = None,  # noqa: ASYNC109 - as in Kafka's clients
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        """What the group has committed; partitions without are left out. Raises LogError."""
        await self.start()
        wanted = self._named(partitions)
        return dict(await self.core.committed(wanted, self._limit_s(timeout)))

    # -- what there is ---------------------------------------------------------------------------

    async def partitions_for(self, topic: str) -> frozenset[TopicPartition]:
        """The partitions of a topic; raises LogError."""
        await self.start()
        count = await self._cluster.partitions(topic)
        return frozenset(TopicPartition(topic, number) for number in range(count))

    async def beginning_offsets(
        self, partitions: Collection[TopicPartition] = ()
    ) -> dict[TopicPartition, int]:
        """Offsets of the first records that are there; raises LogError."""
        return {each: found.start for each, found in (await self._bounds(partitions)).items()}

    async def end_offsets(
        self, partitions: Collection[TopicPartition] = ()
    ) -> dict[TopicPartition, int]:
        """Offsets that the next records below the high watermark will get; raises LogError."""
        return {each: found.end for each, found in (await self._bounds(partitions)).items()}

    async def offsets_for_times(
        self, timestamps: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, OffsetAndTimestamp | None]:
        """The first records of a time (ms since the epoch) or later; None where there is none.

        Raises:
            LogError: a partition cannot be asked.
        """
        await self.start()
        wanted = {TopicPartition(*each): at for each, at in timestamps.items()}
        return await self._again(
            wanted, lambda: self.core.logs.offsets_at(wanted, self.request_timeout_s)
        )

    async def _bounds(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Bounds]:
        await self.start()
        wanted = self._named(partitions)

        async def ask() -> dict[TopicPartition, Bounds]:
            found: dict[TopicPartition, Bounds] = {}
            answer = await self.core.logs.bounds(wanted, self.request_timeout_s)
            for each, bounds in answer.items():
                if isinstance(bounds, LogError):
                    raise bounds
                found[each] = bounds
            return found

        return await self._again(wanted, ask)

    async def _again(
        self,
        partitions: Collection[TopicPartition],
        ask: Callable[[], Awaitable[T]],
    ) -> T:
        """Ask until it goes well or never will; leaders are looked for in between."""
        pauses = Backoff(self.settings.retry_backoff_ms, self.settings.retry_backoff_max_ms)
        topics = {each.topic for each in partitions}
        due_s = time.monotonic() + self._limit_s(None)
        while True:
            try:
                if any(self._cluster.leader(each) is None for each in partitions):
                    await self._cluster.refresh(topics)
                return await ask()
            except LogError as error:
                if not error.retriable or time.monotonic() >= due_s:
                    raise
                await asyncio.sleep(pauses.next_pause())
                with contextlib.suppress(LogError):
                    await self._cluster.refresh(topics)

    # -- inside ----------------------------------------------------------------------------------

    @property
    def request_timeout_s(self) -> float:
        """How long one request may take."""
        return self.settings.request_timeout_ms / 1000

    def _limit_s(self, timeout_s: float | None) -> float:
        return self.settings.default_api_timeout_ms / 1000 if timeout_s is None else timeout_s

    def _named(self, partitions: Collection[TopicPartition]) -> list[TopicPartition]:
        named = [TopicPartition(*each) for each in partitions]
        return named or sorted(self.core.positions.partitions)

    def _check_open(self) -> None:
        if self.is_closed:
            raise ClosedError("The consumer is closed")

    async def _begin_if_new(self) -> None:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()

    async def _poll(self, take: Callable[[], T], timeout_s: float | None) -> T:
        self._check_open()
        await self.start()
        if self._is_polling:
            raise ConcurrentUseError
        self._is_polling = True
        try:
            return await self._carry_out(polling(self.core, take, timeout_s))
        finally:
            self._is_polling = False

    async def _carry_out(self, steps: Steps[T]) -> T:
        """Run the steps of a poll."""
        try:
            step = next(steps)
            while True:
                try:
                    outcome = await self._step(step)
                except BaseException as error:  # noqa: BLE001 - thrown where it belongs
                    step = steps.throw(error)
                else:
                    step = steps.send(outcome)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _step(self, step: Turn | CallDue | float) -> CallDue | Exception | None:
        if isinstance(step, Turn):
            return await self.core.turn()
        if isinstance(step, CallDue):
            try:
                await self._make(step)
            except Exception as error:  # noqa: BLE001 - the listener's
                return error
            return None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(step):
                await self._news.wait()
        self._news.clear()
        return None

    async def _make(self, call: CallDue | None) -> None:
        if call is not None:
            outcome = call.make()
            if inspect.isawaitable(outcome):
                await outcome


def to_commit(offsets: OffsetsToCommit | None) -> dict[TopicPartition, OffsetAndMetadata] | None:
    """Offsets with what goes with them, where only numbers were given."""
    if offsets is None:
        return None
    return {
        TopicPartition(*each): (OffsetAndMetadata(offset) if isinstance(offset, int) else offset)
        for each, offset in offsets.items()
    }


class ConsumerBehind(AsyncConsumer):
    """The one behind a consumer without asyncio, whose caller is in another thread."""

    def __init__(
        self,
        topics: tuple[str, ...],
        settings: ConsumerSettings,
        notify: Callable[[], None],
        call_soon: Callable[[Callable[[], None]], None],
    ) -> None:
        """`notify` is called on the loop; `call_soon` has something called there."""
        self._news = asyncio.Event()
        self._assemble(topics, settings, notify, call_soon)
