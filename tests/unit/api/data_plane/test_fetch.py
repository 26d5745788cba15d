"""Fetches of replicas go to their sessions; one that leaves while it waits is reported."""

import asyncio
from collections.abc import Callable, MutableMapping
from functools import partial
from typing import Any, cast

import msgspec
import pytest

from kafkalite.api.data_plane.exchange import ClientGoneError, Exchange
from kafkalite.api.data_plane.fetch import FetchEndpoint
from kafkalite.broker.fetch import FetchPath
from kafkalite.broker.partition_read import PartitionRead
from kafkalite.broker.replication.replica_sessions import ReplicaAnswer, ReplicaSessions, Wait
from kafkalite.model.cluster import Broker
from kafkalite.model.errors import FetchSessionIdNotFoundError, NotLeaderOrFollowerError
from kafkalite.model.ids import BrokerId
from kafkalite.storage.recent_batches import RecentRead
from kafkalite.wire.messages import FetchPartition, FetchRequest, FetchResponse, FetchResult
from tests.support.whole_requests import Received


class _Sessions:
    def __init__(self, answer: ReplicaAnswer | None) -> None:
        self._answer = answer
        self.asked: list[FetchRequest] = []

    async def fetch(self, request: FetchRequest) -> ReplicaAnswer:
        self.asked.append(request)
        if self._answer is None:
            await asyncio.Event().wait()
        assert self._answer is not None
        return self._answer

    def begin(self, request: FetchRequest) -> ReplicaAnswer | Wait:
        """Has the answer when somebody waits for it."""
        return partial(self.fetch, request)


class _AtOnce(_Sessions):
    """Has the answer when it is asked for."""

    def begin(self, request: FetchRequest) -> ReplicaAnswer | Wait:
        assert self._answer is not None
        return self._answer


class _Readers:
    """A fetch path that finds what it was given."""

    def __init__(self, reads: list[PartitionRead]) -> None:
        self._reads = reads

    def try_fetch(self, _request: FetchRequest) -> list[PartitionRead]:
        return self._reads


def _post(
    request: FetchRequest,
    *,
    answer: ReplicaAnswer | None = None,
    reads: list[PartitionRead] | None = None,
    gone: list[int] | None = None,
) -> FetchResponse:
    """What is answered; the client goes away as soon as its request is read."""
    sent: list[MutableMapping[str, Any]] = []
    pending = [
        {"type": "http.request", "body": msgspec.msgpack.encode(request), "more_body": False}
    ]

    async def receive() -> MutableMapping[str, Any]:
        if pending:
            return pending.pop()
        if gone is None:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    endpoint = FetchEndpoint(
        cast("FetchPath", _Readers(reads or [])),
        cast("ReplicaSessions", _Sessions(answer)),
        (gone if gone is not None else []).append,
    )
    exchange = Exchange({"headers": [], "query_string": b""}, receive, send)
    asyncio.run(endpoint.post(exchange))
    answered = b"".join(message["body"] for message in sent[1:])
    assert dict(sent[0]["headers"])[b"content-length"] == b"%d" % len(answered)
    return msgspec.msgpack.decode(answered, type=FetchResponse)


_REPLICA = FetchRequest([FetchPartition("t", 0, 5)], replica_id=7)


def test_a_replica_is_told_what_its_session_has_to_say() -> None:
    reads = [
        PartitionRead("t", 0, (), 3, 1, None, 4),
        PartitionRead(
            "t", 1, leader_epoch=4, diverging_epoch=2, diverging_end_offset=17, high_watermark=3
        ),
        PartitionRead("t", 2, error=NotLeaderOrFollowerError("no", leader_id=2)),
    ]
    assert _post(_REPLICA, answer=ReplicaAnswer(reads)) == FetchResponse(
        partitions=[
            FetchResult("t", 0, high_watermark=3, log_start_offset=1, leader_epoch=4),
            FetchResult(
                "t",
                1,
                high_watermark=3,
                leader_epoch=4,
                diverging_epoch=2,
                diverging_end_offset=17,
            ),
            FetchResult(
                "t",
                2,
                error_code=6,
                error="NOT_LEADER_OR_FOLLOWER",
                message="no",
                leader_id=2,
            ),
        ]
    )


def test_a_replica_is_told_why_its_session_is_over() -> None:
    answer = ReplicaAnswer(error=FetchSessionIdNotFoundError("begin anew"))
    assert _post(_REPLICA, answer=answer) == FetchResponse(
        error_code=70, error="FETCH_SESSION_ID_NOT_FOUND", message="begin anew", partitions=[]
    )


def test_a_replica_that_leaves_while_it_waits_is_reported() -> None:
    gone: list[int] = []
    with pytest.raises(ClientGoneError):
        _post(_REPLICA, gone=gone)
    assert gone == [7]


def test_a_reader_is_told_who_leads_where_another_broker_answered() -> None:
    leader = Broker(BrokerId(3), "host3", 9092)
    reads = [PartitionRead("t", 0, (), 3, 1, leader=leader)]
    (result,) = _post(FetchRequest([FetchPartition("t", 0, 5)]), reads=reads).partitions
    assert (result.leader_id, result.leader_url) == (3, "http://host3:9092")


class _OnDisk:
    """A piece that has to be read."""

    size, next_offset, buffers = 4, 9, ()


class _Disk:
    """A fetch path that reads pieces."""

    async def read_piece(self, _piece: object) -> bytes:
        return b"disk"


class _Broken:
    """Fails, at once or later."""

    def __init__(self, *, at_once: bool) -> None:
        self._at_once = at_once

    def begin(self, _request: FetchRequest) -> Wait:
        if self._at_once:
            raise ZeroDivisionError
        return self._fail

    async def _fail(self) -> ReplicaAnswer:
        raise ZeroDivisionError


def _received(request: FetchRequest, *, media: bytes = b"application/msgpack") -> Received:
    return Received(msgspec.msgpack.encode(request), path="/v1/fetch", media=media)


def _endpoint(sessions: object, gone: list[BrokerId]) -> FetchEndpoint:
    return FetchEndpoint(cast("FetchPath", _Disk()), cast("ReplicaSessions", sessions), gone.append)


async def _settled(is_so: Callable[[], bool]) -> None:
    for _ in range(100):
        if is_so():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never was")


async def _answered(received: Received) -> tuple[int, bytes]:
    await _settled(lambda: bool(received.answers))
    return received.answer


_HELD = RecentRead([b"in ", b"memory"], 9, 7)


@pytest.mark.parametrize("kind", [_Sessions, _AtOnce])
@pytest.mark.parametrize(
    ("pieces", "batches"),
    [
        ((), b""),
        ((_HELD, _HELD), b"in memoryin memory"),
        ((_HELD, _OnDisk(), _HELD), b"in memorydiskin memory"),
    ],
)
def test_a_replicas_whole_fetch_is_answered_without_asgi(
    pieces: Any, batches: bytes, kind: type[_Sessions]
) -> None:
    async def scenario() -> None:
        sessions = kind(ReplicaAnswer([PartitionRead("t", 0, pieces, 3, 1)]))
        gone: list[BrokerId] = []
        received = _received(_REPLICA)
        assert _endpoint(sessions, gone).post_whole(received.request)
        status, body = await _answered(received)
        assert status == 200
        assert b"content-length: %d\r\n" % len(body) in received.transport.sent
        (result,) = msgspec.msgpack.decode(body, type=FetchResponse).partitions
        assert (result.batches, result.high_watermark) == (batches, 3)
        received.cycle.disconnected = True
        received.cycle.message_event.set()
        assert gone == [], "it was answered"

    asyncio.run(scenario())


def test_what_is_in_memory_is_answered_before_anything_else_runs() -> None:
    async def scenario() -> None:
        endpoint = _endpoint(_AtOnce(ReplicaAnswer([PartitionRead("t", 0, (_HELD,), 3, 1)])), [])
        received = _received(_REPLICA)
        assert endpoint.post_whole(received.request)
        assert received.answers
        assert not endpoint._answering

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", [_Sessions, _AtOnce])
def test_a_refusal_to_a_replica_that_came_whole_is_in_the_body(kind: type[_Sessions]) -> None:
    async def scenario() -> None:
        refused = kind(ReplicaAnswer(error=FetchSessionIdNotFoundError("none")))
        received = _received(_REPLICA)
        assert _endpoint(refused, []).post_whole(received.request)
        status, body = await _answered(received)
        assert status == 200
        response = msgspec.msgpack.decode(body, type=FetchResponse)
        assert response.error == "FETCH_SESSION_ID_NOT_FOUND"

    asyncio.run(scenario())


@pytest.mark.parametrize("at_once", [True, False])
def test_an_unforeseen_error_of_a_whole_fetch_is_answered(*, at_once: bool) -> None:
    async def scenario() -> None:
        received = _received(_REPLICA)
        assert _endpoint(_Broken(at_once=at_once), []).post_whole(received.request)
        assert (await _answered(received))[0] == 500

    asyncio.run(scenario())


def test_a_replica_that_leaves_while_its_whole_fetch_waits_is_reported() -> None:
    async def scenario() -> None:
        gone: list[BrokerId] = []
        received = _received(_REPLICA)
        endpoint = _endpoint(_Sessions(None), gone)
        assert endpoint.post_whole(received.request)
        await asyncio.sleep(0)
        received.cycle.disconnected = True
        received.cycle.message_event.set()
        assert gone == [7]
        await _settled(lambda: not endpoint._answering)
        assert received.transport.sent == b""

    asyncio.run(scenario())


def test_a_replica_that_left_before_its_whole_fetch_waits_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        gone: list[BrokerId] = []
        received = _received(_REPLICA)
        received.cycle.disconnected = True
        endpoint = _endpoint(_Sessions(None), gone)
        assert endpoint.post_whole(received.request)
        assert gone == [7]
        await _settled(lambda: not endpoint._answering)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "received",
    [
        _received(FetchRequest([FetchPartition("t", 0, 5)])),
        _received(_REPLICA, media=b"application/json"),
        Received(b"no msgpack", path="/v1/fetch", media=b"application/msgpack"),
    ],
    ids=["of a client", "other media", "malformed"],
)
def test_other_whole_fetches_are_left_to_asgi(received: Received) -> None:
    assert not _endpoint(_Sessions(None), []).post_whole(received.request)
    assert received.transport.sent == b""
