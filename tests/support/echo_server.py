"""A server that answers with what it was asked, and requests to it by hand."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator

from kafkalite.api.data_plane.exchange import Exchange, Receive, Scope, Send
from kafkalite.api.http.server import HttpServer, bind
from kafkalite.wire.batch import Buffer

MEDIA = b"text/plain"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the path.

    /slow after the others had their turn, /parts in two messages, /refused before its body,
    /given-up before it in parts without a length, /sum with a digest of it and what it came as.
    """
    exchange = Exchange(scope, receive, send)
    path = scope["path"].encode()
    if path == b"/sum":
        body = await exchange.read_buffer(4 << 20)
        path = checksum(body, type(body).__name__)
    elif path not in {b"/refused", b"/given-up"}:
        await exchange.read_body(1 << 20)
    if path == b"/slow":
        await asyncio.sleep(0.01)
    if path == b"/parts":
        await exchange.start(200, ((b"content-length", b"6"),))
        await exchange.send_part(b"/pa", more=True)
        await exchange.send_part(b"rts", more=False)
    elif path == b"/given-up":
        await exchange.start(200, ())
        await exchange.send_part(path, more=True)
        await exchange.send_part(b"", more=False)
    else:
        await exchange.respond(200, MEDIA, path, ((b"x-extra", b"1"),))


def checksum(body: Buffer, kind: str = "bytearray") -> bytes:
    return f"{len(body)} {hashlib.sha256(body).hexdigest()} {kind}".encode()


@contextlib.asynccontextmanager
async def echo_server() -> AsyncIterator[tuple[HttpServer, int]]:
    server = HttpServer(echo, max_connections=10, max_idle_ms=60_000)
    listener = bind("127.0.0.1", 0)
    await server.start(listener)
    try:
        yield server, listener.getsockname()[1]
    finally:
        await server.stop()


async def send_until_closed(writer: asyncio.StreamWriter, part: bytes) -> None:
    """Send `part` over and over, until the server has enough of it."""
    sent = 0
    # Far more than any bound, and than buffers on the way hold.
    with contextlib.suppress(ConnectionError):
        while sent < 64 << 20:
            writer.write(part)
            await writer.drain()
            sent += len(part)
    assert sent < 64 << 20, "the server took it all"


def get(path: str, *headers: str, version: str = "1.1") -> bytes:
    return "\r\n".join([f"GET {path} HTTP/{version}", "host: x", *headers, "", ""]).encode()


def post(path: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "host: x", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body
