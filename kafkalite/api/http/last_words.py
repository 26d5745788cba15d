"""The end of a connection to somebody who is still sending.

Closed at once, what came unread would have the system reset the connection, and a client that is
reset may never see the answer that says why.
"""

import asyncio
from collections.abc import Callable
from typing import ClassVar, Final

_MOST_S: Final = 2.0
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
        self._alarm: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Have all sent that was written, and end our half of the connection."""
        LastWords.open_count += 1
        self._transport.set_protocol(self)
        if LastWords.open_count > _MOST_AT_ONCE:
            self._transport.close()
            return
        self._alarm = asyncio.get_running_loop().call_later(_MOST_S, self._transport.abort)
        self._transport.write_eof()
        if not self._transport.is_reading():
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        LastWords.open_count -= 1
        if self._alarm is not None:
            self._alarm.cancel()
        self._on_lost(exc)
