"""The produce path of any language: partitions are chosen, batches made, each record answered."""

import asyncio
import random
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence

import pytest

from kafkalite.broker import batch_rules
from kafkalite.broker.partition import Partition
from kafkalite.broker.record_append import RecordAppendPath
from kafkalite.broker.record_place import RecordPlace
from kafkalite.config.topic_config import topic_settings
from kafkalite.model.cluster import Broker
from kafkalite.model.compression import Compression
from kafkalite.model.errors import (
    MessageTooLargeError,
    NotLeaderOrFollowerError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.partitioning import partition_for_key
from kafkalite.model.record import Record
from kafkalite.storage.log import Log
from kafkalite.transport.errors import PeerRefusedError
from kafkalite.wire.batch import Buffer, read_headers
from kafkalite.wire.messages import ProduceRequest, ProduceResponse, ProduceResult
from kafkalite.wire.record_bodies import IncomingRecord
from kafkalite.wire.records import decode_batch
from kafkalite.wire.restamp import recompress
from tests.support.forwarding import record_append_path
from tests.support.partitions import NOW_MS, Logs, OpenPartitions, flush, led_by, values_of
from tests.support.sending_on import SendingOn


class _Producing:
    """A record append path over three partitions, all led here."""

    def __init__(self, logs: Logs, runner: asyncio.Runner) -> None:
        self.logs = logs
        self.partitions = [logs.led(number) for number in range(3)]
        self.path = record_append_path(OpenPartitions(*self.partitions).table(), logs.clock)
        self._runner = runner

    def append(self, *incoming: IncomingRecord) -> list[RecordPlace]:
        return self._runner.run(self.path.append("t", incoming, acks=1, timeout_ms=1_000))

    def run(self, scenario: Callable[[], Coroutine[None, None, None]]) -> None:
        self._runner.run(scenario())


@pytest.fixture
def producing(logs: Logs) -> Iterator[_Producing]:
    with asyncio.Runner() as runner:  # all requests of a broker are on one loop
        yield _Producing(logs, runner)


def _record(
    value: bytes = b"x", *, key: bytes | None = None, partition: int | None = None
) -> IncomingRecord:
    return IncomingRecord(Record(value, key), partition)


def _batches(partition: Partition) -> list[int]:
    """Record counts of the batches."""
    flush(partition)
    read = partition.read(0, 1 << 24)
    assert read is not None
    return [header.record_count for header in read_headers(read.read())]


def _offsets(places: Sequence[RecordPlace]) -> list[tuple[int, int]]:
    return [(place.partition, place.offset) for place in places]


def test_named_partitions_and_keys_decide_and_order_is_kept(producing: _Producing) -> None:
    keyed = partition_for_key(b"key", 3)
    others = [number for number in range(3) if number != keyed]
    places = producing.append(
        _record(b"1", partition=others[0]),
        _record(b"2", key=b"key"),
        _record(b"3", partition=others[0]),
        _record(b"4", key=b"key", partition=others[1]),
        _record(b"5", key=b"key"),
    )
    assert _offsets(places) == [
        (others[0], 0),
        (keyed, 0),
        (others[0], 1),
        (others[1], 0),
        (keyed, 1),
    ]
    assert _batches(producing.partitions[keyed]) == [2]
    assert values_of(producing.partitions[keyed]) == [b"2", b"5"]


def test_records_without_a_key_go_to_one_partition_that_is_led_here(producing: _Producing) -> None:
    for number in (0, 2):
        producing.partitions[number].apply(led_by(1, epoch=1))
    for _ in range(5):
        places = producing.append(*(_record() for _ in range(4)))
        assert {place.partition for place in places} == {1}
        assert all(place.error is None for place in places)


def test_single_record_takes_the_short_way_to_the_same_place(producing: _Producing) -> None:
    keyed = partition_for_key(b"key", 3)
    assert _offsets(producing.append(_record(b"1", key=b"key"))) == [(keyed, 0)]
    assert _offsets(producing.append(_record(b"2", key=b"key"))) == [(keyed, 1)]
    (refused,) = producing.append(_record(partition=7))
    assert isinstance(refused.error, UnknownTopicOrPartitionError)
    assert refused.offset == -1


def test_record_that_is_too_large_is_refused_alone(producing: _Producing) -> None:
    small = topic_settings(producing.logs.settings, {"max.message.bytes": "2000"})
    producing.partitions[0].reconfigure(small)
    sizes = [10, 3_000, 900, 900, 900, 10]
    places = producing.append(*(_record(b"x" * size, partition=0) for size in sizes))
    assert [place.error.name if place.error else "" for place in places] == [
        "", "MESSAGE_TOO_LARGE", "", "", "", "",
    ]  # fmt: skip
    assert [place.offset for place in places] == [0, -1, 1, 2, 3, 4]
    assert [len(value or b"") for value in values_of_all(producing.partitions[0])] == [
        10, 900, 900, 900, 10,
    ]  # fmt: skip


def values_of_all(partition: Partition) -> list[bytes | None]:
    flush(partition)
    found: list[bytes | None] = []
    while len(found) < partition.offsets.high_watermark:
        found += values_of(partition, len(found))
    return found


def test_many_records_make_batches_of_bounded_size(producing: _Producing) -> None:
    places = producing.append(*(_record(b"x" * 10_000, partition=0) for _ in range(200)))
    assert [place.offset for place in places] == list(range(200))
    counts = _batches(producing.partitions[0])
    assert sum(counts) == 200
    assert len(counts) > 1
    assert max(counts) * 10_000 < 1 << 20


@pytest.mark.parametrize("count", [1, 3])
def test_records_are_answered_when_they_are_durable(producing: _Producing, count: int) -> None:
    async def scenario() -> None:
        incoming = [_record(partition=0) for _ in range(count)]
        waiting = asyncio.create_task(
            producing.path.append("t", incoming, acks=-1, timeout_ms=60_000)
        )
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting.done()
        flush(producing.partitions[0])
        assert _offsets(await waiting) == [(0, offset) for offset in range(count)]

    producing.run(scenario)


@pytest.mark.parametrize("count", [1, 3])
def test_records_that_are_not_confirmed_in_time_are_in_the_log_and_say_so(
    producing: _Producing, count: int
) -> None:
    async def scenario() -> None:
        incoming = [_record(partition=0) for _ in range(count)]
        places = await producing.path.append("t", incoming, acks=-1, timeout_ms=0)
        assert {place.error.name for place in places if place.error} == {"REQUEST_TIMED_OUT"}
        assert [place.offset for place in places] == list(range(count))

    producing.run(scenario)


def test_requests_of_one_turn_keep_their_own_answers(producing: _Producing) -> None:
    async def scenario() -> None:
        requests = [
            producing.path.append("t", [_record(b"%d" % n, partition=0)], acks=1, timeout_ms=1_000)
            for n in range(50)
        ]
        answers = await asyncio.gather(*requests)
        offsets = [places[0].offset for places in answers]
        assert sorted(offsets) == list(range(50))
        values = values_of_all(producing.partitions[0])
        assert [values[offset] for offset in offsets] == [b"%d" % n for n in range(50)]

    producing.run(scenario)


@pytest.mark.parametrize("count", [1, 2])
def test_records_keep_their_time_or_get_the_clocks(producing: _Producing, count: int) -> None:
    producing.append(*[_record(partition=0)] * count)
    producing.append(*[IncomingRecord(Record(b"x", timestamp=5), 0)] * count)
    flush(producing.partitions[0])
    read = producing.partitions[0].read(0, 10_000)
    assert read is not None
    assert [header.max_timestamp for header in read_headers(read.read())] == [NOW_MS, 5]


def test_producer_hears_that_a_later_partition_is_lost_while_it_waits_for_an_earlier_one(
    producing: _Producing,
) -> None:
    async def scenario() -> None:
        first, second, _ = producing.partitions
        incoming = [_record(partition=0), _record(partition=1)]
        waiting = asyncio.create_task(
            producing.path.append("t", incoming, acks=-1, timeout_ms=60_000)
        )
        for _ in range(5):
            await asyncio.sleep(0)
        second.step_down()
        second.apply(led_by(0, epoch=2))
        flush(second)
        flush(first)
        places = await waiting
        assert [place.error.name if place.error else "" for place in places] == [
            "",
            "NOT_LEADER_OR_FOLLOWER",
        ]

    producing.run(scenario)


@pytest.mark.parametrize("in_one_request", [True, False])
def test_records_that_come_together_fit_a_small_segment(
    producing: _Producing, in_one_request: bool
) -> None:
    small = topic_settings(producing.logs.settings, {"segment.bytes": "16384"})
    producing.partitions[0].reconfigure(small)
    records = [_record(b"x" * 1000, partition=0)] * 30
    requests = [records] if in_one_request else [[record] for record in records]

    async def scenario() -> None:
        answers = await asyncio.gather(
            *(producing.path.append("t", request, acks=1, timeout_ms=1_000) for request in requests)
        )
        places = [place for answer in answers for place in answer]
        assert [place.error for place in places] == [None] * 30

    producing.run(scenario)


@pytest.mark.parametrize("count", [1, 2])
def test_unforeseen_error_reaches_those_who_wait(
    producing: _Producing, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    def broken(*_given: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(Log, "append", broken)

    async def scenario() -> None:
        requests = [
            producing.path.append("t", [_record(partition=0)], acks=1, timeout_ms=1_000)
            for _ in range(count)
        ]
        async with asyncio.timeout(30):
            outcomes = await asyncio.gather(*requests, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [ZeroDivisionError] * count

    producing.run(scenario)


def test_records_are_compressed_as_the_topic_wants(producing: _Producing) -> None:
    settings = topic_settings(producing.logs.settings, {"compression.type": "zstd"})
    producing.partitions[0].reconfigure(settings)
    producing.append(_record(b"1", partition=0))
    producing.append(_record(b"2", partition=0), _record(b"3", partition=0))
    flush(producing.partitions[0])
    read = producing.partitions[0].read(0, 10_000)
    assert read is not None
    stored = read_headers(read.read())
    assert [header.compression for header in stored] == [Compression.ZSTD] * 2
    assert values_of(producing.partitions[0]) == [b"1", b"2", b"3"]


def test_large_records_are_compressed_off_the_loop(
    producing: _Producing, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def watched(batch: Buffer, codec: Compression) -> bytes:
        threads.append(threading.get_ident())
        return recompress(batch, codec)

    monkeypatch.setattr(batch_rules, "recompress", watched)
    partition = producing.partitions[0]
    partition.reconfigure(topic_settings(producing.logs.settings, {"compression.type": "zstd"}))
    large = b"x" * 100_000
    producing.append(_record(large, partition=0))
    producing.append(_record(large, partition=0), _record(b"2", partition=0))
    assert len(threads) == 2
    assert threading.get_ident() not in threads
    flush(partition)
    assert values_of(partition) == [large, large, b"2"]


def test_record_that_is_too_large_is_refused_however_well_it_compresses(
    producing: _Producing,
) -> None:
    config = {"compression.type": "zstd", "max.message.bytes": "80000"}
    producing.partitions[0].reconfigure(topic_settings(producing.logs.settings, config))
    (place,) = producing.append(_record(b"x" * 100_000, partition=0))
    assert place.error is not None
    assert place.error.name == "MESSAGE_TOO_LARGE"
    assert producing.partitions[0].log.end_offset == 0


class _Told:
    """What the producers of records that were begun are told."""

    def __init__(self, path: RecordAppendPath) -> None:
        self._path = path
        self.outcomes: dict[int, RecordPlace | Exception] = {}
        self.fails_for: int | None = None
        self._news = asyncio.Semaphore(0)

    async def until(self, number: int) -> None:
        """Return once so many are told."""
        async with asyncio.timeout(10):
            for _ in range(number):
                await self._news.acquire()

    def begin(self, number: int, incoming: IncomingRecord, *, topic: str = "t", acks: int) -> bool:
        def then(outcome: RecordPlace | Exception) -> None:
            assert number not in self.outcomes
            self.outcomes[number] = outcome
            self._news.release()
            if number == self.fails_for:
                raise RuntimeError("a connection's bug")

        return self._path.begin(topic, incoming, acks=acks, timeout_ms=1_000, then=then)

    @property
    def offsets(self) -> list[tuple[int, int]]:
        return _offsets(
            [place for place in self.outcomes.values() if isinstance(place, RecordPlace)]
        )


def test_record_that_is_begun_joins_those_of_its_turn(producing: _Producing) -> None:
    async def scenario() -> None:
        told = _Told(producing.path)
        keyed = partition_for_key(b"key", 3)
        assert told.begin(0, _record(b"0", key=b"key"), acks=1)
        assert told.begin(1, _record(b"1", partition=keyed), acks=1)
        (place,) = await producing.path.append(
            "t", [_record(b"2", key=b"key")], acks=1, timeout_ms=1_000
        )
        assert _offsets([place]) == [(keyed, 2)]
        assert told.offsets == [(keyed, 0), (keyed, 1)]
        assert _batches(producing.partitions[keyed]) == [3]
        assert values_of(producing.partitions[keyed]) == [b"0", b"1", b"2"]

    producing.run(scenario)


def test_record_that_is_begun_is_told_of_when_it_is_durable(producing: _Producing) -> None:
    async def scenario() -> None:
        told = _Told(producing.path)
        assert told.begin(0, _record(partition=0), acks=-1)
        for _ in range(10):
            await asyncio.sleep(0)
        assert told.outcomes == {}
        flush(producing.partitions[0])
        await asyncio.sleep(0)
        assert told.offsets == [(0, 0)]

    producing.run(scenario)


def test_nothing_is_begun_when_something_must_be_waited_for_or_refused(
    producing: _Producing, logs: Logs
) -> None:
    fresh = logs.partition(3)  # its leader is not known yet
    path = record_append_path(OpenPartitions(*producing.partitions, fresh).table(), logs.clock)
    told = _Told(path)
    assert not told.begin(0, _record(partition=3), acks=1)
    assert not told.begin(1, _record(partition=4), acks=1)
    assert not told.begin(2, _record(), topic="unknown", acks=1)
    assert not told.begin(3, _record(partition=0), acks=2)
    assert not told.begin(4, _record(b"x" * 100_000, partition=0), acks=1)
    headers = IncomingRecord(Record(b"x", headers=(("a", b"b"),)), 0)
    assert not told.begin(5, headers, acks=1)
    assert told.outcomes == {}


def test_producer_is_told_why_its_record_was_refused(producing: _Producing) -> None:
    async def scenario() -> None:
        told = _Told(producing.path)
        assert told.begin(0, _record(partition=0), acks=1)
        producing.partitions[0].apply(led_by(1, epoch=1))
        await told.until(1)
        (place,) = told.outcomes.values()
        assert isinstance(place, RecordPlace)
        assert isinstance(place.error, NotLeaderOrFollowerError)

    producing.run(scenario)


def test_unforeseen_error_is_told_to_all_whose_records_were_begun(
    producing: _Producing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_given: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(Log, "append", broken)

    async def scenario() -> None:
        told = _Told(producing.path)
        assert all(told.begin(number, _record(partition=0), acks=1) for number in range(2))
        await asyncio.sleep(0)
        assert [type(each) for each in told.outcomes.values()] == [ZeroDivisionError] * 2

    producing.run(scenario)


def test_others_are_told_when_telling_one_fails(
    producing: _Producing, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        told = _Told(producing.path)
        told.fails_for = 0
        assert all(told.begin(number, _record(partition=0), acks=1) for number in range(3))
        await asyncio.sleep(0)
        assert told.offsets == [(0, 0), (0, 1), (0, 2)]
        assert "a connection's bug" in caplog.text

    producing.run(scenario)


class _Forwarding:
    """A record append path of a broker that leads partition 0 of four; the last has no leader."""

    def __init__(self, logs: Logs) -> None:
        self.sending = SendingOn(logs)
        table = OpenPartitions(*self.sending.partitions).table()
        self.path = record_append_path(table, logs.clock, self.sending.forwarding)

    def append(self, *incoming: IncomingRecord, acks: int = 1) -> list[RecordPlace]:
        return asyncio.run(self.path.append("t", incoming, acks=acks, timeout_ms=1_000))


def test_records_for_other_leaders_are_sent_as_batches_and_keep_their_places(logs: Logs) -> None:
    forwarding = _Forwarding(logs)
    numbers = [1, 0, 2, 1, 0, 1]
    values = [b"%d" % index for index in range(len(numbers))]
    places = forwarding.append(
        *(_record(value, partition=n) for value, n in zip(values, numbers, strict=True)), acks=0
    )
    assert [(place.partition, place.offset) for place in places] == [
        (1, 100),
        (0, 0),
        (2, 100),
        (1, 101),
        (0, 1),
        (1, 102),
    ]
    assert [place.leader_url for place in places][:3] == [
        "http://host1:9092",
        "",
        "http://host2:9092",
    ]
    sent: dict[int, list[bytes | None]] = {}
    for each in forwarding.sending.peers.sent:
        assert isinstance(each.request, ProduceRequest)
        assert (each.request.acks, each.request.forwarded) == (0, True)
        (entry,) = each.request.partitions
        records = decode_batch(entry.batches, max_bytes=1 << 20)
        sent[entry.partition] = [record.value for record in records]
    assert sent == {1: [b"0", b"3", b"5"], 2: [b"2"]}


def test_one_record_for_another_leader_is_sent_there_and_its_refusal_told(logs: Logs) -> None:
    forwarding = _Forwarding(logs)
    (place,) = forwarding.append(_record(partition=2))
    assert place == RecordPlace(2, 100, None, "http://host2:9092")
    forwarding.sending.peers.on_produce = _takes_nothing
    for more in ((), (_record(partition=0),)):
        place, *others = forwarding.append(_record(partition=1), *more)
        assert isinstance(place.error, MessageTooLargeError)
        assert (place.partition, place.offset, place.error.detail) == (1, -1, "too large")
        assert [other.error for other in others] == [None] * len(more)


async def _takes_nothing(_broker: Broker, request: ProduceRequest) -> ProduceResponse:
    code = MessageTooLargeError.code
    return ProduceResponse(
        [
            ProduceResult(each.topic, each.partition, error_code=code, message="too large")
            for each in request.partitions
        ]
    )


def test_nothing_is_begun_without_a_task_for_another_leader(logs: Logs) -> None:
    told = _Told(_Forwarding(logs).path)
    assert not told.begin(0, _record(partition=1), acks=1)
    assert not told.begin(1, _record(partition=3), acks=1)
    assert told.outcomes == {}


@pytest.mark.parametrize("leader", [1, 0])
def test_records_are_sent_on_when_their_leader_moves_while_they_are_gathered(
    logs: Logs, leader: int
) -> None:
    forwarding = _Forwarding(logs)

    async def scenario() -> None:
        told = _Told(forwarding.path)
        for name in range(2):
            assert told.begin(name, _record(b"%d" % name, partition=0), acks=1)
        forwarding.sending.elect(0, 1, epoch=1)
        if leader == 0:
            forwarding.sending.peers.on_produce = _refuses_for(forwarding.sending)
        await told.until(2)
        first = 100 if leader else 0
        assert told.offsets == [(0, first), (0, first + 1)]

    asyncio.run(scenario())


def _refuses_for(
    sending: SendingOn,
) -> Callable[[Broker, ProduceRequest], Awaitable[ProduceResponse]]:
    """A leader that dies, and this broker is elected again."""

    async def refuse(_broker: Broker, _request: ProduceRequest) -> ProduceResponse:
        sending.elect(0, 0, epoch=2)
        raise PeerRefusedError("gone")

    return refuse


def test_a_record_without_a_key_goes_to_a_partition_that_has_a_leader(logs: Logs) -> None:
    forwarding = _Forwarding(logs)
    forwarding.sending.elect(0, 1, epoch=1)
    random.seed(1)
    places = [forwarding.append(_record())[0] for _ in range(50)]
    assert {place.partition for place in places} == {0, 1, 2}
    assert {place.error for place in places} == {None}
