"""Answers to HTTP/1.0: no chunks, and a word about connections that are kept."""

import asyncio
from typing import Any

import pytest

from kafkalite.api.data_plane.exchange import Exchange, Receive, Scope, Send
from kafkalite.api.http.unchunked_answer import without_chunks
from tests.support.whole_requests import Received


async def _parts(scope: Scope, receive: Receive, send: Send) -> None:
    exchange = Exchange(scope, receive, send)
    await exchange.start(200, ())
    await exchange.send_part(b"one,", more=True)
    await exchange.send_part(b"two", more=False)


async def _sized(scope: Scope, receive: Receive, send: Send) -> None:
    await Exchange(scope, receive, send).respond(200, b"text/plain", b"all")


async def _leaving(scope: Scope, receive: Receive, send: Send) -> None:
    await Exchange(scope, receive, send).respond(
        200, b"text/plain", b"all", [(b"connection", b"close")]
    )


@pytest.mark.parametrize(
    ("app", "keep_alive", "sent", "is_closed"),
    [
        (_parts, False, b"connection: close\r\n\r\none,two", True),
        (_parts, True, b"connection: close\r\n\r\none,two", True),
        (_sized, False, b"connection: close\r\n\r\nall", True),
        (_sized, True, b"connection: keep-alive\r\n\r\nall", False),
        (_leaving, True, b"connection: close\r\n\r\nall", True),
    ],
)
def test_answer_ends_as_its_head_says(
    app: Any, keep_alive: bool, sent: bytes, is_closed: bool
) -> None:
    async def scenario() -> None:
        received = Received(keep_alive=keep_alive)
        cycle = received.cycle
        await cycle.run_asgi(without_chunks(app, cycle))
        assert received.transport.sent.endswith(sent)
        assert received.transport.sent.count(b"connection:") == 1
        assert b"chunked" not in received.transport.sent
        assert received.transport.is_closed is is_closed
        assert received.answers == 1

    asyncio.run(scenario())
