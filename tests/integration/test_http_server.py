"""Answers that leave in one write are what any ASGI server would have sent."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import pytest
import uvloop

from kafkalite.api.data_plane.exchange import ClientGoneError, Exchange, Receive, Scope, Send
from kafkalite.api.http.bounded_protocol import MAX_HEAD_BYTES
from kafkalite.api.http.options import HttpOptions
from kafkalite.api.http.server import HttpServer, bind
from kafkalite.api.http.whole_request import WholeRequest
from tests.support.echo_server import (
    MEDIA,
    Streams,
    checksum,
    echo,
    echo_server,
    get,
    post,
    send_until_closed,
)

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\nx-extra: 1\r\n"


async def _answers(port: int, requests: bytes) -> bytes:
    """All that comes until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(requests)
    answers = await reader.read()
    writer.close()
    return answers


def test_pipelined_requests_are_answered_in_their_order() -> None:
    async def scenario() -> None:
        async with echo_server() as (_, port):
            paths = ["/slow", "/a", "/parts", "/slow", "/b"]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"".join(map(get, paths)))
            for path in paths:
                await reader.readuntil(b"\r\n\r\n")
                assert await reader.readexactly(len(path)) == path.encode()
            writer.write(get("/last", "connection: close"))
            assert (await reader.read()).endswith(b"\r\n\r\n/last")
            writer.close()

    uvloop.run(scenario())


@pytest.mark.parametrize(
    ("request_", "is_kept"),
    [
        (get("/a"), True),
        (get("/a", "connection: close"), False),
        (get("/a", version="1.0"), False),
    ],
)
def test_connection_is_kept_or_closed_as_the_request_says(request_: bytes, is_kept: bool) -> None:
    async def scenario() -> None:
        async with echo_server() as (_, port):
            answers = await _answers(port, request_ + (get("/b", "connection: close") * is_kept))
            assert answers.startswith(_HEAD)
            assert answers.count(b"connection: close\r\n") == 1
            assert (b"/b" in answers) is is_kept

    uvloop.run(scenario())


def test_many_connections_get_their_own_answers() -> None:
    async def scenario() -> None:
        async with echo_server() as (_, port):
            requests = [get(f"/{n}") * 3 + get("/", "connection: close") for n in range(8)]
            answers = await asyncio.gather(*(_answers(port, request) for request in requests))
            for number, answer in enumerate(answers):
                assert answer.count(b"\r\n\r\n/%dHTTP" % number) == 3

    uvloop.run(scenario())


def test_request_in_work_is_answered_when_the_server_stops() -> None:
    async def scenario() -> None:
        async with echo_server() as (server, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(get("/parts") + get("/slow"))
            first = await reader.readuntil(b"/parts")
            await server.stop()
            assert (first + await reader.read()).endswith(b"\r\n\r\n/slow")
            writer.close()

    uvloop.run(scenario())


def test_client_that_went_away_harms_nobody() -> None:
    async def scenario() -> None:
        async with echo_server() as (_, port):
            for _ in range(3):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(get("/slow") + get("/a"))
                await writer.drain()
                writer.transport.abort()
            assert b"/b" in await _answers(port, get("/b", "connection: close"))

    uvloop.run(scenario())


def test_head_that_never_ends_is_refused_before_it_fills_memory() -> None:
    async def scenario() -> None:
        async with echo_server() as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            # Little more than is taken: what a server leaves unread takes its answer away.
            writer.write(b"GET / HTTP/1.1\r\n" + (b"x-filler: " + b"x" * 4000 + b"\r\n") * 17)
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 431 ")
            assert b'"error":"REQUEST_HEADER_TOO_LARGE"' in answer
            writer.close()

    uvloop.run(scenario())


_CHUNKED = b"POST /parts HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("trailer", [b"x: y\r\n" * 700, b"y" * 4200])
def test_connection_is_closed_when_what_follows_its_body_never_ends(trailer: bytes) -> None:
    async def scenario() -> None:
        async with echo_server() as (_, port):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(_CHUNKED + b"3\r\nabc\r\n0\r\nx: ")
            await send_until_closed(writer, trailer)
            writer.close()

    uvloop.run(scenario())


def test_chunks_may_come_in_parts_of_any_size_and_have_trailers() -> None:
    async def scenario() -> None:
        async with echo_server() as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(_CHUNKED)
            for part in [b"3\r\n", b"a", b"bc", b"\r\n", b"0", b"\r\nx:", b" y\r\n", b"\r\n"]:
                writer.write(part)
                await asyncio.sleep(0)
            assert await reader.readuntil(b"/parts")
            writer.write(get("/last", "connection: close"))
            assert (await reader.read()).endswith(b"/last")
            writer.close()

    uvloop.run(scenario())


def test_large_body_does_not_count_as_head() -> None:
    async def scenario() -> None:
        async with echo_server() as (_, port):
            size = 300_000
            head = b"POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % size
            last = get("/last", "connection: close")
            answers = await _answers(port, (head + b"x" * size) * 3 + last)
            assert answers.count(b"HTTP/1.1 200 OK") == 4

    uvloop.run(scenario())


def test_body_before_the_beginning_of_a_head_does_not_count_as_head() -> None:
    async def scenario() -> None:
        async with echo_server() as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            body = bytes(MAX_HEAD_BYTES + 1)
            following = get("/b", "connection: close")
            # In one piece: nothing runs on the loop, so nothing is read, before all of it is sent.
            writer.write(post("/a", body) + following[:10])
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(2) == b"/a"
            writer.write(following[10:])
            assert (await reader.read()).endswith(b"\r\n\r\n/b")
            writer.close()

    uvloop.run(scenario())


@pytest.mark.parametrize("max_idle_ms", [50, 60_000])
@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HT",
        b"GET / HTTP/1.1\r\nhost: x\r\n",
        get("/a") + b"GET / HT",
    ],
)
def test_head_that_does_not_come_whole_is_answered_when_its_time_is_up(
    sent: bytes, max_idle_ms: int
) -> None:
    async def scenario() -> None:
        options = HttpOptions(head_timeout_s=0.05)
        server = HttpServer(echo, max_connections=10, max_idle_ms=max_idle_ms, options=options)
        listener = bind("127.0.0.1", 0)
        await server.start(listener)
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(sent)
        answer = await asyncio.wait_for(reader.read(), 30)
        assert answer.count(b"HTTP/1.1 200 OK") == sent.startswith(get("/a"))
        assert answer.count(b"HTTP/1.1 408 Request Timeout") == 1
        assert b'"REQUEST_TOO_SLOW"' in answer
        writer.close()
        await server.stop()

    uvloop.run(scenario())


@pytest.mark.parametrize("sent", [b"", get("/a")])
def test_connection_that_asks_nothing_is_closed_when_its_time_is_up(sent: bytes) -> None:
    async def scenario() -> None:
        server = HttpServer(echo, max_connections=10, max_idle_ms=50)
        listener = bind("127.0.0.1", 0)
        await server.start(listener)
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(sent)
        with contextlib.suppress(ConnectionError):
            answer = await asyncio.wait_for(reader.read(), 30)
            assert answer.count(b"HTTP/1.1") == bool(sent)
        writer.close()
        await server.stop()

    uvloop.run(scenario())


@pytest.mark.parametrize("path", ["/a", "/refused"])
def test_connection_is_closed_when_its_client_falls_silent_within_a_body(path: str) -> None:
    async def scenario() -> None:
        options = HttpOptions(body_timeout_s=0.05)
        server = HttpServer(echo, max_connections=10, max_idle_ms=100, options=options)
        listener = bind("127.0.0.1", 0)
        await server.start(listener)
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(b"POST %b HTTP/1.1\r\nhost: x\r\n" % path.encode())
        writer.write(b"content-length: 3\r\n\r\na")
        if path == "/refused":
            await reader.readuntil(path.encode())
            writer.write(b"b")  # after the answer
        answer = await asyncio.wait_for(reader.read(), 30)
        if path == "/refused":
            assert answer == b""
        else:
            assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
            assert b"connection: close\r\n" in answer
        writer.close()
        await server.stop()

    uvloop.run(scenario())


def test_request_that_is_not_http_is_answered_with_a_problem(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        async with echo_server() as (_, port):
            answer = await _answers(port, b"\x16\x03\x01 hello\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
            assert b"application/problem+json" in answer

    with caplog.at_level(logging.INFO):
        uvloop.run(scenario())
    (said,) = [entry for entry in caplog.messages if "127.0.0.1" in entry or "Invalid" in entry]
    assert said == "Refused what 127.0.0.1 sent: Invalid HTTP request received."


class _Express:
    """Takes every POST of a path that begins with /now; answers a turn of the loop later."""

    def __init__(self) -> None:
        self.taken = 0
        self.passed = 0
        self.answers_at_once = False
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    def take(self, request: WholeRequest) -> bool:
        if request.scope["method"] != "POST" or not request.scope["path"].startswith("/now"):
            return False
        self.taken += 1
        self.asked.set()
        if self.answers_at_once:
            self._answer(request)
        else:
            asyncio.get_running_loop().call_soon(self._answer, request)
        return True

    def _answer(self, request: WholeRequest) -> None:
        if self.may_answer.is_set():
            size = int(request.header(b"x-size") or b"0")
            request.respond(200, MEDIA, request.body() + b"x" * size)
        else:
            asyncio.get_running_loop().call_later(0.001, self._answer, request)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.passed += 1
        self.asked.set()
        await echo(scope, receive, send)


@contextlib.asynccontextmanager
async def _express_server(max_idle_ms: int = 60_000) -> AsyncIterator[tuple[_Express, Streams]]:
    """A server, and one connection to it; the server is stopped when the connection is closed."""
    express = _Express()
    server = HttpServer(
        express.app, max_connections=10, max_idle_ms=max_idle_ms, express=express.take
    )
    listener = bind("127.0.0.1", 0)
    await server.start(listener)
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    try:
        yield express, (reader, writer)
    finally:
        writer.close()
        await server.stop()


def test_request_that_came_whole_is_answered_without_a_task_and_others_by_the_application() -> None:
    async def scenario() -> None:
        async with _express_server() as (express, (reader, writer)):
            for _ in range(3):
                writer.write(post("/now", b"abc"))
                assert (await reader.readuntil(b"abc")).startswith(b"HTTP/1.1 200 OK\r\n")
                writer.write(post("/a", b"abc"))
                await reader.readuntil(b"/a")
            assert (express.taken, express.passed) == (3, 3)
            writer.write(post("/now", b"end", "connection: close"))
            assert (await reader.read()).endswith(b"connection: close\r\n\r\nend")

    uvloop.run(scenario())


def test_body_that_comes_later_is_left_to_the_application() -> None:
    async def scenario() -> None:
        async with _express_server() as (express, (reader, writer)):
            request = post("/now", b"abc", "expect: 100-continue")
            writer.write(request[:-3])
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(request[-3:])
            await reader.readuntil(b"/now")
            assert (express.taken, express.passed) == (0, 1)

    uvloop.run(scenario())


def test_pipelined_requests_keep_their_order_when_some_need_a_task() -> None:
    async def scenario() -> None:
        async with _express_server() as (express, (reader, writer)):
            paths = ["/slow", "/now", "/now", "/a", "/slow", "/now"]
            writer.write(b"".join(post(path, path.encode()) for path in paths))
            for path in paths:
                await reader.readuntil(b"\r\n\r\n")
                assert await reader.readexactly(len(path)) == path.encode()
            writer.write(post("/now", b"1") + post("/now", b"2") + post("/a"))
            for body in (b"1", b"2", b"/a"):
                await reader.readuntil(b"\r\n\r\n")
                assert await reader.readexactly(len(body)) == body
            assert (express.taken, express.passed) == (5, 4)


def test_many_pipelined_requests_are_answered_one_after_the_other_without_a_task() -> None:
    async def scenario() -> None:
        async with _express_server() as (express, (reader, writer)):
            numbers = range(3000)
            express.answers_at_once = True
            # While the first one is in work, others arrive that could be answered right behind it.
            posts = [post("/now", b"%05d" % number) for number in numbers]
            writer.write(post("/slow") + b"".join(posts))
            await reader.readuntil(b"\r\n\r\n/slow")
            for number in numbers:
                await reader.readuntil(b"\r\n\r\n")
                assert await reader.readexactly(5) == b"%05d" % number
            assert (express.taken, express.passed) == (3000, 1)

    uvloop.run(scenario())


def test_request_without_a_task_is_answered_when_the_server_stops() -> None:
    async def scenario() -> None:
        express = _Express()
        express.may_answer.clear()
        server = HttpServer(echo, max_connections=10, max_idle_ms=60_000, express=express.take)
        listener = bind("127.0.0.1", 0)
        address = listener.getsockname()
        await server.start(listener)
        reader, writer = await asyncio.open_connection(*address)
        writer.write(post("/now", b"abc"))
        await express.asked.wait()
        stopping = asyncio.create_task(server.stop())
        with contextlib.suppress(ConnectionError):
            while True:  # until it listens no more: then it waits for what is in work
                _, other = await asyncio.open_connection(*address)
                other.close()
        express.may_answer.set()
        assert (await reader.read()).endswith(b"connection: close\r\n\r\nabc")
        await stopping
        writer.close()

    uvloop.run(scenario())


def test_client_that_reads_no_answers_is_waited_for() -> None:
    async def scenario() -> None:
        async with _express_server() as (express, (reader, writer)):
            sent = 0
            # Far more than buffers on the way hold; a task waits until the client reads.
            while not express.passed:
                assert sent < 1000, "answers pile up"
                sent += 1
                writer.write(post("/now", b"", f"x-size: {256 << 10}"))
                await express.asked.wait()
                express.asked.clear()
            reader.feed_eof()
            writer.transport.abort()

    uvloop.run(scenario())


def test_connection_is_closed_when_it_is_idle_after_an_answer_without_a_task() -> None:
    async def scenario() -> None:
        async with _express_server(max_idle_ms=50) as (_, (reader, writer)):
            writer.write(post("/now", b"abc"))
            assert (await asyncio.wait_for(reader.read(), 30)).endswith(b"abc")

    uvloop.run(scenario())


def test_connection_stays_good_when_many_requests_are_refused_before_their_bodies() -> None:
    async def scenario() -> None:
        async with echo_server() as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            body = b"b" * 64
            request = post("/refused", body, f"x-filler: {'x' * 4000}")
            for _ in range(2 * MAX_HEAD_BYTES // len(request)):
                writer.write(request[: -len(body)])  # answered before the body comes
                await reader.readuntil(b"\r\n\r\n/refused")
                writer.write(body)
            writer.write(get("/last", "connection: close"))
            assert (await reader.read()).endswith(b"\r\n\r\n/last")
            writer.close()

    uvloop.run(scenario())


def test_connection_is_closed_without_a_word_when_it_is_idle_after_an_early_refusal() -> None:
    async def scenario() -> None:
        async with _express_server(max_idle_ms=50) as (_, (reader, writer)):
            request = post("/refused", b"abc")
            writer.write(request[:-3])
            await reader.readuntil(b"\r\n\r\n/refused")
            writer.write(request[-3:])
            assert await asyncio.wait_for(reader.read(), 30) == b""

    uvloop.run(scenario())


@pytest.mark.parametrize("is_together", [True, False])
def test_request_ahead_of_others_learns_that_its_client_went_away(is_together: bool) -> None:
    started, gone = asyncio.Event(), asyncio.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, receive, send)
        await exchange.start(200, ())
        started.set()
        with contextlib.suppress(ClientGoneError):
            await exchange.while_connected(_stream(exchange))
        gone.set()

    async def scenario() -> None:
        server = HttpServer(endless, max_connections=10, max_idle_ms=60_000)
        listener = bind("127.0.0.1", 0)
        await server.start(listener)
        _, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(get("/a") + get("/b") * is_together)
        await started.wait()
        if not is_together:
            writer.write(get("/b"))
        writer.close()
        try:
            await asyncio.wait_for(gone.wait(), 30)
        finally:
            await server.stop()

    uvloop.run(scenario())


async def _stream(exchange: Exchange) -> None:
    while True:
        await exchange.send_part(b"tick", more=True)
        await asyncio.sleep(0.005)


def test_nothing_is_served_behind_a_request_that_closes_the_connection() -> None:
    async def scenario() -> None:
        async with _express_server() as (express, (reader, writer)):
            express.answers_at_once = True
            writer.write(post("/now", b"1", "connection: close") + post("/now", b"2") + post("/a"))
            assert (await reader.read()).endswith(b"\r\n\r\n1")
            assert (express.taken, express.passed) == (1, 0)

    uvloop.run(scenario())


def test_head_of_a_large_body_says_nothing_of_the_next_request() -> None:
    async def scenario() -> None:
        async with _express_server() as (express, (reader, writer)):
            large = bytes(1 << 20)
            from_page = ("origin: http://x", "content-type: application/json")
            writer.write(post("/sum", large, *from_page))
            await reader.readuntil(checksum(large))
            writer.write(post("/now", b"abc"))
            await reader.readuntil(b"\r\n\r\n")
            assert (express.taken, express.passed) == (1, 1)

    uvloop.run(scenario())


def test_limit_of_an_address_holds_whichever_family_it_came_by() -> None:
    async def scenario() -> None:
        options = HttpOptions(connection_overrides={"127.0.0.1": 0})
        server = HttpServer(echo, max_connections=10, max_idle_ms=60_000, options=options)
        try:
            listener = bind("::", 0)
        except OSError:
            pytest.skip("there is no IPv6 here")
        await server.start(listener)
        try:
            answer = await _answers(listener.getsockname()[1], get("/a", "connection: close"))
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"from 127.0.0.1 " in answer
        finally:
            await server.stop()

    uvloop.run(scenario())
