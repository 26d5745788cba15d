"""Leaders in memory with Kafka's rules for idempotent producers, and a network that fails.

What a broker does with the batches of a producer is spelled out here once more, and independently
of kafkalite's own broker, for the tests of the client's producer.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec

from kafkalite.client.errors import NotSentError
from kafkalite.model.errors import (
    InvalidProducerEpochError,
    LogError,
    MessageTooLargeError,
    NetworkError,
    NotLeaderOrFollowerError,
    OutOfOrderSequenceNumberError,
    RequestTimedOutError,
    UnknownProducerIdError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import TopicPartition
from kafkalite.model.record import Record
from kafkalite.wire.batch import BatchHeader, Buffer, header_at
from kafkalite.wire.messages import PartitionBatches, ProduceRequest, ProduceResponse, ProduceResult
from kafkalite.wire.records import decode_batch
from kafkalite.wire.validate import validate_batches

_REMEMBERED = 5
_SEQUENCES = 2**31


class _Stored(NamedTuple):
    sequence: int
    size: int
    offset: int


class _Producer:
    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.batches: deque[_Stored] = deque(maxlen=_REMEMBERED)


class PartitionLog:
    """One partition: its records, and what it remembers of producers."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.producers: dict[int, _Producer] = {}
        self.max_bytes = 1 << 20

    def append(self, batch: memoryview) -> int:
        """Take one batch, or find that it is here; gives its offset, raises a refusal."""
        validate_batches(batch, max_batch_bytes=1 << 26, max_decompressed_bytes=1 << 26)
        header = header_at(batch, 0)
        assert header.size == len(batch), "one batch an entry"
        if header.size > self.max_bytes:
            raise MessageTooLargeError
        records = decode_batch(batch, max_bytes=1 << 26)
        if header.producer_id < 0:
            return self._store(records)
        known = self.producers.get(header.producer_id)
        found = self._check(known, header)
        if found is not None:
            return found
        if known is None or known.epoch != header.producer_epoch:
            known = self.producers[header.producer_id] = _Producer(header.producer_epoch)
        offset = self._store(records)
        known.batches.append(_Stored(header.base_sequence, len(records), offset))
        return offset

    @staticmethod
    def _check(known: _Producer | None, header: BatchHeader) -> int | None:
        """The offset of a batch that is here already; raises unless another one comes next."""
        sequence = header.base_sequence
        if known is None:
            if sequence != 0:
                raise UnknownProducerIdError
            return None
        if header.producer_epoch < known.epoch:
            raise InvalidProducerEpochError
        if header.producer_epoch > known.epoch:
            if sequence != 0:
                raise OutOfOrderSequenceNumberError
            return None
        for stored in known.batches:
            if (stored.sequence, stored.size) == (sequence, header.record_count):
                return stored.offset
        last = known.batches[-1]
        if sequence != (last.sequence + last.size) % _SEQUENCES:
            raise OutOfOrderSequenceNumberError
        return None

    def _store(self, records: Sequence[Record]) -> int:
        offset = len(self.records)
        self.records += records
        return offset

    @property
    def values(self) -> list[bytes | None]:
        return [record.value for record in self.records]


class Faults:
    """What goes wrong, and when; by default nothing does."""

    def before(self) -> Exception | None:
        """Before a request is carried out: why it never is."""
        return None

    def after(self) -> Exception | None:
        """After it was: why there is no answer."""
        return None

    def turns(self) -> int:
        """For how many turns of the loop a request or an answer is on its way."""
        return 0

    def refusal(self, place: TopicPartition) -> LogError | None:
        """Why a leader refuses a batch."""
        del place
        return None


class RandomFaults(Faults):
    """Each fault with some probability, as a seed has it, until `stop`."""

    def __init__(self, seed: int, probability: float, refusals: Sequence[type[LogError]]) -> None:
        self._random = random.Random(seed)
        self._probability = probability
        self._refusals = refusals
        self.is_over = False

    def _happens(self) -> bool:
        return not self.is_over and self._random.random() < self._probability

    def before(self) -> Exception | None:
        return NotSentError() if self._happens() else None

    def after(self) -> Exception | None:
        return (
            self._random.choice((NetworkError, RequestTimedOutError))() if self._happens() else None
        )

    def turns(self) -> int:
        return self._random.randrange(6)

    def refusal(self, place: TopicPartition) -> LogError | None:
        return self._random.choice(self._refusals)() if self._refusals and self._happens() else None


class IdempotentBrokers:
    """Some brokers that lead the partitions of some topics; a ClusterView and connections to it.

    Requests to one broker are carried out in their order; answers may come in another one.
    """

    def __init__(self, topics: Mapping[str, int], *, brokers: int = 1) -> None:
        self.logs = {
            TopicPartition(topic, number): PartitionLog()
            for topic, count in topics.items()
            for number in range(count)
        }
        self.topics = dict(topics)
        self.leaders: dict[TopicPartition, int | None] = {
            place: index % brokers for index, place in enumerate(self.logs)
        }
        self.known = dict(self.leaders)
        """Who leads as the client has heard."""
        self.faults = Faults()
        self.brokers = brokers
        self.requests: list[ProduceRequest] = []
        self.most_in_flight = 0
        self.next_producer_id = 7
        self.is_answering = asyncio.Event()
        """Cleared: requests get no answer."""
        self.is_answering.set()
        self.creates_topics = False
        self.on_request: Callable[[], None] = lambda: None
        self._in_flight = 0
        self._last: dict[int, asyncio.Event] = {}

    # -- ClusterView ----------------------------------------------------------------------------

    async def partitions(self, topic: str, /) -> int:
        if topic not in self.topics:
            raise UnknownTopicOrPartitionError(f"There is no topic '{topic}'")
        return self.topics[topic]

    def leader(self, place: TopicPartition, /) -> int | None:
        return self.known.get(place)

    async def refresh(self, topics: Collection[str], /) -> None:
        self.known.update({p: leader for p, leader in self.leaders.items() if p.topic in topics})

    def note_leader(self, place: TopicPartition, broker_id: int, url: str, /) -> None:
        assert url == f"http://broker{broker_id}"
        self.known[place] = broker_id

    def any_broker(self) -> int:
        return 0

    # -- ProduceConnections ---------------------------------------------------------------------

    async def request(
        self,
        address: int,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float,
        /,
    ) -> "JsonReply":
        assert (method, target) == ("POST", "/v1/producer-ids")
        await self._travel()
        error = self.faults.before()
        if error is not None:
            raise error
        self.next_producer_id += 1
        answer = {"producer_id": self.next_producer_id, "producer_epoch": 0}
        return JsonReply(200, msgspec.json.encode(answer))

    async def produce(
        self, address: int, parts: Sequence[Buffer], timeout_s: float, /
    ) -> ProduceResponse:
        request = msgspec.msgpack.decode(b"".join(parts), type=ProduceRequest)
        self.requests.append(request)
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        before, done = self._last.get(address), asyncio.Event()
        self._last[address] = done
        try:
            try:
                if before is not None:
                    await before.wait()
                await self._travel()
                await self.is_answering.wait()
                error = self.faults.before()
                if error is not None:
                    raise error
                results = [self._append(address, entry) for entry in request.partitions]
            finally:
                done.set()
            self.on_request()
            await self._travel()
            error = self.faults.after()
            if error is not None:
                raise error
        finally:
            self._in_flight -= 1
        return ProduceResponse(results)

    async def _travel(self) -> None:
        for _ in range(self.faults.turns()):
            await asyncio.sleep(0)

    def _append(self, address: int, entry: PartitionBatches) -> ProduceResult:
        place = TopicPartition(entry.topic, entry.partition)
        log = self.logs.get(place)
        try:
            if log is None:
                self._create(entry.topic)
                raise UnknownTopicOrPartitionError
            leader = self.leaders[place]
            if leader != address:
                return self._led_elsewhere(place, leader)
            refusal = self.faults.refusal(place)
            if refusal is not None:
                raise refusal
            offset = log.append(entry.batches)
        except LogError as error:
            return ProduceResult(*place, error.code, error.name, error.detail)
        return ProduceResult(*place, base_offset=offset, log_start_offset=0)

    def _create(self, topic: str) -> None:
        if self.creates_topics:
            self.topics[topic] = 1
            place = TopicPartition(topic, 0)
            self.logs[place] = PartitionLog()
            self.leaders[place] = self.known[place] = 0
            raise NotLeaderOrFollowerError

    def _led_elsewhere(self, place: TopicPartition, leader: int | None) -> ProduceResult:
        error = NotLeaderOrFollowerError()
        refused = ProduceResult(*place, error.code, error.name, error.detail)
        if leader is None:
            return refused
        return msgspec.structs.replace(
            refused, leader_id=leader, leader_url=f"http://broker{leader}"
        )

    def values(self, topic: str, partition: int = 0) -> list[bytes | None]:
        return self.logs[TopicPartition(topic, partition)].values


class JsonReply(NamedTuple):
    status: int
    body: bytes
