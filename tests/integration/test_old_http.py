"""HTTP/1.0: no chunks, connections that end unless the client asks otherwise."""

import asyncio
import contextlib
import gzip
import json
import logging
import subprocess
from collections.abc import AsyncIterator

import pytest
import uvloop

from kafkalite.api.data_plane.exchange import Exchange, Receive, Scope, Send
from kafkalite.api.http.options import HttpOptions
from kafkalite.api.http.server import HttpServer, bind
from kafkalite.api.http.whole_request import WholeRequest
from tests.support.broker import BrokerProcess
from tests.support.echo_server import MEDIA, Streams, get, post
from tests.support.raw_http import RawConnection
from tests.support.tools import is_there, require_tool
from tests.support.topic import BrokerClient

_JSON = b"application/json"
_LARGE = b"[" + b"1," * 100_000 + b"1]"
_KEEP = "connection: keep-alive"


async def _app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the body.

    /stream in parts, /cut without the last of them, /long in more than leave while nobody reads,
    /large in JSON, /empty without a body.
    """
    exchange = Exchange(scope, receive, send)
    match scope["path"]:
        case "/large":
            length = (b"content-length", b"%d" % len(_LARGE))
            await exchange.start(200, [(b"content-type", _JSON), length])
            await exchange.send_part(_LARGE[:1000], more=True)
            await exchange.send_part(_LARGE[1000:], more=False)
        case "/long":
            await exchange.start(200, [(b"content-type", MEDIA)])
            for _ in range(256):
                await exchange.send_part(bytes(1 << 18), more=True)
            await exchange.send_part(b"", more=False)
        case "/empty":
            await exchange.start(204, ())
            await exchange.send_part(b"", more=False)
        case "/stream" | "/cut" as path:
            await exchange.start(200, [(b"content-type", MEDIA)])
            await exchange.send_part(b"one,", more=True)
            await exchange.send_part(b"", more=True)
            await exchange.send_part(b"two", more=True)
            if path == "/cut":
                raise RuntimeError("half of it")
            await exchange.send_part(b"", more=False)
        case _:
            body = await exchange.read_body(1 << 20)
            await exchange.respond(200, MEDIA, b"sized" + body)


def _express(request: WholeRequest) -> bool:
    if request.scope["path"] != "/now":
        return False
    request.respond(200, MEDIA, request.body())
    return True


@contextlib.asynccontextmanager
async def _connection() -> AsyncIterator[Streams]:
    server = HttpServer(_app, max_connections=10, max_idle_ms=60_000, express=_express)
    listener = bind("127.0.0.1", 0)
    await server.start(listener)
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    try:
        yield reader, writer
    finally:
        writer.close()
        await server.stop()


def _answer(request: bytes) -> tuple[list[str], bytes]:
    """The lines of the head and what follows it, until the server closes the connection."""

    async def ask() -> bytes:
        async with _connection() as (reader, writer):
            writer.write(request)
            return await asyncio.wait_for(reader.read(), 30)

    head, _, body = uvloop.run(ask()).partition(b"\r\n\r\n")
    return head.decode("latin-1").split("\r\n"), body


@pytest.mark.parametrize("headers", [(), (_KEEP,)], ids=["closing", "to be kept"])
def test_answer_of_unknown_length_ends_with_the_connection(headers: tuple[str, ...]) -> None:
    head, body = _answer(get("/stream", *headers, version="1.0"))
    assert head[0] == "HTTP/1.1 200 OK"
    assert "connection: close" in head
    assert not [line for line in head if line.startswith(("transfer-encoding", "content-length"))]
    assert "connection: keep-alive" not in head
    assert body == b"one,two"


def test_answer_that_is_compressed_while_it_leaves_ends_with_the_connection() -> None:
    head, body = _answer(get("/large", "accept-encoding: gzip", version="1.0"))
    assert "content-encoding: gzip" in head
    assert "transfer-encoding: chunked" not in head
    assert gzip.decompress(body) == _LARGE


def test_answer_in_chunks_is_only_for_those_who_know_them() -> None:
    head, body = _answer(get("/stream", "connection: close"))
    assert "transfer-encoding: chunked" in head
    assert body == b"4\r\none,\r\n3\r\ntwo\r\n0\r\n\r\n"


def test_answer_that_is_cut_off_is_not_taken_for_a_whole_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.CRITICAL), pytest.raises(ConnectionResetError):
        _answer(get("/cut", version="1.0"))


def test_answer_that_the_server_does_not_wait_for_is_not_taken_for_a_whole_one() -> None:
    async def scenario() -> None:
        options = HttpOptions(shutdown_timeout_s=0)
        server = HttpServer(_app, max_connections=10, max_idle_ms=60_000, options=options)
        listener = bind("127.0.0.1", 0)
        await server.start(listener)
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        with contextlib.closing(writer):
            writer.write(get("/long", version="1.0"))
            await reader.readuntil(b"\r\n\r\n")
            await server.stop()  # the client has read no more, and so not all was sent
            with pytest.raises(ConnectionResetError):
                await reader.read()

    uvloop.run(scenario())


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_answer_without_a_body_keeps_the_connection(method: str) -> None:
    path = "/stream" if method == "HEAD" else "/empty"
    request = get(path, _KEEP, version="1.0").replace(b"GET", method.encode(), 1)
    head, rest = _answer(request + get("/last", version="1.0"))
    assert "connection: keep-alive" in head
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n")
    assert rest.endswith(b"\r\n\r\nsized")


@pytest.mark.parametrize("path", ["/sized", "/now"])
def test_connection_is_kept_for_who_asks_and_gets_a_length(path: str) -> None:
    async def scenario() -> None:
        async with _connection() as (reader, writer):
            for _ in range(3):
                request = post(path, b"a", _KEEP).replace(b"HTTP/1.1", b"HTTP/1.0")
                writer.write(request)
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                assert [line for line in head if line.startswith("connection")] == [_KEEP]
                await reader.readuntil(b"a")
            writer.write(post(path, b"a").replace(b"HTTP/1.1", b"HTTP/1.0"))
            last = await asyncio.wait_for(reader.read(), 30)
            assert b"\r\nconnection: close\r\n" in last
            assert b"keep-alive" not in last

    uvloop.run(scenario())


def test_connection_of_newer_http_is_kept_without_a_word() -> None:
    for path in ("/sized", "/now"):
        head, _ = _answer(post(path, b"a") + post(path, b"a", "connection: close"))
        assert not [line for line in head if line.startswith("connection")]


def test_word_that_old_http_does_not_have_is_not_given() -> None:
    request = post("/sized", b"a", "expect: 100-continue").replace(b"HTTP/1.1", b"HTTP/1.0")
    head, _ = _answer(request)
    assert head[0] == "HTTP/1.1 200 OK"


def test_chunks_are_refused_where_nobody_agrees_on_what_they_are() -> None:
    chunked = get("/sized", "transfer-encoding: chunked", version="1.0").replace(b"GET", b"POST")
    head, body = _answer(chunked + b"1\r\na\r\n0\r\n\r\n" + get("/smuggled", version="1.0"))
    assert head[0] == "HTTP/1.1 400 Bad Request"
    assert b"Transfer-Encoding" in body
    assert body.endswith(b"}"), "what follows is answered, too"


# -- the streams of a broker -----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "media", ["text/event-stream", "application/x-ndjson", "application/msgpack"]
)
def test_live_tail_ends_with_the_connection(
    broker: BrokerProcess, client: BrokerClient, media: str
) -> None:
    topic = client.make_topic()
    topic.send({"value": "told"})
    with RawConnection(broker.port) as raw:
        path = f"{topic.path}/stream?from=earliest&text=true"
        raw.send(get(path, f"accept: {media}", version="1.0"))
        head = raw.read_answer()  # no length: nothing of the body
        assert (head.status, head.headers["connection"]) == (200, "close")
        assert head.headers["content-type"].startswith(media)
        client.http.delete(topic.path).raise_for_status()
        body = raw.read_to_end()
    assert b"told" in body
    assert b"deleted" in body


@pytest.mark.slow
def test_reports_of_lines_end_with_the_connection(
    broker: BrokerProcess, client: BrokerClient
) -> None:
    topic = client.make_topic()
    request = post(f"{topic.path}/records/stream", b'{"value":1}\n{"value":2}\n')
    with RawConnection(broker.port) as raw:
        raw.send(request.replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert raw.read_answer().headers["connection"] == "close"
        reports = [json.loads(line) for line in raw.read_to_end().splitlines()]
    assert [report.get("offset") for report in reports] == [0, 1, None]
    assert reports[-1]["event"] == "end"


@pytest.mark.slow
def test_reports_of_version_3_end_with_the_connection(
    broker: BrokerProcess, client: BrokerClient
) -> None:
    topic = client.make_topic()
    cluster = client.http.get("/v3/clusters").json()["data"][0]["cluster_id"]
    record = json.dumps({"value": {"type": "STRING", "data": "x" * 30_000}}).encode()
    path = f"/v3/clusters/{cluster}/topics/{topic.name}/records"
    request = post(path, record * 4, "content-type: application/json")
    with RawConnection(broker.port) as raw:
        raw.send(request.replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert "transfer-encoding" not in raw.read_answer().headers
        reports = [json.loads(line) for line in raw.read_to_end().splitlines()]
    assert [report["offset"] for report in reports] == [0, 1, 2, 3]


@pytest.mark.slow
def test_real_client_reads_streams_and_keeps_its_connection(
    broker: BrokerProcess, client: BrokerClient
) -> None:
    require_tool("curl", "curl", lambda: is_there("curl"))
    topic = client.make_topic()
    produce = ["-H", "Content-Type: application/x-ndjson", "--data-binary", '{"value":1}']
    stream = f"{broker.url}{topic.path}/records/stream"
    url = f"{broker.url}{topic.path}"
    keep = ["-H", "Connection: keep-alive", "-w", "connects=%{num_connects} "]
    for arguments, told in (
        ([*produce, stream], '{"line":1,"partition":0,"offset":0}'),
        ([*keep, url, url, "-o", "/dev/null", "-o", "/dev/null"], "connects=1 connects=0 "),
    ):
        done = subprocess.run(
            ["curl", "--http1.0", "--silent", "--show-error", "--max-time", "30", *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.startswith(told)
