"""A producer that sends every batch until it is answered, several at a time, and each once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import msgspec

from kafkalite.model.errors import (
    InvalidProducerEpochError,
    OutOfOrderSequenceNumberError,
    UnknownProducerIdError,
)
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.messages import ACKS_ALL, PartitionBatches, ProduceRequest, ProduceResponse
from tests.simulation.clients import Client
from tests.simulation.process import EPOCH_MS
from tests.support.idempotent import idempotent

_WINDOW: Final = 5
"""Batches of one partition, from the first without an answer on: as many as a broker remembers."""
_GIVE_UP_S: Final = 120.0
"""After it was told to stop: all is well by then, so that everything must be answered."""
_REFUSALS: Final = frozenset(
    {
        OutOfOrderSequenceNumberError.name,
        InvalidProducerEpochError.name,
        UnknownProducerIdError.name,
    }
)

_encode = msgspec.msgpack.Encoder().encode
_produced = msgspec.msgpack.Decoder(ProduceResponse).decode


class _Lane:
    """What goes to one partition: its records are numbered, and so are its batches."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        """Every record, in order; the sequence of each is its index."""
        self.batches = 0
        """That were sent."""
        self.unanswered: dict[int, int] = {}
        """Which of them have no answer, ascending, and the first sequence of each."""
        self.work: set[asyncio.Task[None]] = set()


class IdempotentProducer(Client):
    """Has each batch sent again, by itself, until it is acknowledged; the broker keeps order."""

    take_id: Callable[[], Awaitable[int | None]]
    """Asks some broker for a producer id."""
    leadership_of: Callable[[TopicPartition, str], object] = staticmethod(lambda *_: None)
    """The epoch in which an address truly leads a partition and knows it; else None."""
    expects_damage = False

    async def run(self, pause_s: float) -> None:
        """Write until told to stop, and then until all is answered."""
        self._lanes: dict[TopicPartition, _Lane] = {}
        producer_id = await self.take_id()
        while producer_id is None and not self.is_told_to_stop:
            await asyncio.sleep(0.2)
            producer_id = await self.take_id()
        while not self.is_told_to_stop:
            partitions = self.partitions()
            if partitions and producer_id is not None:
                self._write(producer_id, self.random.choice(partitions))
            await asyncio.sleep(self.random.uniform(0.2 * pause_s, 1.8 * pause_s))
        working = {task for lane in self._lanes.values() for task in lane.work}
        if working:
            _, late = await asyncio.wait(working, timeout=_GIVE_UP_S)
            if late:
                self.history.contradict(f"INV-6 {len(late)} batches of {self.name} are never taken")

    def sent_to(self, partition: TopicPartition) -> list[bytes]:
        """Every record, in order."""
        lane = self._lanes.get(partition)
        return lane.sent if lane is not None else []

    def _write(self, producer_id: int, partition: TopicPartition) -> None:
        lane = self._lanes.setdefault(partition, _Lane())
        number = lane.batches
        if lane.unanswered and number - next(iter(lane.unanswered)) >= _WINDOW:
            return
        sequence = len(lane.sent)
        end = sequence + self.random.randint(1, 3)
        values = [f"{self.name}/{record}".encode() for record in range(sequence, end)]
        values[-1] += b"." * self.random.choice((0, 0, 10, 200))  # any segment has room for it
        lane.sent += values
        lane.batches += 1
        lane.unanswered[number] = sequence
        self.history.sent += len(values)
        batch, _ = idempotent(
            *values, sequence=sequence, producer_id=producer_id, timestamp=EPOCH_MS
        )
        task = asyncio.create_task(self._deliver(lane, partition, number, values, batch))
        lane.work.add(task)
        task.add_done_callback(lane.work.discard)

    async def _deliver(
        self,
        lane: _Lane,
        partition: TopicPartition,
        number: int,
        values: list[bytes],
        batch: bytes,
    ) -> None:
        while partition.topic not in self.history.deleted:
            base_offset = await self._try(lane, partition, number, batch)
            if base_offset is not None:
                self.history.acked(partition, base_offset, values, acks_all=True)
                break
            await asyncio.sleep(self.random.uniform(0.02, 0.3))
        del lane.unanswered[number]

    async def _try(
        self, lane: _Lane, partition: TopicPartition, number: int, batch: bytes
    ) -> int | None:
        """Send a batch once; the offset at which it is acknowledged, if it is."""
        timeout_ms = self.random.choice((300, 2_000, 10_000))
        entry = PartitionBatches(*partition, memoryview(batch))
        request = ProduceRequest([entry], ACKS_ALL, timeout_ms)
        address = self.address_for(partition)
        # What precedes it is acknowledged, so that whoever leads must know of it.
        is_next = next(iter(lane.unanswered)) == number
        leadership = self.leadership_of(partition, address)
        # A client that does not wait long enough sends again what is still on its way.
        patience_s = self.random.choice((0.1, timeout_ms / 1000 + 1))
        body = await self.post(address, "/v1/produce", _encode(request), patience_s)
        if body is None:
            self.learn(partition, "", address, is_well=False)
            return None
        (result,) = _produced(body).partitions
        is_well = result.error_code == 0
        self.learn(partition, result.leader_url, address, is_well=is_well)
        what = f"{partition} sequence {lane.unanswered[number]} via {address}"
        self.trace.note(self.name, f"{what}: {result.error or f'@{result.base_offset}'}")
        if is_well:
            return result.base_offset
        if (
            result.error in _REFUSALS
            and is_next
            and not self.expects_damage
            and leadership is not None
            and leadership == self.leadership_of(partition, address)
            and partition.topic not in self.history.deleted
        ):
            self.history.contradict(f"INV-6 {what}: {result.error}, {result.message}")
        return None


class Sender(Protocol):
    """Whoever sends each record once, as far as it knows, and in order."""

    name: str

    def sent_to(self, partition: TopicPartition) -> list[bytes]:
        """Every record, in order."""


def check_order(
    producer: Sender,
    partition: TopicPartition,
    seen: dict[int, bytes],
    fail: Callable[[str], None],
) -> None:
    """INV-6: of all that a producer sent, each record is there exactly once, and in order."""
    sent = producer.sent_to(partition)
    own = f"{producer.name}/".encode()
    stored = [seen[offset] for offset in sorted(seen) if seen[offset].startswith(own)]
    if stored == sent:
        return
    at = next((n for n, (one, other) in enumerate(zip(stored, sent, strict=False)) if one != other),
              min(len(stored), len(sent)))  # fmt: skip
    fail(
        f"INV-6 {partition} holds {len(stored)} records of {producer.name}, which sent "
        f"{len(sent)}; from {at} on {stored[at : at + 5]} where {sent[at : at + 5]} were sent"
    )
