"""A request that arrived whole and may be answered without a task of its own."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from kafkalite.api.errors import ProblemResponse
from kafkalite.api.exchange import RawHeader

_CLOSE: Final = b"connection: close\r\n"
_CACHED_HEADS: Final = 64


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

    def respond(self, status: int, media: bytes, body: bytes) -> None:
        """Answer with a whole body."""
        self._send(_head(status, media), b"%d\r\n" % len(body), body)

    def refuse(self, response: ProblemResponse) -> None:
        """Answer with a problem document."""
        self._send(_lines(response.status, response.headers), b"", response.body)

    def _send(self, head: bytes, length: bytes, body: bytes) -> None:
        """Send what uvicorn's `send` would for both of its messages, and leave the same state."""
        cycle = self._cycle
        if cycle.disconnected:
            return
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        is_kept = cycle.keep_alive
        end = b"\r\n" if is_kept else _CLOSE + b"\r\n"
        cycle.transport.write(b"%b%b%b%b" % (head, length, end, body))
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
    lines = [b"%b: %b\r\n" % header for header in headers]
    return b"HTTP/1.1 %d %b\r\n%b" % (status, phrase, b"".join(lines))
