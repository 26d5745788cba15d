"""A request that arrived whole and may be answered without a task of its own."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from kafkalite.api.data_plane.exchange import Exchange, RawHeader
from kafkalite.api.errors import ProblemResponse
from kafkalite.api.http.request_id import id_of
from kafkalite.api.http.unchunked_answer import KEPT, OLD_VERSIONS
from kafkalite.wire.batch import Buffer

_CLOSE: Final = b"connection: close\r\n"
_CACHED_HEADS: Final = 64


class _Gone(asyncio.Event):
    """Stands where uvicorn notes that something happened to a request: its client's going, too."""

    def __init__(self, cycle: RequestResponseCycle, act: Callable[[], None]) -> None:
        super().__init__()
        self._cycle = cycle
        self._act: Callable[[], None] | None = act

    def set(self) -> None:
        super().set()
        act = self._act
        if act is not None and self._cycle.disconnected:
            self._act = None
            act()


class WholeRequest:
    """A request with all of its body, and the means to answer it once, now or later.

    What `Exchange` is to a task, this is to a callback. An answer to someone who has gone away goes
    nowhere. Lives on the loop.
    """

    __slots__ = ("_cycle", "scope")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        """Assign only; `cycle` is uvicorn's, its body complete and nothing of it received."""
        self._cycle = cycle
        self.scope: Any = cycle.scope
        """As ASGI describes it."""

    @property
    def body_size(self) -> int:
        return len(self._cycle.body)

    def body(self) -> bytes:
        return bytes(self._cycle.body)

    def header(self, name: bytes) -> str:
        """A header by its lower-case name; empty when it is missing."""
        for key, text in self._cycle.scope["headers"]:
            if key == name:
                return text.decode("latin-1")
        return ""

    @property
    def request_id(self) -> str:
        """The id that the client gave it; a new one each time where it gave none."""
        return id_of(self._cycle.scope["headers"])

    def when_gone(self, act: Callable[[], None]) -> None:
        """Have `act` called if the client goes away, at once where it has; once at most."""
        cycle = self._cycle
        cycle.message_event = _Gone(cycle, act)
        cycle.message_event.set()

    def exchange(self) -> Exchange:
        """The same request, to be answered part by part."""
        cycle: Any = self._cycle  # uvicorn's types of messages are narrower than ASGI's
        return Exchange(cycle.scope, cycle.receive, cycle.send)

    def abort(self) -> None:
        """End the connection: an answer that has begun cannot be completed."""
        self._cycle.transport.abort()

    def respond_parts(self, status: int, media: bytes, parts: Sequence[Buffer], size: int) -> None:
        """As `respond`, with a body of `size` bytes in parts, which nobody changes any more."""
        self._send(_head(status, media), b"%d\r\n" % size, *parts)

    def respond(self, status: int, media: bytes, body: bytes) -> None:
        """Answer with a whole body."""
        self._send(_head(status, media), b"%d\r\n" % len(body), body)

    def refuse(self, response: ProblemResponse) -> None:
        """Answer with a problem document."""
        self._send(_lines(response.status, response.headers), b"", response.body)

    def _send(self, head: bytes, length: bytes, body: Buffer, *others: Buffer) -> None:
        """Send what uvicorn's `send` would for both of its messages, and leave the same state."""
        cycle = self._cycle
        if cycle.disconnected:
            return
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        is_kept = cycle.keep_alive
        end = b"\r\n" if is_kept else _CLOSE + b"\r\n"
        if is_kept and cycle.scope["http_version"] in OLD_VERSIONS:
            end = _fields((KEPT,)) + end
        if cycle.default_headers:
            end = _fields(cycle.default_headers) + end
        cycle.transport.write(b"".join((head, length, end, body)))
        if others:
            cycle.transport.writelines(others)
        cycle.response_complete = True
        cycle.message_event.set()
        if not is_kept:
            cycle.transport.close()
        cycle.on_response()


Express = Callable[[WholeRequest], bool]
"""Takes a request on itself and answers it, or gives False at once, having done nothing."""


@lru_cache(_CACHED_HEADS)
def _head(status: int, media: bytes) -> bytes:
    """The answer's head up to its length, which stands last."""
    return _lines(status, ((b"content-type", media),)) + b"content-length: "


def _lines(status: int, headers: Iterable[RawHeader]) -> bytes:
    phrase = HTTPStatus(status).phrase.encode()
    return b"HTTP/1.1 %d %b\r\n%b" % (status, phrase, _fields(headers))


def _fields(headers: Iterable[RawHeader]) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])
