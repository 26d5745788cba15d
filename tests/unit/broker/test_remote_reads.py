"""Fetches of partitions that other brokers lead: the first leader with something ends the wait."""

import asyncio
import gc
from collections.abc import Coroutine
from typing import TypeVar

import pytest

from kafkalite.broker.partition_read import PartitionRead
from kafkalite.broker.replication.received_piece import received_pieces
from kafkalite.broker.sending_room import Lease
from kafkalite.model.cluster import Broker
from kafkalite.model.errors import NotLeaderOrFollowerError, OffsetOutOfRangeError
from kafkalite.transport.errors import PeerBrokenError, PeerRefusedError
from kafkalite.wire.messages import FetchPartition, FetchRequest, FetchResponse, FetchResult
from kafkalite.wire.records import decode_batches
from tests.support.leading_peers import has_nothing
from tests.support.partitions import Logs, batch_of, flush
from tests.support.sending_on import SendingOn

_BATCH, _HEADER = batch_of(b"from elsewhere")
_FOR_EVER_MS = 60_000
T = TypeVar("T")


class _Leaders:
    """Brokers 1 and 2, which have a batch once the test says so, and wait for it."""

    def __init__(self, sending: SendingOn) -> None:
        self.has_news = {1: asyncio.Event(), 2: asyncio.Event()}
        self.arrived = asyncio.Semaphore(0)
        self.waiting: list[int] = []
        self.given_up: list[int] = []
        sending.peers.on_fetch = self.answer

    async def wait_for(self, number: int) -> None:
        """Return when so many requests have come that wait."""
        for _ in range(number):
            await self.arrived.acquire()

    async def answer(self, broker: Broker, request: FetchRequest) -> FetchResponse:
        news = self.has_news[broker.id]
        if not news.is_set():
            if request.max_wait_ms == 0:
                return await has_nothing(broker, request)
            self.waiting.append(broker.id)
            self.arrived.release()
            try:
                await news.wait()
            except asyncio.CancelledError:
                self.given_up.append(broker.id)
                raise
        return FetchResponse(
            partitions=[
                FetchResult(
                    each.topic, each.partition, high_watermark=1, log_start_offset=0, batches=_BATCH
                )
                for each in request.partitions
            ]
        )


def _request(*numbers: int, max_wait_ms: int = _FOR_EVER_MS, min_bytes: int = 1) -> FetchRequest:
    return FetchRequest(
        [FetchPartition("t", number, 0) for number in numbers], max_wait_ms, min_bytes
    )


async def _fetch(sending: SendingOn, request: FetchRequest) -> list[PartitionRead]:
    reads = sending.fetch_path.try_fetch(request)
    return await sending.fetch_path.fetch(request) if reads is None else reads


def _values(reads: list[PartitionRead]) -> list[list[bytes | None]]:
    return [
        [
            record.value
            for piece in read.pieces
            for record in decode_batches(piece.read(), max_bytes=1 << 20)
        ]
        for read in reads
    ]


def _run(scenario: Coroutine[None, None, T]) -> T:
    return asyncio.run(asyncio.wait_for(scenario, 10))


async def _turns(number: int = 20) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def test_one_leader_of_all_is_asked_once_and_does_the_waiting(logs: Logs) -> None:
    sending = SendingOn(logs)

    async def scenario() -> list[PartitionRead]:
        leaders = _Leaders(sending)
        waiting = asyncio.create_task(_fetch(sending, _request(1)))
        await _turns()
        leaders.has_news[1].set()
        return await waiting

    (read,) = reads = _run(scenario())
    assert _values(reads) == [[b"from elsewhere"]]
    assert (read.high_watermark, read.log_start_offset) == (1, 0)
    assert read.leader is not None
    assert read.leader.id == 1
    (sent,) = sending.peers.sent
    assert isinstance(sent.request, FetchRequest)
    assert sent.request.forwarded
    assert sent.request.max_wait_ms == _FOR_EVER_MS
    assert sent.timeout_s > _FOR_EVER_MS / 1000


@pytest.mark.parametrize("first", [1, 2])
def test_the_first_leader_that_has_something_ends_the_wait_for_all(logs: Logs, first: int) -> None:
    sending = SendingOn(logs)

    async def scenario() -> list[PartitionRead]:
        leaders = _Leaders(sending)
        waiting = asyncio.create_task(_fetch(sending, _request(0, 1, 2)))
        await leaders.wait_for(2)
        leaders.has_news[first].set()
        reads = await waiting
        assert leaders.given_up == [3 - first]
        return reads

    reads = _run(scenario())
    assert [bool(values) for values in _values(reads)] == [False, first == 1, first == 2]
    assert [read.error for read in reads] == [None] * 3
    assert [read.high_watermark for read in reads] == [0, int(first == 1), int(first == 2)]


def test_records_here_end_the_wait_for_others(logs: Logs) -> None:
    sending = SendingOn(logs)

    async def scenario() -> list[PartitionRead]:
        leaders = _Leaders(sending)
        waiting = asyncio.create_task(_fetch(sending, _request(1, 0)))
        await leaders.wait_for(1)
        partition = sending.partitions[0]
        batch, header = batch_of(b"from here")
        partition.append(batch, [header], acks_all=False)
        flush(partition)
        reads = await waiting
        assert leaders.given_up == [1]
        return reads

    assert _values(_run(scenario())) == [[], [b"from here"]]


def test_a_wait_ends_when_its_time_is_over(logs: Logs) -> None:
    sending = SendingOn(logs)

    async def scenario() -> None:
        leaders = _Leaders(sending)
        waiting = asyncio.create_task(_fetch(sending, _request(1, 2, max_wait_ms=30)))
        reads = await waiting
        assert _values(reads) == [[], []]
        assert sorted(leaders.given_up) == [1, 2]

    async def moving_clock() -> None:
        logs.clock.now_ms += 30

    async def both() -> None:
        running = asyncio.create_task(scenario())
        await asyncio.sleep(0.02)
        await moving_clock()
        await running

    _run(both())


def test_a_client_that_goes_away_leaves_no_leader_waiting(logs: Logs) -> None:
    sending = SendingOn(logs)

    async def scenario() -> None:
        leaders = _Leaders(sending)
        for request in (_request(1), _request(1, 2)):
            waiting = asyncio.create_task(_fetch(sending, request))
            await leaders.wait_for(len(request.partitions))
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert len(leaders.given_up) == len(leaders.waiting)
            leaders.waiting.clear()
            leaders.given_up.clear()
        assert sending.probe.waiting_fetches == 0

    _run(scenario())


def test_leaders_are_waited_for_until_they_have_more_than_they_had(logs: Logs) -> None:
    sending = SendingOn(logs)
    waits: dict[int, int] = {}

    async def has_some(broker: Broker, request: FetchRequest) -> FetchResponse:
        if request.max_wait_ms:
            waits[broker.id] = request.min_bytes
            await asyncio.sleep(3600 if len(waits) == 1 else 0)
        if broker.id == 2 and len(waits) < 2:
            return await has_nothing(broker, request)
        (entry,) = request.partitions
        result = FetchResult(entry.topic, entry.partition, high_watermark=1, batches=_BATCH)
        return FetchResponse(partitions=[result])

    sending.peers.on_fetch = has_some
    reads = _run(_fetch(sending, _request(1, 2, min_bytes=len(_BATCH) + 1)))
    assert _values(reads) == [[b"from elsewhere"]] * 2
    assert waits == {1: len(_BATCH) + 1, 2: 1}


@pytest.mark.parametrize("numbers", [(1,), (0, 1, 2)])
def test_those_who_wait_for_others_are_answered_when_this_broker_stops(
    logs: Logs, numbers: tuple[int, ...]
) -> None:
    sending = SendingOn(logs)

    async def scenario() -> None:
        leaders = _Leaders(sending)
        waiting = asyncio.create_task(_fetch(sending, _request(*numbers)))
        await leaders.wait_for(1)
        sending.fetch_path.stop_waiting()
        reads = await waiting
        assert [read.error for read in reads] == [None] * len(numbers)

    _run(scenario())


@pytest.mark.parametrize("error", [PeerRefusedError("gone"), PeerBrokenError("reset")])
def test_a_new_leader_is_asked_when_the_old_one_is_gone(logs: Logs, error: Exception) -> None:
    sending = SendingOn(logs)

    async def scenario() -> list[PartitionRead]:
        leaders = _Leaders(sending)
        leaders.has_news[2].set()

        async def dies(broker: Broker, request: FetchRequest) -> FetchResponse:
            if broker.id == 1:
                sending.elect(1, 2, epoch=1)
                raise error
            return await leaders.answer(broker, request)

        sending.peers.on_fetch = dies
        return await _fetch(sending, _request(1, max_wait_ms=0))

    assert _values(_run(scenario())) == [[b"from elsewhere"]]
    assert [sent.broker_id for sent in sending.peers.sent] == [1, 2]


def test_a_leader_that_knows_less_is_asked_again_and_errors_that_last_are_passed_on(
    logs: Logs,
) -> None:
    sending = SendingOn(logs)
    kinds = [NotLeaderOrFollowerError, OffsetOutOfRangeError]

    async def answer(_broker: Broker, request: FetchRequest) -> FetchResponse:
        kind = kinds.pop(0)
        (entry,) = request.partitions
        return FetchResponse(
            partitions=[
                FetchResult(
                    entry.topic,
                    entry.partition,
                    error_code=kind.code,
                    message="as said there",
                    log_start_offset=5,
                    high_watermark=9,
                )
            ]
        )

    sending.peers.on_fetch = answer
    (read,) = _run(_fetch(sending, _request(1)))
    assert isinstance(read.error, OffsetOutOfRangeError)
    assert read.error.detail == "as said there"
    assert read.error.extra == {"log_start_offset": 5, "high_watermark": 9}
    assert sending.probe.fetch_errors == 1


def test_bounds_of_a_partition_are_known_whoever_leads_it(logs: Logs) -> None:
    sending = SendingOn(logs)

    async def answer(_broker: Broker, request: FetchRequest) -> FetchResponse:
        (entry,) = request.partitions
        error = OffsetOutOfRangeError
        return FetchResponse(
            partitions=[
                FetchResult(
                    entry.topic,
                    entry.partition,
                    error_code=error.code,
                    log_start_offset=5,
                    high_watermark=9,
                )
            ]
        )

    sending.peers.on_fetch = answer
    assert _run(sending.fetch_path.bounds("t", 1)) == (5, 9)
    assert _run(sending.fetch_path.bounds("t", 0)) == (0, 0)
    sending.peers.on_fetch = _says_nothing
    with pytest.raises(OffsetOutOfRangeError):
        _run(sending.fetch_path.bounds("t", 1))


async def _says_nothing(_broker: Broker, request: FetchRequest) -> FetchResponse:
    (entry,) = request.partitions
    code = OffsetOutOfRangeError.code
    return FetchResponse(partitions=[FetchResult(entry.topic, entry.partition, error_code=code)])


def test_a_partition_without_a_leader_is_waited_for_only_where_nothing_else_is_there(
    logs: Logs,
) -> None:
    sending = SendingOn(logs, patience_ms=3_600_000)

    async def scenario() -> None:
        leaders = _Leaders(sending)
        leaders.has_news[1].set()
        found, missing = await _fetch(sending, _request(1, 3))
        assert found.size == len(_BATCH)
        assert missing.error is not None
        waiting = asyncio.create_task(_fetch(sending, _request(3)))
        await _turns()
        sending.elect(3, 1, epoch=1)
        assert _values(await waiting) == [[b"from elsewhere"]]

    _run(scenario())


def test_what_readers_hold_is_bounded_until_they_have_let_it_go(logs: Logs) -> None:
    sending = SendingOn(logs, max_bytes=2 << 20)

    async def scenario() -> None:
        leaders = _Leaders(sending)
        leaders.has_news[1].set()
        held = [await _fetch(sending, _request(1)) for _ in range(2)]
        (refused,) = await _fetch(sending, _request(1))
        assert refused.error is not None
        assert refused.error.name == "THROTTLING_QUOTA_EXCEEDED"
        held.clear()
        gc.collect()
        assert _values(await _fetch(sending, _request(1))) == [[b"from elsewhere"]]

    _run(scenario())


def test_what_was_received_is_cut_between_batches() -> None:
    lease = Lease(0, lambda _: None)
    batches = [batch_of(b"x" * 100)[0] for _ in range(5)]
    size = len(batches[0])
    pieces = list(received_pieces(b"".join(batches), 2 * size, lease))
    assert [piece.size for piece in pieces] == [2 * size, 2 * size, size]
    assert b"".join(piece.read() for piece in pieces) == b"".join(batches)
    assert [piece.next_offset for piece in pieces] == [1, 1, 1]  # none was stamped
    whole = list(received_pieces(b"".join(batches), 10, lease))
    assert [piece.size for piece in whole] == [size] * 5
    broken = list(received_pieces(batches[0] + b"rest", 10, lease))
    assert b"".join(piece.read() for piece in broken) == batches[0] + b"rest"
    assert list(received_pieces(b"", 10, lease)) == []
