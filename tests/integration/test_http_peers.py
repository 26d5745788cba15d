"""Talking to another broker, whatever that one does: over sockets of this machine."""

import asyncio
import dataclasses
import gc
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import pytest
import uvloop

from kafkalite.model.errors import ThrottlingQuotaExceededError
from kafkalite.transport.connection_pool import ConnectionPool
from kafkalite.transport.errors import (
    PeerBrokenError,
    PeerBusyError,
    PeerProblemError,
    PeerRefusedError,
    PeerTimeoutError,
    PeerUnreachableError,
)
from kafkalite.transport.http_peers import HttpPeers
from kafkalite.wire.messages import (
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchResult,
    PartitionBatches,
    ProduceRequest,
    ProduceResponse,
    ProduceResult,
)
from tests.support.scripted_server import Heard, broker_at, http, scripted_server
from tests.support.zookeeper import free_port

_FETCH: Final = FetchRequest([FetchPartition("flights", 0, 17)], max_bytes=1 << 20)
_FETCHED: Final = FetchResponse(partitions=[FetchResult("flights", 0, batches=b"whole batches")])
_PRODUCE: Final = ProduceRequest([PartitionBatches("flights", 0, memoryview(b"batch"))])
_PRODUCED: Final = ProduceResponse([ProduceResult("flights", 0, base_offset=5)])
_MAX_ANSWER: Final = 1 << 20

pack = msgspec.msgpack.encode


@asynccontextmanager
async def peers(*, max_connections: int = 4) -> AsyncIterator[HttpPeers]:
    made = HttpPeers(max_connections=max_connections, max_answer_bytes=_MAX_ANSWER)
    try:
        yield made
    finally:
        await made.close()


def run(scenario: Coroutine[None, None, None]) -> None:
    """On the loop that a broker runs on."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario)


async def _say_fetched(_heard: Heard, writer: asyncio.StreamWriter) -> None:
    writer.write(http(pack(_FETCHED)))


def test_answers_come_over_one_connection_that_is_kept() -> None:
    async def scenario() -> None:
        async with scripted_server(_say_fetched) as server, peers() as one:
            for _ in range(3):
                assert await one.fetch(server.broker, _FETCH, 5) == _FETCHED
            assert server.connections == 1
            head, body = server.heard[0].head, server.heard[0].body
            assert head.startswith(b"POST /v1/fetch HTTP/1.1\r\n")
            assert b"content-type: application/msgpack\r\n" in head
            assert msgspec.msgpack.decode(body, type=FetchRequest) == _FETCH

    run(scenario())


def test_a_produce_goes_to_its_path_and_gives_its_results() -> None:
    async def answer(_heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(http(pack(_PRODUCED)))

    async def scenario() -> None:
        async with scripted_server(answer) as server, peers() as one:
            assert await one.produce(server.broker, _PRODUCE, 5) == _PRODUCED
            assert server.heard[0].head.startswith(b"POST /v1/produce HTTP/1.1\r\n")
            sent = msgspec.msgpack.decode(server.heard[0].body, type=ProduceRequest)
            assert bytes(sent.partitions[0].batches) == b"batch"

    run(scenario())


def test_any_request_gives_any_answer() -> None:
    async def answer(_heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(http(b"no", status="404 Not Found", headers=b"X-Some: Thing\r\n"))

    async def scenario() -> None:
        async with scripted_server(answer) as server, peers() as one:
            reply = await one.request(
                server.broker, "GET", "/v1/topics?x=1", {"accept": "text/plain"}, b"", 5
            )
            assert (reply.status, reply.body) == (404, b"no")
            assert reply.headers["x-some"] == "Thing"
            assert server.heard[0].head.startswith(b"GET /v1/topics?x=1 HTTP/1.1\r\n")
            assert b"\r\naccept: text/plain\r\n" in server.heard[0].head
            with pytest.raises(ValueError, match="line break"):
                await one.request(server.broker, "GET", "/", {"a": "b\r\nc: d"}, b"", 5)

    run(scenario())


def test_refused_is_told_when_nobody_listens() -> None:
    async def scenario() -> None:
        async with scripted_server(_say_fetched) as server, peers() as one:
            dead = broker_at(free_port())
            with pytest.raises(PeerRefusedError, match="Nobody listens"):
                await one.fetch(dead, _FETCH, 5)
            assert await one.refuses(dead)
            assert not await one.refuses(server.broker)

    run(scenario())


@pytest.mark.parametrize("host", ["no-such-host.invalid", "255.255.255.255"])
def test_a_host_that_cannot_be_reached_is_not_called_dead(host: str) -> None:
    async def scenario() -> None:
        async with peers() as one:
            broker = dataclasses.replace(broker_at(1), host=host)
            with pytest.raises(PeerUnreachableError, match=host):
                await one.fetch(broker, _FETCH, 5)
            assert not await one.refuses(broker)

    run(scenario())


def test_nothing_is_sent_when_no_connection_is_accepted() -> None:
    async def scenario() -> None:
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            broker = broker_at(full.getsockname()[1])
            waiting = [socket.socket() for _ in range(3)]
            for one in waiting:
                one.setblocking(False)
                one.connect_ex(full.getsockname())
            async with peers() as asking:
                with pytest.raises(PeerUnreachableError) as caught:
                    await asking.fetch(broker, _FETCH, 0.2)
            assert not caught.value.was_sent
            for one in waiting:
                one.close()

    run(scenario())


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nnot all of it",
        b"HTTP/1.1 200 OK\r\n\r\nwith no length at all",
        b"SSH-2.0-OpenSSH_9.0\r\n",
    ],
)
@pytest.mark.parametrize("by_reset", [False, True])
def test_broken_is_told_when_the_answer_does_not_end(sent: bytes, by_reset: bool) -> None:
    async def answer(_heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        if by_reset:
            await writer.drain()
            writer.transport.abort()
        raise OSError

    async def scenario() -> None:
        async with scripted_server(answer) as server, peers() as one:
            with pytest.raises(PeerBrokenError) as caught:
                await one.produce(server.broker, _PRODUCE, 5)
            assert caught.value.was_sent
            assert len(server.heard) == 1, "a produce is never sent twice"

    run(scenario())


@pytest.mark.parametrize("body", [b"", b"\x93", pack({"partitions": 7}), pack([1])])
def test_broken_is_told_when_the_answer_is_something_else(body: bytes) -> None:
    async def answer(_heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(http(body))

    async def scenario() -> None:
        async with scripted_server(answer) as server, peers() as one:
            with pytest.raises(PeerBrokenError, match="not what was asked for"):
                await one.fetch(server.broker, _FETCH, 5)

    run(scenario())


@pytest.mark.parametrize("is_chunked", [False, True])
def test_an_answer_is_cut_off_when_it_is_larger_than_allowed(is_chunked: bool) -> None:
    async def answer(_heard: Heard, writer: asyncio.StreamWriter) -> None:
        if is_chunked:
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            for _ in range(64):
                writer.write(b"10000\r\n" + bytes(65536) + b"\r\n")
                await writer.drain()
        else:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (_MAX_ANSWER + 1))

    async def scenario() -> None:
        async with scripted_server(answer) as server, peers() as one:
            with pytest.raises(PeerBrokenError, match="larger than"):
                await one.fetch(server.broker, _FETCH, 5)
            await server.until(lambda it: it.closed == 1)

    run(scenario())


def test_the_largest_answer_that_is_allowed_comes_whole() -> None:
    frame = pack(FetchResponse(partitions=[FetchResult("flights", 0, batches=bytes(70_000))]))
    batches = bytes(range(256)) * ((_MAX_ANSWER - len(frame) + 70_000) // 256)
    whole = FetchResponse(partitions=[FetchResult("flights", 0, batches=batches)])

    async def answer(_heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(http(pack(whole)))

    async def scenario() -> None:
        async with scripted_server(answer) as server, peers() as one:
            assert await one.fetch(server.broker, _FETCH, 5) == whole
            assert await one.fetch(server.broker, _FETCH, 5) == whole
            assert server.connections == 1

    run(scenario())


def test_the_other_brokers_refusal_of_a_whole_request_is_passed_on() -> None:
    async def answer(_heard: Heard, writer: asyncio.StreamWriter) -> None:
        problem = b'{"error":"THROTTLING_QUOTA_EXCEEDED","detail":"Later, please"}'
        status = f"{ThrottlingQuotaExceededError.status} Anything"
        writer.write(http(problem, status=status))

    async def scenario() -> None:
        async with scripted_server(answer) as server, peers() as one:
            with pytest.raises(PeerProblemError) as caught:
                await one.produce(server.broker, _PRODUCE, 5)
            assert isinstance(caught.value.error, ThrottlingQuotaExceededError)
            assert caught.value.error.detail == "Later, please"
            assert not caught.value.was_sent

    run(scenario())


@pytest.mark.parametrize("body", [b"oops", b'{"error":"UNKNOWN_SERVER_ERROR"}', b'{"error":5}'])
def test_a_failure_that_says_nothing_leaves_the_outcome_open(body: bytes) -> None:
    async def answer(_heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(http(body, status="500 Internal Server Error"))

    async def scenario() -> None:
        async with scripted_server(answer) as server, peers() as one:
            with pytest.raises(PeerBrokenError, match="status 500") as caught:
                await one.produce(server.broker, _PRODUCE, 5)
            assert caught.value.was_sent

    run(scenario())


def test_a_request_that_takes_too_long_is_given_up_and_its_connection_closed() -> None:
    async def answer(_heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nthis much")

    async def scenario() -> None:
        async with scripted_server(answer) as server, peers() as one:
            with pytest.raises(PeerTimeoutError):
                await one.fetch(server.broker, _FETCH, 0.1)
            await server.until(lambda it: it.closed == 1)

    run(scenario())


def test_a_cancelled_request_closes_its_connection_and_leaves_others_theirs() -> None:
    async def answer(heard: Heard, writer: asyncio.StreamWriter) -> None:
        if heard.connection > 0:
            writer.write(http(pack(_FETCHED)))

    async def scenario() -> None:
        async with scripted_server(answer) as server, peers() as one:
            silent = asyncio.create_task(one.fetch(server.broker, _FETCH, 30))
            await server.until(lambda it: len(it.heard) == 1)
            assert await one.fetch(server.broker, _FETCH, 5) == _FETCHED
            silent.cancel()
            await server.until(lambda it: it.closed == 1)
            assert await one.fetch(server.broker, _FETCH, 5) == _FETCHED
            assert [heard.connection for heard in server.heard] == [0, 1, 1]

    run(scenario())


def test_requests_wait_for_one_of_the_connections_there_may_be() -> None:
    go_on = asyncio.Event()

    async def answer(_heard: Heard, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        writer.write(http(pack(_FETCHED)))

    async def scenario() -> None:
        async with scripted_server(answer) as server, peers(max_connections=2) as one:
            asked = [asyncio.create_task(one.fetch(server.broker, _FETCH, 5)) for _ in range(6)]
            await server.until(lambda it: len(it.heard) == 2)
            given_up = asyncio.create_task(one.fetch(server.broker, _FETCH, 5))
            await asyncio.sleep(0)
            given_up.cancel()
            go_on.set()
            assert await asyncio.gather(*asked) == [_FETCHED] * 6
            assert (server.connections, len(server.heard)) == (2, 6)

    run(scenario())


def test_readers_that_wait_keep_neither_replication_nor_producers_from_a_connection() -> None:
    async def answer(heard: Heard, writer: asyncio.StreamWriter) -> None:
        if b"/v1/produce" in heard.head:
            writer.write(http(pack(_PRODUCED)))
        elif msgspec.msgpack.decode(heard.body, type=FetchRequest).replica_id >= 0:
            writer.write(http(pack(_FETCHED)))

    async def scenario() -> None:
        async with scripted_server(answer) as server, peers(max_connections=1) as one:
            reader = asyncio.create_task(one.fetch(server.broker, _FETCH, 30))
            await server.until(lambda it: len(it.heard) == 1)
            replicating = msgspec.structs.replace(_FETCH, replica_id=2)
            assert await one.fetch(server.broker, replicating, 5) == _FETCHED
            assert await one.produce(server.broker, _PRODUCE, 5) == _PRODUCED
            reader.cancel()

    run(scenario())


def test_a_kept_connection_that_the_other_side_closed_is_not_used() -> None:
    async def answer(heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(http(pack(_PRODUCED)))
        if heard.connection == 0:
            # The loop has no chance to hear of the end before the next request is sent.
            await writer.drain()
            writer.transport.abort()

    async def scenario() -> None:
        async with scripted_server(answer) as server, peers() as one:
            for _ in range(2):
                assert await one.produce(server.broker, _PRODUCE, 5) == _PRODUCED
            assert [heard.connection for heard in server.heard] == [0, 1]

    run(scenario())


def test_an_answer_that_ends_its_connection_is_good_and_the_connection_is_not_used_again() -> None:
    async def answer(_heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(http(pack(_FETCHED), headers=b"connection: close\r\n"))

    async def scenario() -> None:
        async with scripted_server(answer) as server, peers() as one:
            for _ in range(2):
                assert await one.fetch(server.broker, _FETCH, 5) == _FETCHED
            assert server.connections == 2

    run(scenario())


def test_an_answer_that_nobody_asked_for_is_not_taken_for_the_next_one() -> None:
    async def answer(_heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(http(pack(_FETCHED)) + http(b"and another"))

    async def scenario() -> None:
        async with scripted_server(answer) as server, peers() as one:
            for _ in range(3):
                assert await one.fetch(server.broker, _FETCH, 5) == _FETCHED
            assert server.connections == 3

    run(scenario())


def test_requests_in_work_and_later_ones_fail_when_the_broker_stops() -> None:
    async def answer(_heard: Heard, _writer: asyncio.StreamWriter) -> None:
        pass

    async def scenario() -> None:
        async with scripted_server(answer) as server, peers(max_connections=1) as one:
            asked = asyncio.create_task(one.fetch(server.broker, _FETCH, 30))
            waiting = asyncio.create_task(one.fetch(server.broker, _FETCH, 30))
            await server.until(lambda it: len(it.heard) == 1)
            await one.close()
            outcomes = await asyncio.gather(asked, waiting, return_exceptions=True)
            assert isinstance(outcomes[0], PeerBrokenError)
            assert isinstance(outcomes[1], PeerBusyError)
            with pytest.raises(PeerBusyError):
                await one.fetch(server.broker, _FETCH, 30)
            await server.until(lambda it: it.closed == it.connections)

    run(scenario())


def _pools() -> list[ConnectionPool]:
    return [each for each in gc.get_objects() if isinstance(each, ConnectionPool)]


def test_addresses_that_brokers_have_left_are_forgotten() -> None:
    async def say_and_leave(_heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(http(pack(_FETCHED)))
        await writer.drain()
        writer.transport.abort()

    async def scenario() -> None:
        others = _pools()  # that tests before this one may have left
        async with peers() as one, scripted_server(_say_fetched) as staying:
            assert await one.fetch(staying.broker, _FETCH, 5) == _FETCHED
            for _ in range(5):
                async with scripted_server(say_and_leave) as server:
                    assert await one.fetch(server.broker, _FETCH, 5) == _FETCHED
                with pytest.raises(PeerRefusedError):
                    await one.fetch(server.broker, _FETCH, 5)
            gc.collect()
            pools = [each for each in _pools() if all(each is not other for other in others)]
            assert len(pools) == 2, "of the one that stayed, and of the last that left"
            assert await one.fetch(staying.broker, _FETCH, 5) == _FETCHED
            assert staying.connections == 1

    run(scenario())


def test_a_proxy_that_the_environment_names_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with scripted_server(_say_fetched) as server, peers() as one:
            assert await one.fetch(server.broker, _FETCH, 5) == _FETCHED

    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    run(scenario())
