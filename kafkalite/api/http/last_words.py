"""The end of a connection to somebody who is still sending.

Closed at once, what came unread would have the system reset the connection, and a client that is
reset may never see the answer that says why.
"""

import asyncio
from collections.abc import Callable
from typing import ClassVar, Final

from kafkalite.api.http.corked_transport import LINGER_S

_MOST_S: Final = 2.0
"""How long a client may go on sending, once all that was written has left."""
_MOST_BYTES: Final = 8 << 20
"""Read and thrown away, so that the client gets to read what it was told."""
_MOST_AT_ONCE: Final = 256
"""Connections that are waited for; more of them are closed at once."""


class LastWords(asyncio.Protocol):
    """Sends no more, reads what comes and forgets it, until the client is done or its time is up.

    Takes the place of the connection's protocol. Lives on the loop.
    """

    open_count: ClassVar[int] = 0
    """Of all connections that end in this way."""

    def __init__(
        self, transport: asyncio.Transport, on_lost: Callable[[Exception | None], None]
    ) -> None:
        """Assign only; `on_lost` is told when the connection is gone."""
        self._transport = transport
        self._on_lost = on_lost
        self._left = _MOST_BYTES
        self._is_written = False
        """Whether all had left when that was looked at last."""
        self._alarm: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        """When the client must have read what was written."""

    def begin(self) -> None:
        """Have all sent that was written, and end our half of the connection."""
        LastWords.open_count += 1
        self._transport.set_protocol(self)
        loop = asyncio.get_running_loop()
        if LastWords.open_count > _MOST_AT_ONCE:
            self._alarm = loop.call_later(LINGER_S, self._transport.abort)
            self._transport.close()
            return
        self._due_s = loop.time() + LINGER_S
        self._is_written = not self._transport.get_write_buffer_size()
        self._alarm = loop.call_later(_MOST_S, self._look, loop)
        self._transport.write_eof()
        if not self._transport.is_reading():
            self._transport.resume_reading()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """End it, but for a client that is still reading, or was when this was asked last."""
        if self._is_written or loop.time() >= self._due_s:
            self._transport.abort()
            return
        self._is_written = not self._transport.get_write_buffer_size()
        self._alarm = loop.call_later(_MOST_S, self._look, loop)

    def data_received(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        LastWords.open_count -= 1
        if self._alarm is not None:
            self._alarm.cancel()
        self._on_lost(exc)
