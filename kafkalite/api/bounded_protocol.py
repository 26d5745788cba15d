"""uvicorn's connection with bounds on what a client may make it hold, and for how long."""

import asyncio
from collections.abc import Callable
from typing import ClassVar, Final, NamedTuple, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kafkalite.api.corked_transport import CorkedTransport, Outbox
from kafkalite.api.errors import problem_response
from kafkalite.model.errors import InvalidRequestError, LogError, RequestHeaderTooLargeError

MAX_HEAD_BYTES: Final = 64 << 10
"""Of a request's line and headers."""
_BODY_SILENCE_S: Final = 30.0
"""How long a client may pause within a body."""
_CHECKS: Final = 4
"""A silent connection is noticed within a fourth of the time that it may be silent."""
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
        self._heard_at = self.loop.time()
        self._head_bytes = 0
        self._in_head = True
        self._has_ended = False
        """Whether a request became whole in what was received last."""
        self._check = self.loop.call_later(self._patience_s / _CHECKS, self._check_silence)
        if len(self.connections) > self.shared.max_connections:
            self.connections.discard(self)
            self.transport.abort()
        self.shared.tell_count(len(self.connections))

    def connection_lost(self, exc: Exception | None) -> None:
        self._check.cancel()
        super().connection_lost(exc)
        self.shared.tell_count(len(self.connections))

    def data_received(self, data: bytes) -> None:
        self._heard_at = self.loop.time()
        was_in_head, self._has_ended = self._in_head, False
        super().data_received(data)
        if was_in_head and self._in_head and not self._has_ended:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self._refuse(
                    RequestHeaderTooLargeError(
                        f"The request's line and headers take more than {MAX_HEAD_BYTES} bytes"
                    )
                )

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head = self._has_ended = True
        self._head_bytes = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(InvalidRequestError(msg))

    @property
    def _patience_s(self) -> float:
        """How long the client may be silent as things stand."""
        if self._in_head or self.cycle is None or self.cycle.response_complete:
            return self.shared.max_idle_s
        return _BODY_SILENCE_S

    def _check_silence(self) -> None:
        """Close a connection whose client owes us something and has been silent too long."""
        # uvicorn itself closes one that is idle after an answer.
        is_owed = self._in_head or not self.flow.read_paused
        if self.cycle is not None and self._in_head and not self._head_bytes:
            is_owed = False
        patience_s = self._patience_s
        if is_owed and self.loop.time() - self._heard_at > patience_s:
            self.transport.abort()
        else:
            self._check = self.loop.call_later(patience_s / _CHECKS, self._check_silence)

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
