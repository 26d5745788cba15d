"""An answer that goes on, event by event; as server-sent events, where browsers read them.

    stream  = *(event / comment)
    event   = ["event: " name LF] ["id: " id LF] ["retry: " ms LF] *("data: " line LF) LF
    comment = ":" [text] LF LF                                      ; keeps connections open

UTF-8, always. What would be taken for the end of a line within the data becomes a line of its own;
the reader joins them with LF again.
"""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from contextvars import ContextVar
from typing import Any, Final

from kafkalite.api.data_plane.exchange import ClientGoneError, Exchange, RawHeader
from kafkalite.model.errors import NotAcceptableError

EVENT_STREAM: Final = "text/event-stream"
KEEP_ALIVE_S: Final = 15.0
"""How long nothing is sent at most: less than any proxy takes for an end."""
WRITE_PATIENCE_S: Final = 60.0
"""A client that takes nothing for so long, while what is sent to it piles up, is let go."""
LAST_EVENT_ID: Final = b"last-event-id"
"""The header in which a browser that comes back names the last event that it got."""

COMMENT: Final = b":\n\n"
"""Says nothing, and shows that the stream is there."""
_WILDCARDS: Final = frozenset({"*/*", "text/*", EVENT_STREAM})
_HEADERS: Final[tuple[RawHeader, ...]] = (
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)


def check_accept(accept: str) -> None:
    """See that a client takes events at all.

    Raises:
        NotAcceptableError: its Accept header says that it does not.
    """
    ranges = {entry.partition(";")[0].strip().lower() for entry in accept.split(",")}
    if accept and not ranges & _WILDCARDS:
        raise NotAcceptableError(f"Cannot send {accept[:100]!r}; accept {EVENT_STREAM}")


def encode_event(
    data: bytes, *, name: str = "", event_id: str = "", retry_ms: int | None = None
) -> bytes:
    """One event; `name` and `event_id` are ASCII without line ends, `data` is UTF-8.

    Args:
        data: what it says.
        name: what kind of event it is; empty: `message`.
        event_id: what the client shall name when it comes back; empty: as before.
        retry_ms: how long it shall wait then.
    """
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"\n" in data:
        data = data.replace(b"\n", b"\ndata: ")
    head = ""
    if name:
        head += f"event: {name}\n"
    if event_id:
        head += f"id: {event_id}\n"
    if retry_ms is not None:
        head += f"retry: {retry_ms}\n"
    return b"%bdata: %b\n\n" % (head.encode(), data)


class SlowReaderError(ClientGoneError):
    """The client took nothing for WRITE_PATIENCE_S; what was to be sent was not."""


_is_cut: Final = ContextVar("is_cut", default=False)
"""Whether the answer to this request was cut off because nobody reads it."""


class WithoutCutStreams(logging.Filter):
    """For uvicorn's logger, which reports each answer without an end as the application's error."""

    def filter(self, _record: logging.LogRecord) -> bool:
        return not _is_cut.get()


async def while_read(exchange: Exchange, stream: Coroutine[Any, Any, None]) -> None:
    """Have `stream` answer until it ends or the client goes away.

    Raises:
        ClientGoneError: it went away, or reads so slowly that it is cut off (SlowReaderError).
    """
    try:
        await exchange.while_connected(stream)
    except SlowReaderError:
        _is_cut.set(True)
        raise


def slow_reason() -> str:
    """What a client that reads too slowly is told with the event `closed`."""
    return f"Nothing was taken off the connection for {WRITE_PATIENCE_S:.0f} seconds"


class EventStream:
    """One answer of events. Used by one task; `start`, then events, then `end`."""

    def __init__(
        self, exchange: Exchange, media: str = EVENT_STREAM, alive: bytes = COMMENT
    ) -> None:
        """Assign only.

        Args:
            exchange: what is answered.
            media: the type of the answer.
            alive: what is sent where nothing else is.
        """
        self._exchange = exchange
        self._media = media
        self._alive = alive
        self._written = 0.0

    async def start(self, headers: Iterable[RawHeader] = ()) -> None:
        """Begin the answer."""
        media = (b"content-type", self._media.encode())
        await self._exchange.start(200, [media, *_HEADERS, *headers])
        self._written = asyncio.get_running_loop().time()

    async def send(self, event: bytes) -> None:
        """Send what `encode_event` made; waits while the client is slower than we are.

        Raises:
            SlowReaderError: it has taken nothing for WRITE_PATIENCE_S.
        """
        await self._patiently(self._exchange.send_part(event, more=True))

    async def send_each(self, events: Iterable[bytes]) -> None:
        """As `send`, of several, each a chunk of its own: some clients take that for an event."""
        await self._patiently(self._send_parts(events))

    async def keep_alive(self) -> None:
        """Send what says nothing, where nothing was sent for KEEP_ALIVE_S; raises as `send`."""
        if self.silent_s >= KEEP_ALIVE_S:
            await self.send(self._alive)

    @property
    def silent_s(self) -> float:
        """For how long nothing was sent."""
        return asyncio.get_running_loop().time() - self._written

    async def end(self) -> None:
        """End the answer: a browser comes back after its `retry`."""
        await self._patiently(self._exchange.send_part(b"", more=False))

    async def _send_parts(self, parts: Iterable[bytes]) -> None:
        for part in parts:
            await self._exchange.send_part(part, more=True)

    async def _patiently(self, sending: Coroutine[Any, Any, None]) -> None:
        try:
            async with asyncio.timeout(WRITE_PATIENCE_S):
                await sending
        except TimeoutError:
            _is_cut.set(True)  # seen where the answer has no task of its own below the request's
            raise SlowReaderError from None
        self._written = asyncio.get_running_loop().time()
