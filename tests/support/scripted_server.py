"""A server on a loopback socket that answers with whatever bytes a test says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from kafkalite.model.cluster import Broker
from kafkalite.model.ids import BrokerId

Answering = Callable[["Heard", asyncio.StreamWriter], Awaitable[None]]

_BODY_LENGTH: Final = b"content-length: "


@dataclass
class Heard:
    """One request as it arrived."""

    connection: int
    """Which connection it came on, from 0 on."""
    head: bytes
    body: bytes


@dataclass
class ScriptedServer:
    """What a test knows of its server."""

    broker: Broker
    heard: list[Heard] = field(default_factory=list)
    connections: int = 0
    closed: int = 0
    """Connections that the other side has ended."""
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until(self, holds: Callable[["ScriptedServer"], bool]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(10), self.news:
            await self.news.wait_for(lambda: holds(self))


def http(body: bytes, *, status: str = "200 OK", headers: bytes = b"") -> bytes:
    """An answer as it is sent."""
    head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n".encode()
    return head + headers + b"\r\n" + body


def broker_at(port: int, number: int = 1) -> Broker:
    return Broker(BrokerId(number), "127.0.0.1", port)


@asynccontextmanager
async def scripted_server(answer: Answering) -> AsyncIterator[ScriptedServer]:
    """Serve until the block ends; `answer` is called with each request that is whole."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number, server.connections = server.connections, server.connections + 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(_BODY_LENGTH)[2].partition(b"\r\n")[0]
                heard = Heard(number, head, await reader.readexactly(int(length or 0)))
                async with server.news:
                    server.heard.append(heard)
                    server.news.notify_all()
                await answer(heard, writer)
        except (OSError, asyncio.IncompleteReadError):
            async with server.news:
                server.closed += 1
                server.news.notify_all()
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    server = ScriptedServer(broker_at(listening.sockets[0].getsockname()[1]))
    try:
        yield server
    finally:
        listening.close()
