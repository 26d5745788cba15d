"""uvicorn's connection with bounds on what a client may make it hold, and for how long."""

import asyncio
import math
from collections.abc import Callable
from typing import ClassVar, Final, NamedTuple, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kafkalite.api.corked_transport import CorkedTransport, Outbox
from kafkalite.api.errors import problem_response
from kafkalite.model.errors import InvalidRequestError, LogError, RequestHeaderTooLargeError

MAX_HEAD_BYTES: Final = 64 << 10
"""Of a request's line and headers, and of what follows the last chunk of a body."""
_BODY_SILENCE_S: Final = 30.0
"""How long a client may pause within a body."""
_PHRASES: Final = {400: b"Bad Request", 431: b"Request Header Fields Too Large"}


class Shared(NamedTuple):
    """What the connections of one server have in common."""

    max_connections: int
    max_idle_s: float
    tell_count: Callable[[int], None]
    """Told the number of connections whenever it changes."""
    outbox: Outbox


class BoundedProtocol(HttpToolsProtocol):
    """Corked; refuses a head that is too large, closes what is silent or one too many.

    Made by uvicorn, one a connection, of the class that `bounded_protocol` gives.
    """

    shared: ClassVar[Shared]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        corked = CorkedTransport(cast("asyncio.Transport", transport), self.shared.outbox)
        super().connection_made(corked)
        self._head_bytes = 0
        """Received of a head that is not whole."""
        self._in_chunk = False
        self._alarm: asyncio.TimerHandle | None = None
        self._expect_within(self.shared.max_idle_s)
        if len(self.connections) > self.shared.max_connections:
            self.connections.discard(self)
            self.transport.abort()
        self.shared.tell_count(len(self.connections))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        super().connection_lost(exc)
        self.shared.tell_count(len(self.connections))

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        cycle = self.cycle
        if cycle is not None and cycle.scope is self.scope and not cycle.more_body:
            # The usual: a request that is whole. From its answer on, uvicorn looks to idleness.
            self._head_bytes = 0
            self._due = math.inf
        elif not self.transport.is_closing():
            self._part_received(len(data))

    def on_chunk_header(self) -> None:
        """The size of a chunk was received: its data follow, after the last one only trailers."""
        self._in_chunk = True
        self._head_bytes = 0

    def on_chunk_complete(self) -> None:
        self._in_chunk = False

    def send_400_response(self, msg: str) -> None:
        self._refuse(InvalidRequestError(msg))

    def _part_received(self, size: int) -> None:
        cycle = self.cycle
        if cycle is None or cycle.scope is not self.scope:
            if not self._head_bytes:
                self._expect_within(self.shared.max_idle_s)
            self._head_bytes += size
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse_head()
            return
        self._expect_within(self._body_patience_s)
        if self._in_chunk and not cycle.body:
            self._head_bytes += size
            if self._head_bytes > MAX_HEAD_BYTES:
                self.transport.abort()

    @property
    def _body_patience_s(self) -> float:
        is_answered = self.cycle.response_complete
        return self.shared.max_idle_s if is_answered else _BODY_SILENCE_S

    def _expect_within(self, seconds: float) -> None:
        """Close the connection unless a whole request, or more of its body, comes in time."""
        self._due = self.loop.time() + seconds
        if self._alarm is None or self._alarm.when() > self._due:
            self._set_alarm()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self.loop.call_at(self._due, self._on_alarm)

    def _on_alarm(self) -> None:
        # Set for what was due once; nothing may be due any more, or only later.
        self._alarm = None
        if self._due == math.inf:
            return
        if self._due > self.loop.time():
            self._set_alarm()
        elif self.flow.read_paused:
            self._expect_within(_BODY_SILENCE_S)  # not the client is silent, we do not listen
        else:
            self.transport.close()

    def _refuse_head(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()  # an earlier request's answer may have begun
            return
        self._refuse(
            RequestHeaderTooLargeError(
                f"The request's line and headers take more than {MAX_HEAD_BYTES} bytes"
            )
        )

    def _refuse(self, error: LogError) -> None:
        status, headers, body = problem_response(error)
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        self.transport.write(
            b"HTTP/1.1 %d %b\r\n%bconnection: close\r\n\r\n%b"
            % (status, _PHRASES[status], lines, body)
        )
        self.transport.close()


def bounded_protocol(
    *, max_connections: int, max_idle_s: float, count: Callable[[int], None]
) -> type[HttpToolsProtocol]:
    """The class of the connections of one server, as uvicorn wants it."""

    class OneServersProtocol(BoundedProtocol):
        shared = Shared(max_connections, max_idle_s, count, Outbox())

    return OneServersProtocol
