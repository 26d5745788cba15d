"""Sends batches to the leaders of their partitions until each is stored or given up."""

import asyncio
import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from threading import get_ident
from typing import Any, Final, Generic, NamedTuple

from kafkalite.client.errors import DeliveryTimeoutError
from kafkalite.client.producer.accumulator import Accumulator
from kafkalite.client.producer.buffer_memory import BufferMemory
from kafkalite.client.producer.partition_queue import SEQUENCE_ERRORS, PartitionQueue, Verdict
from kafkalite.client.producer.ports import Address, ClusterView, ProduceConnections
from kafkalite.client.producer.producer_batch import BatchState, ProducerBatch
from kafkalite.client.producer.producer_ids import ProducerIds
from kafkalite.client.producer.request_body import produce_body
from kafkalite.model.clock import Clock
from kafkalite.model.errors import (
    DuplicateSequenceNumberError,
    LogError,
    NetworkError,
    NotEnoughReplicasAfterAppendError,
    NotLeaderOrFollowerError,
    RequestTimedOutError,
    RequestTooLargeError,
    error_by_code,
)
from kafkalite.model.offsets import NO_OFFSET
from kafkalite.wire.messages import ProduceResponse, ProduceResult

_SLACK_S: Final = 1.0
"""Longer than the broker itself takes to give a request up."""
_TICK_S: Final = 0.01
"""How far the time of a record may be off that waits in a batch which cannot be sent."""
_RETRY_LOCK_S: Final = 0.001
_CLOCK_STEP_S: Final = 0.001
"""What is due within a step of the clock is not due before its next one."""
_OPEN_ENDED: Final = frozenset(
    error.code
    for error in (NetworkError, RequestTimedOutError, NotEnoughReplicasAfterAppendError, LogError)
)
"""Refusals after which the batch may be stored all the same."""

_logger = logging.getLogger(__name__)


class SendOptions(NamedTuple):
    """How batches are sent; the fields are Kafka's settings."""

    acks: int
    linger_s: float
    max_in_flight: int
    max_request_bytes: int
    request_timeout_s: float
    metadata_max_age_s: float


Sent = list[tuple[PartitionQueue, ProducerBatch]]


class Sender(Generic[Address]):
    """Looks at what waits whenever something happens, and has several requests under way.

    Lives on the loop, where `start` is called; `wake` may be called from anywhere. Owns what is
    under way. `stop` ends all of it; what is not settled then is left to be failed.
    """

    def __init__(
        self,
        accumulator: Accumulator,
        memory: BufferMemory,
        cluster: ClusterView[Address],
        connections: ProduceConnections[Address],
        ids: ProducerIds,
        options: SendOptions,
        *,
        clock: Clock,
        backoff_s: Callable[[int], float],
    ) -> None:
        """Assign only; `backoff_s` says how long to wait after so many failures."""
        self._accumulator = accumulator
        self._memory = memory
        self._cluster = cluster
        self._connections = connections
        self._ids = ids
        self._options = options
        self._clock = clock
        self._backoff_s = backoff_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        """The loop's."""
        self._is_woken = False
        self._active: dict[PartitionQueue, None] = {}
        self._in_flight: dict[Address, int] = {}
        """Requests under way."""
        self._answers: set[asyncio.Future[ProduceResponse]] = set()
        self._timer: asyncio.TimerHandle | None = None
        """Left as it is where it comes too early: most are set for deadlines that nobody needs."""
        self._timer_s = math.inf
        """When it goes off."""
        self._stale_topics: set[str] = set()
        self._refresh_task: asyncio.Task[None] | None = None
        self._metadata_due_s = math.inf
        self._next_s = math.inf
        """When to look again, as far as this look has found."""
        self._is_in_trouble = False
        """Whether the last thing that happened was that nothing could be sent."""
        self._flushing = 0
        """How many want everything sent that can be."""

    # -- being woken ----------------------------------------------------------------------------

    def start(self) -> None:
        """Begin, on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._thread = get_ident()
        self._metadata_due_s = self._now_s() + self._options.metadata_max_age_s

    def wake(self) -> None:
        """Look at what waits soon; from any thread."""
        loop = self._loop
        if self._is_woken or loop is None:
            return
        # Two threads may both come here: then it looks twice. An interruption may come with any
        # call: asyncio's own loop is written in Python.
        is_here = get_ident() == self._thread
        self._is_woken = True
        try:
            if is_here:
                loop.call_soon(self.look)  # several system calls less
            else:
                loop.call_soon_threadsafe(self.look)
        except BaseException:
            self._is_woken = False
            raise

    @contextmanager
    def flushing(self) -> Iterator[None]:
        """Let no batch wait for company meanwhile; in any thread."""
        with self._accumulator.lock:
            self._flushing += 1
        try:
            self.wake()
            yield
        finally:
            with self._accumulator.lock:
                self._flushing -= 1

    @property
    def is_here(self) -> bool:
        """Whether this is called on the loop, which must not be blocked."""
        return self._loop is not None and _running_loop() is self._loop

    def abandon(self) -> None:
        """Forget the loop, which is of another process."""
        self._loop = None

    async def stop(self) -> None:
        """Wait for no answer any more."""
        self._loop = None
        if self._timer is not None:
            self._timer.cancel()
        await self._ids.close()
        pending: list[asyncio.Future[Any]] = [*self._answers]
        if self._refresh_task:
            pending.append(self._refresh_task)
        for each in pending:
            each.cancel()
        if pending:
            await asyncio.wait(pending)

    def fail_all(self, error: LogError) -> None:
        """Give up whatever is left; after `stop`."""
        for known in list(self._accumulator.topics.values()):
            for queue in known.queues:
                with self._accumulator.lock:
                    self._accumulator.close_open(queue)
                self._give_up(queue, error)

    def look(self) -> None:
        """Send what can be sent now, and come back when more may be."""
        self._is_woken = False
        if self._loop is None:
            return
        now_s = self._now_s()
        self._next_s = math.inf
        self._active.update(dict.fromkeys(self._accumulator.take_active()))
        while self._send_once(now_s):
            self._next_s = math.inf
        if now_s >= self._metadata_due_s:
            self._metadata_due_s = now_s + self._options.metadata_max_age_s
            self._refresh(*self._accumulator.topics)
        if self._next_s < self._timer_s:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_s = self._next_s
            wait_s = max(self._next_s - now_s, _CLOCK_STEP_S)
            self._timer = self._loop.call_later(wait_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_s = math.inf
        self.look()

    def _now_s(self) -> float:
        return self._clock.monotonic_ms() / 1000

    # -- sending --------------------------------------------------------------------------------

    def _send_once(self, now_s: float) -> bool:
        """Send at most one request to each broker, one batch a partition.

        Returns:
            Whether there may be more to send.
        """
        has_more = False
        requests: dict[Address, tuple[Sent, int]] = {}
        for queue in list(self._active):
            self._expire(queue, now_s)
            if queue.is_empty:
                self._deactivate(queue)
                continue
            address = self._where(queue, now_s)
            if address is None:
                continue
            sent, size = requests.get(address, ([], 0))
            batch = self._next_of(queue, now_s)
            if batch is None:
                continue
            if sent and size + batch.size > self._options.max_request_bytes:
                has_more = True
                continue
            has_more = has_more or queue.has_more
            sent.append((queue, batch))
            requests[address] = (sent, size + batch.size)
            # It had its turn: those for which there was no room come before it.
            del self._active[queue]
            self._active[queue] = None
        for address, (sent, _) in requests.items():
            self._send(address, sent)
        return has_more

    def _where(self, queue: PartitionQueue, now_s: float) -> Address | None:
        """The broker to send to now; None if there is nothing to do, or nowhere to go."""
        options = self._options
        opened = queue.open
        if opened is not None and not queue.ready:
            due_s = opened.created_s + options.linger_s
            if due_s > now_s and not (self._flushing or self._memory.is_wanted):
                self._at(due_s)
                if not queue.numbered:
                    return None
        if queue.retry_at_s > now_s:
            self._at(queue.retry_at_s)
            return None
        address = self._cluster.leader(queue.place)
        queue.has_leader = address is not None
        if address is None:
            self._warn(f"Partition {queue.place} has no leader that is known")
            self._back_off(queue, now_s)
            self._refresh(queue.place.topic)
        elif self._in_flight.get(address, 0) >= options.max_in_flight:
            self._keep_time(queue, now_s)
            return None
        return address

    def _next_of(self, queue: PartitionQueue, now_s: float) -> ProducerBatch | None:
        if queue.needs_producer_id() and not self._identify(queue):
            self._keep_time(queue, now_s)
            return None
        opened = queue.open
        if opened is not None and not queue.ready and queue.takes_new:
            is_due = opened.created_s + self._options.linger_s <= now_s
            if is_due or self._flushing or self._memory.is_wanted:
                self._close_open(queue, now_s)
        if queue.ready and not self._accumulator.encode_next(queue):
            self._at(now_s + _RETRY_LOCK_S)
            return None
        batch = queue.next_to_send()
        if batch is None:
            self._keep_time(queue, now_s)
        return batch

    def _send(self, address: Address, sent: Sent) -> None:
        for queue, batch in sent:
            queue.sent(batch)
        self._in_flight[address] = self._in_flight.get(address, 0) + 1
        answer = self._asked(address, sent)
        self._answers.add(answer)
        answer.add_done_callback(partial(self._settle, address, sent))

    def _asked(self, address: Address, sent: Sent) -> asyncio.Future[ProduceResponse]:
        assert self._loop is not None
        options = self._options
        try:
            parts = produce_body(
                [batch for _, batch in sent],
                acks=options.acks,
                timeout_ms=int(options.request_timeout_s * 1000),
            )
            answer = self._connections.produce(address, parts, options.request_timeout_s + _SLACK_S)
        except Exception as error:  # noqa: BLE001 - answered like one that comes later
            failed: asyncio.Future[ProduceResponse] = self._loop.create_future()
            failed.set_exception(error)
            return failed
        if isinstance(answer, asyncio.Future):
            return answer
        return self._loop.create_task(answer)

    def _settle(
        self, address: Address, sent: Sent, answer: asyncio.Future[ProduceResponse]
    ) -> None:
        self._answers.discard(answer)
        self._release(address)
        if answer.cancelled():
            return  # by `stop`
        results: list[ProduceResult] = []
        failure: LogError | None = None
        error = answer.exception()
        if error is None:
            results = answer.result().partitions
            if [(result.topic, result.partition) for result in results] != [
                queue.place for queue, _ in sent
            ]:
                failure = NetworkError("The broker answered for other partitions")
        elif isinstance(error, LogError):
            failure = error
        else:  # a fault of ours must not leave those who wait without answer
            _logger.error("A produce request failed in an unexpected way", exc_info=error)
            failure = LogError(f"The request failed: {error!r}")
        now_s = self._now_s()
        if failure is not None:
            self._warn(str(failure))
            is_open = getattr(failure, "was_sent", True)
            if isinstance(failure, RequestTooLargeError):
                is_open = False  # it was not even read
            for queue, batch in sent:
                self._refused(queue, batch, failure, now_s, is_open=is_open)
        else:
            for (queue, batch), result in zip(sent, results, strict=True):
                self._answered(queue, batch, result, now_s)
        self.look()

    def _warn(self, sentence: str) -> None:
        """Log why nothing can be sent, once until something could."""
        if not self._is_in_trouble:
            self._is_in_trouble = True
            _logger.warning("%s", sentence)

    def _release(self, address: Address) -> None:
        left = self._in_flight[address] - 1
        if left:
            self._in_flight[address] = left
        else:
            del self._in_flight[address]

    # -- answers --------------------------------------------------------------------------------

    def _answered(
        self, queue: PartitionQueue, batch: ProducerBatch, result: ProduceResult, now_s: float
    ) -> None:
        code = result.error_code
        if code in (0, DuplicateSequenceNumberError.code):
            self._is_in_trouble = False
            queue.accepted(batch, result.base_offset)
            if batch.attempts == 1 and not batch.is_done:
                self._accumulator.reuse(batch)
            self._finish(
                batch, base_offset=result.base_offset, log_append_time=result.log_append_time
            )
            queue.leaving = ()
            return
        error = error_by_code(code)(result.message or None)
        is_open = code in _OPEN_ENDED or result.base_offset != NO_OFFSET
        if isinstance(error, NotLeaderOrFollowerError) and result.leader_url:
            self._cluster.note_leader(queue.place, result.leader_id, result.leader_url)
            is_news = not queue.failures
        else:
            is_news = False
        self._refused(
            queue,
            batch,
            error,
            now_s,
            is_open=is_open,
            is_news=is_news,
            log_start_offset=result.log_start_offset,
        )

    def _refused(
        self,
        queue: PartitionQueue,
        batch: ProducerBatch,
        error: LogError,
        now_s: float,
        *,
        is_open: bool,
        is_news: bool = False,
        log_start_offset: int = NO_OFFSET,
    ) -> None:
        verdict = queue.refused(
            batch, error, is_open=is_open, now_s=now_s, log_start_offset=log_start_offset
        )
        is_sequence = isinstance(error, SEQUENCE_ERRORS)
        if is_sequence or (error.refresh_metadata and not is_news):
            self._refresh(queue.place.topic)
        if verdict is Verdict.SPLIT:
            return
        if verdict is Verdict.FAILED:
            if batch.deadline_s <= now_s and error.retriable:
                error = _too_late(batch, error)
            self._finish(batch, error)
            queue.leaving = ()
        elif is_news:
            queue.failures += 1
        elif not is_sequence or (batch.sent_as_first and not queue.has_gap):
            self._back_off(queue, now_s)

    def _back_off(self, queue: PartitionQueue, now_s: float) -> None:
        queue.failures += 1
        queue.retry_at_s = now_s + self._backoff_s(queue.failures)
        self._at(queue.retry_at_s)

    def _finish(
        self,
        batch: ProducerBatch,
        error: LogError | None = None,
        *,
        base_offset: int = NO_OFFSET,
        log_append_time: int = -1,
    ) -> None:
        reserved, batch.reserved = batch.reserved, 0
        self._memory.give_back(reserved)
        if not batch.is_done:
            batch.finish(error, base_offset=base_offset, log_append_time=log_append_time)

    def _give_up(self, queue: PartitionQueue, error: LogError) -> None:
        """Fail all that was taken but for the open batch."""
        for batch in queue.take_all():
            self._finish(batch, error)
        queue.leaving = ()

    def _expire(self, queue: PartitionQueue, now_s: float) -> None:
        opened = queue.open
        if opened is not None and opened.deadline_s <= now_s:
            self._close_open(queue, now_s)
        for batch in queue.expire(now_s):
            error = _too_late(batch, None)
            if batch.state is BatchState.SENT:
                batch.finish(error)  # its memory is given back with the answer: it is being sent
            else:
                self._finish(batch, error)
        queue.leaving = ()
        oldest = next(iter(queue.numbered or queue.ready), opened)
        if oldest is not None and not oldest.is_done:
            self._at(oldest.deadline_s)

    # -- the rest -------------------------------------------------------------------------------

    def _at(self, when_s: float) -> None:
        self._next_s = min(self._next_s, when_s)

    def _keep_time(self, queue: PartitionQueue, now_s: float) -> None:
        """Let records that come to an open batch which cannot be sent have the time of then."""
        if queue.open is not None:
            self._accumulator.tick(queue)
            self._at(now_s + max(self._options.linger_s, _TICK_S))

    def _close_open(self, queue: PartitionQueue, now_s: float) -> None:
        if not self._accumulator.close_open(queue):
            self._at(now_s + _RETRY_LOCK_S)

    def _deactivate(self, queue: PartitionQueue) -> None:
        del self._active[queue]
        queue.is_active = False
        if not queue.is_empty:  # a thread has just added to it, and saw that it was active
            queue.is_active = True
            self._active[queue] = None

    def _identify(self, queue: PartitionQueue) -> bool:
        current = self._ids.current
        if current >= 0 and queue.identify(current):
            return True
        failure = self._ids.failure
        if failure is None:
            self._ids.request()
            return False
        self._accumulator.close_open(queue)
        self._give_up(queue, failure)
        return False

    def _refresh(self, *topics: str) -> None:
        self._stale_topics.update(topics)
        if self._refresh_task is None and self._loop is not None:
            self._refresh_task = self._loop.create_task(self._refresh_metadata())

    async def _refresh_metadata(self) -> None:
        while self._stale_topics:
            topics, self._stale_topics = self._stale_topics, set()
            for topic in await self._ask_for(topics):
                self._accumulator.set_partitions(*topic)
        self._refresh_task = None
        self.look()

    async def _ask_for(self, topics: set[str]) -> list[tuple[str, int]]:
        try:
            await self._cluster.refresh(topics)
        except LogError:
            return []  # whoever needs it asks again
        found: list[tuple[str, int]] = []
        for topic in topics:
            with suppress(LogError):  # it is gone; the others are not
                found.append((topic, await self._cluster.partitions(topic)))
        return found


def _too_late(batch: ProducerBatch, last: LogError | None) -> DeliveryTimeoutError:
    reason = f"the last attempt: {last.detail}" if last is not None else "no answer"
    if not batch.attempts:
        reason = "it could not be sent"
    return DeliveryTimeoutError(
        f"{batch.record_count} records for {batch.topic}-{batch.partition} were not acknowledged "
        f"within delivery.timeout.ms after {batch.attempts} attempts; {reason}"
    )


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
