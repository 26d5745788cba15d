"""The producer for programs without an event loop."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Never, Self

from kafkalite.client.io_thread import IoThread
from kafkalite.client.producer.accumulator import NoRoom
from kafkalite.client.producer.assembly import assemble
from kafkalite.client.producer.delivery import Deliveries, Delivery
from kafkalite.client.producer.producer_batch import VALUE_OVERHEAD, ProducerBatch
from kafkalite.client.producer.record_encoding import (
    Headers,
    check_timestamp,
    to_bytes,
    to_headers,
    to_values,
)
from kafkalite.client.producer.settings import ProducerSettings
from kafkalite.client.settings import keywords_only


class Producer:
    """Sends records to topics, in the background: the process's I/O thread does the sending.

        with Producer(bootstrap_servers="localhost:9092") as producer:
            delivery = producer.send("flights", b"UA1545", key=b"UA")
            print(delivery.result())

    Takes Kafka's settings, with underscores for dots: docs/client/producer.md. Any thread may use
    it. Callbacks run on the I/O thread. What was taken is sent before the interpreter exits. After
    a fork it is the parent's, and refuses in the child.
    """

    def __init__(self, *given: Never, **settings: Any) -> None:  # noqa: ANN401 - of many types
        """Be ready to send; brokers are asked when there is something to send.

        Raises:
            ConfigError: a setting is wrong.
        """
        keywords_only("Producer", given)
        checked = ProducerSettings.of(settings)
        self._serialize_key, self._serialize_value = checked.serializers()
        self._io = IoThread.shared()
        self._ticket = self._io.register(self._close_at_exit)
        try:
            self._assembly = self._io.run(assemble(checked))
        except BaseException:
            self._io.leave(self._ticket)
            raise
        self._core = self._assembly.core
        accumulator = self._core.accumulator
        self._append = accumulator.append
        self._acquire = accumulator.lock.acquire
        self._release = accumulator.lock.release
        self._plain: dict[str, ProducerBatch] = (
            accumulator.plain if self._serialize_value is None else {}
        )

    def send(
        self,
        topic: str,
        value: Any = None,  # noqa: ANN401 - what the serializer takes
        key: Any = None,  # noqa: ANN401 - likewise
        partition: int | None = None,
        headers: Headers | None = None,
        timestamp: int | None = None,
    ) -> Delivery:
        """Take a record to be sent; blocks only for memory, or to learn of a new topic.

        Args:
            topic: created where it does not exist and brokers create topics.
            value: the record; None is a tombstone.
            key: records with the same key go to the same partition.
            partition: where to send it, instead of by key.
            headers: names with bytes.
            timestamp: milliseconds since 1970; else that of now.

        Returns:
            What to ask for where the record was stored.

        Raises:
            SerializationError: the value, key or a header cannot be sent.
            BufferExhaustedError: there was no memory within max.block.ms.
            LogError: the topic or partition does not exist, or the producer is closed.
        """
        if (
            key is None
            and partition is None
            and headers is None
            and timestamp is None
            and type(value) is bytes
        ):
            # What Accumulator.append would do, spelled out: this is 0.3 us of which a call of it
            # would be as much again. The lock is one that a thread can be asked about, since an
            # interruption may come right behind `acquire`, where no `try` or `with` has begun yet.
            batch = self._plain.get(topic)
            if batch is not None:
                try:
                    self._acquire()
                    size = batch.size + len(value) + VALUE_OVERHEAD
                    if size <= batch.plain_limit:
                        values = batch.values
                        index = len(values)
                        values.append(value)
                        batch.size = size
                        self._release()
                        return Delivery(batch, index)
                    self._release()
                except BaseException:
                    self._release_if_held()
                    raise
        return self._send(topic, value, key, partition, headers, timestamp)

    def _send(
        self,
        topic: str,
        value: object,
        key: object,
        partition: int | None,
        headers: Headers | None,
        timestamp: int | None,
    ) -> Delivery:
        check_timestamp(timestamp)
        data = to_bytes("value", value, self._serialize_value)
        key_data = to_bytes("key", key, self._serialize_key)
        pairs = to_headers(headers)
        taken = self._append(topic, data, key_data, partition, pairs, timestamp)
        if isinstance(taken, Delivery):
            return taken
        if isinstance(taken, NoRoom):
            partition = taken.partition
        core = self._core
        return core.wait(
            core.taking(topic, data, key_data, partition, pairs, timestamp), self._learn
        )

    def send_many(
        self, topic: str, values: Sequence[Any], *, partition: int | None = None
    ) -> Deliveries:
        """Take many values without keys, in order; several times as fast as `send`.

        Raises:
            SerializationError: one of them cannot be sent; none was taken.
            BufferExhaustedError: there was no memory within max.block.ms; some may be under way.
            LogError: the topic or partition does not exist, or the producer is closed.
        """
        data = to_values(values, self._serialize_value)
        core = self._core
        return core.wait(core.taking_many(topic, data, partition), self._learn)

    def partitions_for(self, topic: str) -> int:
        """How many partitions `topic` has; it is created where `send` would do so.

        Raises:
            LogError: there is no such topic, or nobody answered within max.block.ms.
        """
        return self._io.run(self._core.learn(topic, self._core.options.max_block_s))

    def flush(self, timeout: float | None = None) -> None:
        """Send what waits, and return when it is known of each record what became of it.

        Raises:
            TimeoutError: it was not within `timeout` seconds.
        """
        if not self._core.flush_blocking(timeout):
            raise TimeoutError(f"Records were not acknowledged within {timeout} s")

    def close(self, timeout: float | None = None) -> None:
        """Send what waits, within `timeout` seconds, and let go of connections.

        What is not acknowledged by then is given up with ClosedError. A second time, and after a
        fork in the child, it does nothing. Interrupted, it gives up at once.
        """
        if not self._io.is_usable or not self._core.is_open:
            return
        try:
            self._io.run(self._assembly.close(timeout))
        finally:
            self._io.leave(self._ticket)

    def _close_at_exit(self) -> None:
        """As `close`; where a thread is at that which will not live on, wait for it to be done."""
        self._io.run(self._assembly.close(None))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _learn(self, topic: str, timeout_s: float) -> None:
        self._io.run(self._core.learn(topic, timeout_s))

    def _release_if_held(self) -> None:
        """Let go of the lock if an interruption came while this thread had it."""
        try:
            self._release()
        except RuntimeError:
            return  # it had not
