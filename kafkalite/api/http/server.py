"""uvicorn, run inside a loop that has other things to do, too."""

import asyncio
import contextlib
import math
import socket
from collections.abc import Callable, Iterator
from typing import Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kafkalite.api.data_plane.exchange import AsgiApp, RawHeader
from kafkalite.api.http.bounded_protocol import bounded_protocol
from kafkalite.api.http.front import HttpFront
from kafkalite.api.http.options import HttpOptions
from kafkalite.api.http.whole_request import Express

_BACKLOG: Final = 4096
_REQUEST_GRACE_S: Final = 2.0
"""How long clients may take to finish sending a request when the server stops."""
_CANCEL_S: Final = 2
"""So long after the end of all patience uvicorn cancels what is left, and reports a failure."""
_POLL_S: Final = 0.01


_USUAL: Final = HttpOptions()


class _Uvicorn(uvicorn.Server):
    """uvicorn without its signal handlers: the broker has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpServer:
    """Serves an ASGI application on a bound socket.

    Owned by the composition root; `start()` returns when connections are accepted, `stop()` when
    requests in work are answered, or have had their time.
    """

    def __init__(
        self,
        app: AsgiApp,
        *,
        max_connections: int,
        max_idle_ms: int,
        count: Callable[[int], None] = lambda _: None,
        express: Express = lambda _: False,
        options: HttpOptions = _USUAL,
    ) -> None:
        """Assign only.

        Args:
            app: serves what `express` does not take.
            max_connections: one more is told so, and closed.
            max_idle_ms: how long a connection may be silent between requests, or within a head.
            count: told the number of connections whenever it changes.
            express: asked first about each request that arrives whole.
            options: what else an operator can say.
        """
        self._grace_s = options.shutdown_timeout_s
        self._uvicorn = _Uvicorn(
            uvicorn.Config(
                HttpFront(app, options.cors, options.compression_min_bytes),
                http=bounded_protocol(
                    max_connections=max_connections,
                    max_idle_s=max_idle_ms / 1000,
                    count=count,
                    express=express,
                    options=options,
                ),
                headers=_as_text(options.cors.default_headers),
                ws="none",
                lifespan="off",
                proxy_headers=False,
                interface="asgi3",
                access_log=False,
                log_config=None,
                server_header=False,
                date_header=False,
                backlog=_BACKLOG,
                timeout_graceful_shutdown=math.ceil(self._grace_s) + _CANCEL_S,
            )
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self, listener: socket.socket) -> None:
        self._task = asyncio.create_task(self._uvicorn.serve([listener]), name="http-server")
        while not self._uvicorn.started:
            if self._task.done():
                self._task.result()
                raise RuntimeError("the HTTP server ended while it started")
            await asyncio.sleep(_POLL_S)

    def drain(self) -> None:
        """Let each connection end with the answer that it waits for, those that are idle at once.

        To be called before what requests wait for is ended, so that their clients turn elsewhere.
        """
        for connection in list(self._uvicorn.server_state.connections):
            connection.shutdown()

    async def stop(self) -> None:
        if self._task is not None:
            self._uvicorn.should_exit = True
            loop = asyncio.get_running_loop()
            timers = (
                loop.call_later(min(_REQUEST_GRACE_S, self._grace_s), self._abort, _is_receiving),
                loop.call_later(self._grace_s, self._abort, _is_open),
            )
            await self._task
            for timer in timers:
                timer.cancel()
            self._task = None

    def _abort(self, is_meant: Callable[[HttpToolsProtocol], bool]) -> None:
        for connection in list(self._uvicorn.server_state.connections):
            if isinstance(connection, HttpToolsProtocol) and is_meant(connection):
                connection.transport.abort()


def _as_text(headers: list[RawHeader]) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), text.decode("latin-1")) for name, text in headers]


def _is_receiving(connection: HttpToolsProtocol) -> bool:
    """Whether a request is not whole yet."""
    cycle = connection.cycle
    return cycle is not None and cycle.more_body and not cycle.response_complete


def _is_open(_connection: HttpToolsProtocol) -> bool:
    return True


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
