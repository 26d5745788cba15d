"""Producers and consumers: they know nothing but addresses, and remember what they were told."""

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

import msgspec

from kafkalite.model.errors import CorruptMessageError
from kafkalite.model.ids import TopicPartition
from kafkalite.model.record import Record
from kafkalite.transport.errors import PeerError
from kafkalite.wire.messages import (
    ACKS_ALL,
    ACKS_LEADER,
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchResult,
    PartitionBatches,
    ProduceRequest,
    ProduceResponse,
    ProduceResult,
)
from kafkalite.wire.records import decode_batches, encode_batch
from tests.simulation.history import History
from tests.simulation.network import Network
from tests.simulation.trace import Trace

_MSGPACK: Final = {"content-type": "application/msgpack"}
_TIME_MS: Final = 1_700_000_000_000
_MAX_BYTES: Final = 1 << 20

_encode = msgspec.msgpack.Encoder().encode
_produced = msgspec.msgpack.Decoder(ProduceResponse).decode
_fetched = msgspec.msgpack.Decoder(FetchResponse).decode


class Client:
    """Sends requests to whoever it believes to lead.

    What it is told counts if the partition was in one and the same life when it asked and when it
    was answered: topics are deleted and made anew, and unclean elections lose records.
    """

    life_of: Callable[[TopicPartition], str | None] = staticmethod(lambda _: "")
    """Which life of a partition every broker knows of; None: not all know of the same."""

    def __init__(
        self,
        name: str,
        network: Network,
        history: History,
        trace: Trace,
        addresses: Sequence[str],
        partitions: Callable[[], Sequence[TopicPartition]],
        random: Random,
    ) -> None:
        """Build.

        Args:
            name: of the client.
            network: its only way to the brokers.
            history: where it says what it was told.
            trace: where it says what it does.
            addresses: of all brokers.
            partitions: gives what there is to write to and to read.
            random: its chance.
        """
        self.name = name
        self.network = network
        self.history = history
        self.trace = trace
        self.random = random
        self.partitions = partitions
        self.is_told_to_stop = False
        self._addresses = addresses
        self._leaders: dict[TopicPartition, str] = {}

    async def run(self, pause_s: float) -> None:
        """Do what it is for, pausing so long on average, until told to stop."""
        raise NotImplementedError

    def address_for(self, partition: TopicPartition) -> str:
        """Mostly that of the leader as last heard, sometimes any."""
        known = self._leaders.get(partition)
        if known is None or self.random.random() < 0.1:
            return self.random.choice(self._addresses)
        return known

    def learn(self, partition: TopicPartition, url: str, asked: str, *, is_well: bool) -> None:
        """Take in who leads, as the answer of `asked` has it."""
        if url:
            self._leaders[partition] = url.removeprefix("http://")
        elif is_well:
            self._leaders[partition] = asked
        else:
            self._leaders.pop(partition, None)

    async def post(self, address: str, target: str, body: bytes, timeout_s: float) -> bytes | None:
        """The body of a good answer, or None."""
        try:
            reply = await self.network.exchange(address, "POST", target, _MSGPACK, body, timeout_s)
        except PeerError:
            return None
        return reply.body if reply.status == 200 else None


class Producer(Client):
    """Writes records of which no two are the same, each once."""

    _count = 0

    async def run(self, pause_s: float) -> None:
        """Write until told to stop."""
        while not self.is_told_to_stop:
            partitions = self.partitions()
            if not partitions:
                await asyncio.sleep(0.1)
                continue
            partition = self.random.choice(partitions)
            acks_all = self.random.random() < 0.8
            is_well = await self.write(partition, self.random.randint(1, 4), acks_all=acks_all)
            pause = pause_s if is_well else 4 * pause_s
            await asyncio.sleep(self.random.uniform(0.2 * pause, 1.8 * pause))

    async def write(self, partition: TopicPartition, count: int, *, acks_all: bool) -> bool:
        """Write some records to one partition; tells whether they were acknowledged."""
        values = []
        for _ in range(count):
            self._count += 1
            padding = b"." * self.random.choice((0, 0, 10, 200))
            values.append(f"{self.name}-{self._count}".encode() + padding)
        self.history.sent += count
        batch = encode_batch([Record(value) for value in values], now_ms=_TIME_MS)
        timeout_ms = self.random.choice((500, 2_000, 10_000))
        request = ProduceRequest(
            [PartitionBatches(*partition, memoryview(batch))],
            ACKS_ALL if acks_all else ACKS_LEADER,
            timeout_ms,
        )
        address = self.address_for(partition)
        life = self.life_of(partition)
        body = await self.post(address, "/v1/produce", _encode(request), timeout_ms / 1000 + 1)
        if body is None:
            self.learn(partition, "", address, is_well=False)
            return False
        (result,) = _produced(body).partitions
        acks = acks_all if life is not None and life == self.life_of(partition) else None
        return self._take(partition, address, values, result, acks_all=acks)

    def _take(
        self,
        partition: TopicPartition,
        address: str,
        values: list[bytes],
        result: ProduceResult,
        *,
        acks_all: bool | None,
    ) -> bool:
        """Note an answer; with None for `acks_all` it promises nothing."""
        is_well = result.error_code == 0
        self.learn(partition, result.leader_url, address, is_well=is_well)
        what = f"{partition} {values[0][:12].decode().rstrip('.')}+{len(values)} via {address}"
        if not is_well:
            self.trace.note(self.name, f"{what}: {result.error}")
            return False
        acks = "all" if acks_all else "1" if acks_all is False else "none that counts"
        self.trace.note(self.name, f"{what}: @{result.base_offset} acks={acks}")
        if acks_all is not None:
            self.history.acked(partition, result.base_offset, values, acks_all=acks_all)
        return True


class Consumer(Client):
    """Reads below the high watermark, forwards, and now and then again."""

    _positions: dict[tuple[TopicPartition, str | None], int]
    expects_damage = False
    """Whether bits may have flipped on the disks that are read."""
    leadership_of: Callable[[TopicPartition, str], object] = staticmethod(lambda *_: None)
    """The epoch in which an address truly leads a partition, None where it does not."""
    start_of: Callable[[TopicPartition], int] = staticmethod(lambda _: 0)
    """Below which offset retention has taken records from some replica."""

    async def run(self, pause_s: float) -> None:
        """Read until told to stop."""
        self._positions = {}
        while not self.is_told_to_stop:
            partitions = self.partitions()
            if not partitions:
                await asyncio.sleep(0.1)
                continue
            partition = self.random.choice(partitions)
            key = partition, self.life_of(partition)
            position = self._positions.get(key, 0)
            if self.random.random() < 0.05:
                position = self.random.randint(0, position)
            end = await self.read(partition, position, self.random.choice((0, 300)))
            if end is not None:
                self._positions[key] = max(end, self._positions.get(key, 0))
            elif position < self.start_of(partition):
                self._positions[key] = self.start_of(partition)
            await asyncio.sleep(self.random.uniform(0.2 * pause_s, 1.8 * pause_s))

    async def read(self, partition: TopicPartition, position: int, max_wait_ms: int) -> int | None:
        """Read some records; gives the position after them, None where there was no answer."""
        request = FetchRequest(
            [FetchPartition(*partition, position, self.random.choice((1, 1_000, 1 << 20)))],
            max_wait_ms=max_wait_ms,
        )
        address = self.address_for(partition)
        leadership, life = self.leadership_of(partition, address), self.life_of(partition)
        body = await self.post(address, "/v1/fetch", _encode(request), max_wait_ms / 1000 + 2)
        if body is None:
            self.learn(partition, "", address, is_well=False)
            return None
        (result,) = _fetched(body).partitions
        if life is None or life != self.life_of(partition):
            self.trace.note(self.name, f"{partition}@{position} via {address}: in another life")
            return None
        is_well = result.error_code == 0
        self.learn(partition, result.leader_url, address, is_well=is_well)
        if not is_well:
            self.trace.note(self.name, f"{partition}@{position} via {address}: {result.error}")
            # One that was deposed and does not know it yet may be behind what others have shown.
            if leadership is not None and leadership == self.leadership_of(partition, address):
                self._check_refusal(partition, position, address, result)
            return None
        try:
            records = list(decode_batches(result.batches, max_bytes=_MAX_BYTES))
            self._check_offsets(records, position)
        except CorruptMessageError as error:
            self.trace.note(self.name, f"{partition}@{position} via {address}: {error}")
            if not self.expects_damage:
                self.history.contradict(f"INV-2 {partition}@{position} at {address}: {error}")
            return None
        return self._take(partition, position, result.high_watermark, records)

    def _check_offsets(self, records: Sequence[Record], position: int) -> None:
        """Raise CorruptMessageError unless they are dense and begin where they should.

        No checksum covers the offset of a batch.
        """
        if not records:
            return
        expected = min(records[0].offset, position)
        for record in records:
            if record.offset != expected:
                raise CorruptMessageError(f"offset {record.offset} where {expected} should be")
            expected += 1

    def _check_refusal(
        self, partition: TopicPartition, position: int, address: str, result: FetchResult
    ) -> None:
        is_promised = partition.topic not in self.history.deleted
        if position < self.start_of(partition):
            is_promised = False
        if result.error == "OFFSET_OUT_OF_RANGE" and is_promised:
            self.history.contradict(
                f"INV-4 {partition}@{position} was shown before, and is out of range at {address}: "
                f"{result.message}"
            )

    def _take(
        self,
        partition: TopicPartition,
        position: int,
        high_watermark: int,
        records: Sequence[Record],
    ) -> int:
        if not records:
            return position
        end = records[-1].offset + 1
        if end > high_watermark:
            self.history.contradict(
                f"INV-4 {partition}@{end - 1} was shown, but the high watermark is {high_watermark}"
            )
        for record in records:
            assert record.value is not None
            self.history.read(partition, record.offset, record.value)
        self.trace.note(self.name, f"{partition} read {position} to {end}")
        return max(position, end)
