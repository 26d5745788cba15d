"""A producer without a face: what `Producer` and `AsyncProducer` share."""

import asyncio
import contextlib
import logging
import math
import os
from collections.abc import Callable, Generator, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar
from weakref import WeakSet

import msgspec

from kafkalite.client.bell import Bell
from kafkalite.client.errors import BufferExhaustedError, ClosedError
from kafkalite.client.producer.accumulator import (
    Accumulator,
    BatchOptions,
    NoMetadata,
    NoRoom,
    Obstacle,
)
from kafkalite.client.producer.buffer_memory import BufferMemory
from kafkalite.client.producer.delivery import Deliveries, Delivery, settled
from kafkalite.client.producer.partition_queue import PartitionQueue
from kafkalite.client.producer.partitioner import StickyChoice
from kafkalite.client.producer.ports import Address, ClusterView, ProduceConnections
from kafkalite.client.producer.producer_ids import ProducerIds
from kafkalite.client.producer.sender import Sender, SendOptions
from kafkalite.model.clock import Clock
from kafkalite.model.errors import (
    LogError,
    NetworkError,
    RequestTimedOutError,
    UnknownTopicOrPartitionError,
    UnsupportedVersionError,
    error_by_name,
)
from kafkalite.model.ids import TopicPartition
from kafkalite.model.record import Header
from kafkalite.wire.messages import ACKS_ALL, PartitionBatches, ProduceRequest

_PRODUCER_IDS: Final = "/v1/producer-ids"
_JSON: Final = {"content-type": "application/json"}
_CREATION_PAUSE_S: Final = 0.05

T = TypeVar("T")

_logger = logging.getLogger(__name__)


class _IdAnswer(msgspec.Struct):
    """Of /v1/producer-ids, or a problem document."""

    producer_id: int = -1
    error: str = ""
    detail: str = ""


_decode_id = msgspec.json.Decoder(_IdAnswer).decode
_encode_request = msgspec.msgpack.Encoder().encode


_open_cores: Final[WeakSet["ProducerCore[Any]"]] = WeakSet()
"""Of this process, or of the one that it was forked from a moment ago."""


class CoreOptions(NamedTuple):
    """What the parts of a producer are told."""

    batch: BatchOptions
    send: SendOptions
    buffer_bytes: int
    is_idempotent: bool
    retries: int
    max_block_s: float
    is_adaptive: bool
    """Whether partitions for which more waits get fewer records without a key."""


class ProducerCore(Generic[Address]):
    """Takes records in any thread and has them sent from the loop that `open` is called on.

    Owned by a face. `close` ends it, once.
    """

    def __init__(
        self,
        options: CoreOptions,
        cluster: ClusterView[Address],
        connections: ProduceConnections[Address],
        *,
        clock: Clock,
        backoff_s: Callable[[int], float],
        randrange: Callable[[int], int],
    ) -> None:
        """Assign only.

        Args:
            backoff_s: how long to wait after so many failures.
            randrange: as `random.randrange`, of one argument.
        """
        self.options = options
        self._cluster = cluster
        self._connections = connections
        self._clock = clock
        self._backoff_s = backoff_s
        self.memory = BufferMemory(options.buffer_bytes, batch_bytes=options.batch.batch_bytes)
        self.accumulator = Accumulator(
            options.batch,
            self.memory,
            clock,
            make_queue=self._make_queue,
            make_sticky=lambda: StickyChoice(
                batch_bytes=options.batch.batch_bytes,
                is_adaptive=options.is_adaptive,
                randrange=randrange,
            ),
            wake=self.wake,
            settles_here=lambda: self._sender.is_here,
        )
        ids = ProducerIds(self._ask_for_id, backoff_s=backoff_s, on_change=self.wake)
        self._sender = Sender(
            self.accumulator,
            self.memory,
            cluster,
            connections,
            ids,
            options.send,
            clock=clock,
            backoff_s=backoff_s,
        )
        self.is_open = False

    def _make_queue(self, place: TopicPartition) -> PartitionQueue:
        return PartitionQueue(
            place,
            is_idempotent=self.options.is_idempotent,
            max_in_flight=self.options.send.max_in_flight,
            retries=self.options.retries,
            accepts_loss=self.options.send.acks != ACKS_ALL,
        )

    def wake(self) -> None:
        """Have the loop look at what waits; from any thread."""
        self._sender.wake()

    # -- on the loop ----------------------------------------------------------------------------

    def open(self) -> None:
        """Begin to send; on the running loop."""
        self.is_open = True
        _open_cores.add(self)
        self._sender.start()

    async def learn(self, topic: str, timeout_s: float) -> int:
        """Find out how many partitions `topic` has, and have it created if brokers do that.

        Raises:
            LogError: there is no such topic, or nobody answered within `timeout_s`.
        """
        due_s = self._now_s() + timeout_s
        failures = 0
        is_created = False
        while True:
            try:
                count = await self._cluster.partitions(topic)
            except UnknownTopicOrPartitionError as error:
                last: LogError = error
                if not is_created:
                    is_created = await self._create(topic)
                    if not is_created:
                        raise
                pause_s = _CREATION_PAUSE_S
            except LogError as error:
                if not error.retriable:
                    raise
                if not failures:
                    reason = str(error).rstrip(".")
                    _logger.warning("%s. Trying again for %g s (max.block.ms).", reason, timeout_s)
                failures += 1
                pause_s = self._backoff_s(failures)
                last = error
            else:
                self.accumulator.set_partitions(topic, count)
                return count
            if self._now_s() + pause_s > due_s:
                raise RequestTimedOutError(
                    f"The partitions of topic '{topic}' were not known within max.block.ms "
                    f"({timeout_s * 1000:.0f}): {last.detail}"
                )
            await asyncio.sleep(pause_s)

    async def _create(self, topic: str) -> bool:
        """Have a broker create `topic` as it does for any producer: by sending it nothing.

        Returns:
            False where brokers do not create topics.
        """
        entries = [PartitionBatches(topic, 0, memoryview(b""))]
        request = _encode_request(ProduceRequest(entries))
        timeout_s = self.options.send.request_timeout_s
        try:
            response = await self._connections.produce(
                self._cluster.any_broker(), [request], timeout_s
            )
        except LogError as error:
            if not error.retriable:
                raise
            return True  # perhaps; what is missing is asked for again
        return response.partitions[0].error_code != UnknownTopicOrPartitionError.code

    async def _ask_for_id(self) -> int:
        reply = await self._connections.request(
            self._cluster.any_broker(),
            "POST",
            _PRODUCER_IDS,
            _JSON,
            b"{}",
            self.options.send.request_timeout_s,
        )
        try:
            answer = _decode_id(reply.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            answer = _IdAnswer()
        if reply.status == 200 and answer.producer_id >= 0:
            return answer.producer_id
        if reply.status in (404, 405):
            raise UnsupportedVersionError(
                "The brokers give no producer ids; set enable.idempotence=false"
            )
        reason = answer.detail or f"No producer id: HTTP {reply.status}"
        # Without a name it comes from something between, and says nothing of the next attempt.
        raise error_by_name(answer.error)(reason) if answer.error else NetworkError(reason)

    async def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until all that was taken so far is settled; gives whether it is, in time."""
        with self._sender.flushing():
            try:
                async with asyncio.timeout(timeout_s):
                    for batch in self.accumulator.unfinished():
                        await settled(batch)
            except TimeoutError:
                return False
        return True

    async def close(self, timeout_s: float | None) -> None:
        """Take nothing more, send the rest within `timeout_s`, fail what is left then."""
        if not self.is_open:
            return
        self.is_open = False
        _open_cores.discard(self)
        self.accumulator.refuse(ClosedError("The producer is closed"))
        try:
            if timeout_s is None or timeout_s > 0:
                await self.flush(timeout_s)
        finally:
            await self._sender.stop()
            self._sender.fail_all(ClosedError("The producer was closed before it was sent"))

    # -- in any thread --------------------------------------------------------------------------

    def taking(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        partition: int | None = None,
        headers: tuple[Header, ...] = (),
        timestamp: int | None = None,
        *,
        obstacle: Obstacle | None = None,
    ) -> Generator["Wait", None, Delivery]:
        """Take one record; yields what to wait for, as long as there is something.

        `obstacle` is what `Accumulator.append` said, where it was tried before.
        """
        patience = _Patience(self)
        while True:
            if obstacle is not None:
                if isinstance(obstacle, NoRoom):
                    partition = obstacle.partition  # it is chosen once
                yield from patience.until_gone(obstacle)
            taken = self.accumulator.append(topic, value, key, partition, headers, timestamp)
            if isinstance(taken, Delivery):
                return taken
            obstacle = taken

    def taking_many(
        self, topic: str, values: Sequence[bytes], partition: int | None = None
    ) -> Generator["Wait", None, Deliveries]:
        """Take values, as `taking`."""
        patience = _Patience(self)
        taken = Deliveries()
        start = 0
        while True:
            before = start
            start, obstacle = self.accumulator.append_many(topic, values, start, partition, taken)
            if obstacle is None:
                return taken
            if start > before:
                patience = _Patience(self)
            yield from patience.until_gone(obstacle)

    def wait(self, waits: Generator["Wait", None, T], learn: Callable[[str, float], object]) -> T:
        """Run `waits` to their end, blocking; `learn` finds out about a topic, blocking as well."""
        while True:
            try:
                wait = next(waits)
            except StopIteration as end:
                result: T = end.value
                return result
            if wait.topic is not None:
                learn(wait.topic, wait.timeout_s)
            elif self._sender.is_here:
                raise BufferExhaustedError(
                    "The buffer is full, and a callback of the producer cannot wait for it to get "
                    "empty: send from another thread"
                )
            else:
                bell = Bell()
                self.memory.call_when_returned(bell.ring)
                if not self._has_room(wait.size):
                    bell.wait(wait.timeout_s)

    async def wait_on_loop(self, waits: Generator["Wait", None, T]) -> T:
        """As `wait`, on the loop."""
        while True:
            try:
                wait = next(waits)
            except StopIteration as end:
                result: T = end.value
                return result
            if wait.topic is not None:
                await self.learn(wait.topic, wait.timeout_s)
            else:
                returned = asyncio.Event()
                self.memory.call_when_returned(returned.set)
                if not self._has_room(wait.size):
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(wait.timeout_s):
                            await returned.wait()

    def flush_blocking(self, timeout_s: float | None = None) -> bool:
        """As `flush`, in another thread than the loop's.

        Raises:
            RuntimeError: called on the loop, by a callback.
        """
        if self._sender.is_here:
            raise RuntimeError(
                "a callback must not flush the producer that calls it: do it in another thread"
            )
        due_s = math.inf if timeout_s is None else self._now_s() + timeout_s
        with self._sender.flushing():
            for batch in self.accumulator.unfinished():
                left_s = None if timeout_s is None else max(due_s - self._now_s(), 0)
                if not batch.wait(left_s):
                    return False
        return True

    def orphan(self) -> None:
        """Belong to no loop any more, in a process that was forked from the one with the loop."""
        self.is_open = False
        self._sender.abandon()
        self.accumulator.abandon(
            ClosedError(
                "This producer belongs to the process that made it, and this process was forked "
                "from that one: make a producer here"
            )
        )

    def _has_room(self, size: int) -> bool:
        """Whether there is memory now; else whatever holds some is sent soon."""
        self.wake()
        with self.accumulator.lock:
            return self.memory.free >= size

    def _now_s(self) -> float:
        return self._clock.monotonic_ms() / 1000


class Wait(NamedTuple):
    """What a caller has to wait for."""

    topic: str | None
    """The topic to learn about; None: memory has to be given back."""
    size: int
    timeout_s: float


class _Patience:
    """How long one call may still wait."""

    def __init__(self, core: ProducerCore[Any]) -> None:
        self._core = core
        self._due_s: float | None = None

    def until_gone(self, obstacle: Obstacle) -> Generator[Wait, None, None]:
        core = self._core
        now_s = core._clock.monotonic_ms() / 1000
        if self._due_s is None:
            self._due_s = now_s + core.options.max_block_s
        left_s = self._due_s - now_s
        if isinstance(obstacle, NoMetadata):
            yield Wait(obstacle.topic, 0, max(left_s, 0))
        elif left_s > 0:
            yield Wait(None, obstacle.size, left_s)
        else:
            raise BufferExhaustedError(
                f"Records that are not acknowledged take all of buffer.memory ({core.memory.total} "
                f"bytes), and none was given back within max.block.ms "
                f"({core.options.max_block_s * 1000:.0f}): send less fast, or raise one of the two"
            )


def _orphan_all() -> None:
    """After a fork, in the child: the threads that send for these producers are not here."""
    for core in list(_open_cores):
        core.orphan()
    _open_cores.clear()


os.register_at_fork(after_in_child=_orphan_all)
