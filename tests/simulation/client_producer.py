"""The product's own producer in a simulated cluster: its accumulator, its sender, its numbering.

Its connections are the simulated network's and its picture of the cluster is made here; everything
between the records and the requests is what programs use.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from kafkalite.client.errors import NotSentError
from kafkalite.client.producer.accumulator import BatchOptions
from kafkalite.client.producer.core import CoreOptions, ProducerCore
from kafkalite.client.producer.delivery import Delivery
from kafkalite.client.producer.sender import SendOptions
from kafkalite.model.compression import Compression
from kafkalite.model.errors import InvalidTopicError, LogError, NetworkError
from kafkalite.model.ids import TopicPartition
from kafkalite.transport.errors import PeerError, PeerRefusedError, PeerUnreachableError
from kafkalite.wire.batch import Buffer
from kafkalite.wire.messages import ACKS_ALL, ProduceResponse
from kafkalite.wire.producer_messages import ProducerIdentity
from tests.simulation.clients import Client
from tests.simulation.machine import MachineClock
from tests.simulation.network import Network

_MSGPACK: Final = {"content-type": "application/msgpack"}
_UNAVAILABLE: Final = b'{"error":"COORDINATOR_NOT_AVAILABLE"}'
_GIVE_UP_S: Final = 120.0
"""After it was told to stop: all is well by then, so that everything must be answered."""
_FOR_EVER_S: Final = 1e6

_produced = msgspec.msgpack.Decoder(ProduceResponse).decode


class _Reply(NamedTuple):
    status: int
    body: bytes


class _Picture:
    """Who leads what, as the producer has heard: implements ClusterView."""

    def __init__(self, client: "ClientProducer") -> None:
        self._client = client
        self._leaders: dict[TopicPartition, str] = {}

    async def partitions(self, topic: str, /) -> int:
        found = [each for each in self._client.partitions() if each.topic == topic]
        if not found:
            raise InvalidTopicError(topic)  # or the producer would have it created anew
        return len(found)

    def leader(self, place: TopicPartition, /) -> str | None:
        return self._leaders.get(place)

    async def refresh(self, topics: Collection[str], /) -> None:
        client = self._client
        await asyncio.sleep(client.random.uniform(0.005, 0.1))
        for partition in client.partitions():
            leader = client.leader_of(partition)
            if partition.topic in topics and leader and client.random.random() < 0.8:
                self._leaders[partition] = leader

    def note_leader(self, place: TopicPartition, _broker_id: int, url: str, /) -> None:
        self._leaders[place] = url.removeprefix("http://")

    def any_broker(self) -> str:
        return self._client.some_address()


class _Connections:
    """Implements ProduceConnections. Requests may overtake each other, which real ones do not."""

    def __init__(self, network: Network, take_id: Callable[[], Awaitable[int | None]]) -> None:
        self._network = network
        self._take_id = take_id

    async def produce(
        self, address: str, parts: Sequence[Buffer], timeout_s: float, /
    ) -> ProduceResponse:
        body = b"".join(parts)
        try:
            reply = await self._network.exchange(
                address, "POST", "/v1/produce", _MSGPACK, body, timeout_s
            )
        except (PeerRefusedError, PeerUnreachableError) as error:
            raise NotSentError(str(error)) from error
        except PeerError as error:
            raise NetworkError(str(error)) from error
        if reply.status != 200:
            raise NetworkError(f"HTTP {reply.status}")
        return _produced(reply.body)

    async def request(
        self,
        _address: str,
        _method: str,
        _target: str,
        _headers: Mapping[str, str],
        _body: bytes,
        _timeout_s: float,
        /,
    ) -> _Reply:
        """All that a producer asks for besides is an id; administration is not simulated."""
        producer_id = await self._take_id()
        if producer_id is None:
            return _Reply(503, _UNAVAILABLE)
        return _Reply(200, msgspec.json.encode(ProducerIdentity(producer_id, 0)))


class ClientProducer(Client):
    """Sends records through the product's producer, and waits for each."""

    take_id: Callable[[], Awaitable[int | None]]
    """Asks some broker for a producer id."""
    leader_of: Callable[[TopicPartition], str | None]
    """The address of who truly leads."""

    def some_address(self) -> str:
        """That of any broker."""
        return self.random.choice(self._addresses)

    def sent_to(self, partition: TopicPartition) -> list[bytes]:
        """Every record, in order."""
        return self._sent.get(partition, [])

    async def run(self, pause_s: float) -> None:
        """Write until told to stop, and then until all is answered."""
        self._sent: dict[TopicPartition, list[bytes]] = {}
        self._deliveries: list[tuple[Delivery, TopicPartition, bytes]] = []
        core = self._make_core()
        core.open()
        while not self.is_told_to_stop:
            partitions = self.partitions()
            if partitions:
                await self._write(core, self.random.choice(partitions))
            await asyncio.sleep(self.random.uniform(0.0, 0.8 * pause_s))
        try:
            async with asyncio.timeout(_GIVE_UP_S):
                for delivery, partition, value in self._deliveries:
                    await self._settle(delivery, partition, value)
        except TimeoutError:
            self.history.contradict(f"INV-6 records of {self.name} are never taken")
        await core.close(0)

    def _make_core(self) -> ProducerCore[str]:
        random = self.random
        request_bytes = random.choice((300, 1 << 20))
        options = CoreOptions(
            BatchOptions(
                batch_bytes=200,  # any segment has room for it
                max_request_bytes=request_bytes,
                delivery_timeout_s=_FOR_EVER_S,
                compression=Compression.NONE,
                partitioner=None,
                ignores_keys=False,
            ),
            SendOptions(
                acks=ACKS_ALL,
                linger_s=random.choice((0.0, 0.02)),
                max_in_flight=random.choice((1, 5, 5, 5)),
                max_request_bytes=request_bytes,
                request_timeout_s=random.choice((0.3, 2.0)),
                metadata_max_age_s=30.0,
            ),
            buffer_bytes=1 << 20,
            is_idempotent=True,
            retries=2**31 - 1,
            max_block_s=5.0,
            is_adaptive=False,
        )
        return ProducerCore(
            options,
            _Picture(self),
            _Connections(self.network, self.take_id),
            clock=MachineClock(),
            backoff_s=lambda failures: random.uniform(0.0, min(0.05 * 2**failures, 1.0)),
            randrange=random.randrange,
        )

    async def _write(self, core: ProducerCore[str], partition: TopicPartition) -> None:
        sent = self._sent.setdefault(partition, [])
        value = f"{self.name}/{len(sent)}".encode() + b"." * self.random.choice((0, 0, 0, 60))
        try:
            delivery = await core.wait_on_loop(
                core.taking(partition.topic, value, partition=partition.partition)
            )
        except LogError as error:  # a partition that was just added, or a topic that just went
            self.trace.note(self.name, f"{partition}: {error}")
            return
        sent.append(value)
        self.history.sent += 1
        self._deliveries.append((delivery, partition, value))

    async def _settle(self, delivery: Delivery, partition: TopicPartition, value: bytes) -> None:
        # A topic that is deleted tells nobody.
        while not delivery.is_done and partition.topic not in self.history.deleted:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        if partition.topic in self.history.deleted:
            return
        try:
            offset = (await delivery).offset
        except LogError as error:
            self.history.contradict(f"INV-6 {partition} {value[:12]!r}: {error}")
            return
        self.history.acked(partition, offset, [value], acks_all=True)
