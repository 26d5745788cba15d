"""uvicorn, run inside a loop that has other things to do, too."""

import asyncio
import contextlib
import functools
import socket
from collections.abc import Iterator
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kafkalite.api.asgi import AsgiApp

_BACKLOG: Final = 4096
_GRACE_S: Final = 10
"""How long requests that are in work may take when the server stops."""
_POLL_S: Final = 0.01


class _Uvicorn(uvicorn.Server):
    """uvicorn without its signal handlers: the broker has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _BoundedProtocol(HttpToolsProtocol):
    """Closes a connection that is one too many."""

    def __init__(self, *, max_connections: int, **options: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(**options)
        self._max_connections = max_connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._max_connections:
            self.connections.discard(self)
            transport.abort()


class HttpServer:
    """Serves an ASGI application on a bound socket.

    Owned by the composition root; `start()` returns when connections are accepted, `stop()` when
    requests in work are answered, or have had ten seconds.
    """

    def __init__(self, app: AsgiApp, *, max_connections: int, max_idle_ms: int) -> None:
        protocol = functools.partial(_BoundedProtocol, max_connections=max_connections)
        self._uvicorn = _Uvicorn(
            uvicorn.Config(
                app,
                http=protocol,  # type: ignore[arg-type]
                ws="none",
                lifespan="off",
                proxy_headers=False,
                interface="asgi3",
                access_log=False,
                log_config=None,
                server_header=False,
                date_header=False,
                backlog=_BACKLOG,
                timeout_keep_alive=max(max_idle_ms // 1000, 1),
                timeout_graceful_shutdown=_GRACE_S,
            )
        )
        self._task: asyncio.Task[None] | None = None

    @property
    def connection_count(self) -> int:
        return len(self._uvicorn.server_state.connections)

    async def start(self, listener: socket.socket) -> None:
        self._task = asyncio.create_task(self._uvicorn.serve([listener]), name="http-server")
        while not self._uvicorn.started:
            if self._task.done():
                self._task.result()
                raise RuntimeError("the HTTP server ended while it started")
            await asyncio.sleep(_POLL_S)

    async def stop(self) -> None:
        if self._task is not None:
            self._uvicorn.should_exit = True
            await self._task
            self._task = None


def bind(host: str, port: int) -> socket.socket:
    """A socket that is bound and does not listen yet; an empty host stands for all interfaces.

    Raises:
        OSError: the address is taken, or not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if host:
        family, _, _, _, _ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except BaseException:
        listener.close()
        raise
    return listener
