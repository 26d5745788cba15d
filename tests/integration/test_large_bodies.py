"""Large bodies go from the socket into one buffer, and come out as they were sent."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import pytest
import uvloop

from kafkalite.api.data_plane.exchange import ClientGoneError, Exchange, Receive, Scope, Send
from kafkalite.api.http.intake import READ_BYTES
from kafkalite.api.http.options import HttpOptions
from kafkalite.api.http.server import HttpServer, bind
from tests.support.echo_server import MEDIA, Streams, checksum, echo, echo_server, get, post

_USUAL = HttpOptions()
_CHUNKED = b"POST /parts HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
_LARGE = READ_BYTES


def _body(size: int) -> bytes:
    """One that shows when a part of it is missing, comes twice or elsewhere."""
    return random.Random(size).randbytes(size)


async def _next_body(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return await reader.readexactly(int(length))


@pytest.mark.parametrize("piece", [1 << 10, 65_537, 200_000, 4 << 20])
@pytest.mark.parametrize("size", [_LARGE - 1, _LARGE, _LARGE + 1, 300_001, 1 << 20])
def test_body_of_any_size_is_received_as_it_was_sent_in_any_pieces(size: int, piece: int) -> None:
    async def scenario() -> None:
        async with echo_server() as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            body = _body(size)
            for _ in range(2):
                request = post("/sum", body)
                for start in range(0, len(request), piece):
                    writer.write(request[start : start + piece])
                    await writer.drain()
                    await asyncio.sleep(0)
                kind = "bytearray" if size >= _LARGE else "bytes"
                assert await _next_body(reader) == checksum(body, kind)
            writer.write(get("/last", "connection: close"))
            assert (await reader.read()).endswith(b"/last")
            writer.close()

    uvloop.run(scenario())


def test_large_and_small_pipelined_requests_are_answered_in_their_order() -> None:
    async def scenario() -> None:
        async with echo_server() as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            sizes = [1 << 20, 700_000, 3, 0, _LARGE, 5, 3 << 20, 1]
            writer.write(b"".join(post("/sum", _body(size)) for size in sizes))
            for size in sizes:
                assert (await _next_body(reader)).startswith(checksum(_body(size), ""))
            writer.close()

    uvloop.run(scenario())


def test_large_body_that_comes_while_an_answer_is_awaited_is_received_whole() -> None:
    async def scenario() -> None:
        async with echo_server() as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            large = post("/sum", _body(1 << 20))
            writer.write((post("/slow", _body(100_000)) + large + post("/slow")) * 3)
            for _ in range(3):
                assert await _next_body(reader) == b"/slow"
                assert await _next_body(reader) == checksum(_body(1 << 20))
                assert await _next_body(reader) == b"/slow"
            writer.close()

    uvloop.run(scenario())


def test_large_body_is_thrown_away_when_its_request_is_answered_before_it() -> None:
    async def scenario() -> None:
        async with echo_server() as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            body = _body(1 << 20)
            request = post("/refused", body)
            writer.write(request[:-1])
            assert await _next_body(reader) == b"/refused"
            writer.write(request[-1:] + post("/slow") + request + post("/sum", body))
            for answer in (b"/slow", b"/refused", checksum(body)):
                assert await _next_body(reader) == answer
            writer.close()

    uvloop.run(scenario())


def test_large_body_is_asked_for_when_its_client_expects_that() -> None:
    async def scenario() -> None:
        async with echo_server() as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            body = _body(300_000)
            request = post("/sum", body, "expect: 100-continue")
            for _ in range(2):
                writer.write(request[: -len(body)])
                assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
                writer.write(body)
                assert await _next_body(reader) == checksum(body)
            writer.close()

    uvloop.run(scenario())


def test_large_chunked_body_is_received_as_before() -> None:
    async def scenario() -> None:
        async with echo_server() as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            body = _body(500_000)
            chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
            writer.write(_CHUNKED.replace(b"/parts", b"/sum") + chunks + post("/sum", body))
            assert await _next_body(reader) == checksum(body, "bytes")
            assert await _next_body(reader) == checksum(body)
            writer.close()

    uvloop.run(scenario())


class _Listener:
    """Reads bodies, and tells when it began to and which clients went away within them."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.gone = asyncio.Event()

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, receive, send)
        self.begun.set()
        try:
            body = await exchange.read_buffer(4 << 20)
        except ClientGoneError:
            self.gone.set()
            return
        await exchange.respond(200, MEDIA, checksum(body))


@contextlib.asynccontextmanager
async def _half_sent(
    request: bytes, options: HttpOptions = _USUAL
) -> AsyncIterator[tuple[_Listener, HttpServer, Streams]]:
    """A server that is reading the body of `request`, of which a half was sent."""
    listener = _Listener()
    server = HttpServer(listener.app, max_connections=10, max_idle_ms=60_000, options=options)
    bound = bind("127.0.0.1", 0)
    await server.start(bound)
    reader, writer = await asyncio.open_connection(*bound.getsockname())
    writer.write(request[: len(request) // 2])
    await asyncio.wait_for(listener.begun.wait(), 30)
    try:
        yield listener, server, (reader, writer)
    finally:
        writer.close()
        await server.stop()


@pytest.mark.parametrize("is_reset", [True, False])
def test_reading_ends_when_the_client_goes_away_within_a_large_body(is_reset: bool) -> None:
    async def scenario() -> None:
        async with _half_sent(post("/", _body(1 << 20))) as (listener, _, (reader, writer)):
            if is_reset:
                writer.transport.abort()
            else:
                writer.write_eof()  # and it still listens
                assert await asyncio.wait_for(reader.read(), 30) == b""
            await asyncio.wait_for(listener.gone.wait(), 30)

    uvloop.run(scenario())


def test_connection_is_closed_when_its_client_falls_silent_within_a_large_body() -> None:
    async def scenario() -> None:
        request, options = post("/", _body(1 << 20)), HttpOptions(body_timeout_s=0.05)
        async with _half_sent(request, options) as (listener, _, (reader, _)):
            answer = await asyncio.wait_for(reader.read(), 30)
            assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
            await asyncio.wait_for(listener.gone.wait(), 30)

    uvloop.run(scenario())


@pytest.mark.slow
def test_large_body_may_take_long_while_its_client_is_not_silent() -> None:
    async def scenario() -> None:
        body = _body(1 << 20)
        request, options = post("/", body), HttpOptions(body_timeout_s=1.0)
        async with _half_sent(request, options) as (_, _, (reader, writer)):
            loop = asyncio.get_running_loop()
            end = loop.time() + 1.5
            sent = len(request) // 2
            while loop.time() < end:
                writer.write(request[sent : sent + 1000])
                sent += 1000
                await asyncio.sleep(0.01)
            writer.write(request[sent:])
            assert await _next_body(reader) == checksum(body)

    uvloop.run(scenario())


def test_connection_is_closed_when_it_is_idle_after_a_large_body() -> None:
    async def scenario() -> None:
        server = HttpServer(echo, max_connections=10, max_idle_ms=50)
        listener = bind("127.0.0.1", 0)
        await server.start(listener)
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(post("/sum", _body(1 << 20)))
        assert (await asyncio.wait_for(reader.read(), 30)).endswith(checksum(_body(1 << 20)))
        writer.close()
        await server.stop()

    uvloop.run(scenario())


def test_large_body_under_way_is_received_and_answered_when_the_server_stops() -> None:
    async def scenario() -> None:
        body = _body(1 << 20)
        request = post("/", body)
        async with _half_sent(request) as (_, server, (reader, writer)):
            address = writer.get_extra_info("peername")
            stopping = asyncio.create_task(server.stop())
            with contextlib.suppress(ConnectionError):
                while True:  # until it listens no more: then it waits for what is under way
                    _, other = await asyncio.open_connection(*address)
                    other.close()
            writer.write(request[len(request) // 2 :])
            assert (await reader.read()).endswith(b"connection: close\r\n\r\n" + checksum(body))
            await stopping

    uvloop.run(scenario())
