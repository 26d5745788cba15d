"""The producer for programs that run an event loop."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Never, Self

from kafkalite.client.producer.assembly import Assembly, assemble
from kafkalite.client.producer.delivery import Deliveries, Delivery
from kafkalite.client.producer.record_encoding import (
    Headers,
    check_timestamp,
    to_bytes,
    to_headers,
    to_values,
)
from kafkalite.client.producer.settings import ProducerSettings
from kafkalite.client.settings import keywords_only


class AsyncProducer:
    """Sends records to topics, in the background of the loop on which `start` was called.

        async with AsyncProducer(bootstrap_servers="localhost:9092") as producer:
            delivery = await producer.send("flights", b"UA1545", key=b"UA")
            print(await delivery)

    Takes Kafka's settings, with underscores for dots: docs/client/producer.md. For one loop; its
    callbacks run there.
    """

    def __init__(self, *given: Never, **settings: Any) -> None:  # noqa: ANN401 - of many types
        """Check the settings; nothing is connected before `start`.

        Raises:
            ConfigError: a setting is wrong.
        """
        keywords_only("AsyncProducer", given)
        self._settings = ProducerSettings.of(settings)
        self._serialize_key, self._serialize_value = self._settings.serializers()
        self._assembly: Assembly | None = None

    async def start(self) -> None:
        """Begin; a second time it does nothing. `async with` does it."""
        if self._assembly is None:
            self._assembly = await assemble(self._settings)

    async def send(
        self,
        topic: str,
        value: Any = None,  # noqa: ANN401 - what the serializer takes
        key: Any = None,  # noqa: ANN401 - likewise
        partition: int | None = None,
        headers: Headers | None = None,
        timestamp: int | None = None,
    ) -> Delivery:
        """Take a record to be sent; waits only for memory, or to learn of a new topic.

        Args:
            topic: created where it does not exist and brokers create topics.
            value: the record; None is a tombstone.
            key: records with the same key go to the same partition.
            partition: where to send it, instead of by key.
            headers: names with bytes.
            timestamp: milliseconds since 1970; else that of now.

        Returns:
            What to await for where the record was stored.

        Raises:
            SerializationError: the value, key or a header cannot be sent.
            BufferExhaustedError: there was no memory within max.block.ms.
            LogError: the topic or partition does not exist, or the producer is closed.
        """
        check_timestamp(timestamp)
        core = self._started.core
        record = (
            to_bytes("value", value, self._serialize_value),
            to_bytes("key", key, self._serialize_key),
            partition,
            to_headers(headers),
            timestamp,
        )
        taken = core.accumulator.append(topic, *record)
        if isinstance(taken, Delivery):
            return taken  # nothing to wait for, as nearly always
        return await core.wait_on_loop(core.taking(topic, *record, obstacle=taken))

    async def send_many(
        self, topic: str, values: Sequence[Any], *, partition: int | None = None
    ) -> Deliveries:
        """Take many values without keys, in order; several times as fast as `send`.

        Raises:
            SerializationError: one of them cannot be sent; none was taken.
            BufferExhaustedError: there was no memory within max.block.ms; some may be under way.
            LogError: the topic or partition does not exist, or the producer is closed.
        """
        core = self._started.core
        data = to_values(values, self._serialize_value)
        return await core.wait_on_loop(core.taking_many(topic, data, partition))

    async def partitions_for(self, topic: str) -> int:
        """How many partitions `topic` has; it is created where `send` would do so.

        Raises:
            LogError: there is no such topic, or nobody answered within max.block.ms.
        """
        core = self._started.core
        return await core.learn(topic, core.options.max_block_s)

    async def flush(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - Kafka's name
        """Send what waits, and return when it is known of each record what became of it.

        Raises:
            TimeoutError: it was not within `timeout` seconds.
        """
        if not await self._started.core.flush(timeout):
            raise TimeoutError(f"Records were not acknowledged within {timeout} s")

    async def close(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - Kafka's name
        """Send what waits, within `timeout` seconds, and let go of connections.

        What is not acknowledged by then is given up with ClosedError. A second time: nothing.
        """
        if self._assembly is not None:
            await self._assembly.close(timeout)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def _started(self) -> Assembly:
        if self._assembly is None:
            raise RuntimeError("The producer is not started: use `async with`, or await start()")
        return self._assembly
