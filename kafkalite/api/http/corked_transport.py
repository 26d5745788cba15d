"""Small writes of one turn of the loop, joined: one system call where ASGI would make two."""

import asyncio
import socket
import struct
from collections.abc import Callable, Iterable
from typing import Any, Final

_LARGE_BYTES: Final = 16 << 10
"""From this size on writes are not worth copying: they leave together, but as they are."""
_MOST_BYTES: Final = 1 << 20
"""Held back until the turn ends."""
_AT_ONCE: Final = struct.pack("ii", 1, 0)
"""Of SO_LINGER: the system resets a connection that is closed."""
LINGER_S: Final = 60.0
"""How long a client may take to read what is left when its connection is closed."""


class Outbox:
    """The connections that have something to send, written one after the other at the turn's end.

    A write to a client that sleeps wakes it, which costs more than the write. Written together, the
    first answer wakes it and it finds the others. One for all connections of a server.
    """

    def __init__(self) -> None:
        self._waiting: list[CorkedTransport] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        """Kept, because asking for it is a system call each time (Python 3.11's getpid)."""

    def put(self, transport: "CorkedTransport") -> None:
        """See that `transport` is uncorked when this turn ends."""
        if not self._waiting:
            if self._loop is None:
                self._loop = asyncio.get_running_loop()
            self._loop.call_soon(self.send)
        self._waiting.append(transport)

    def send(self) -> None:
        waiting, self._waiting = self._waiting, []
        for transport in waiting:
            transport.uncork()


class CorkedTransport(asyncio.Transport):
    """A TCP transport whose writes wait for the end of the loop's turn, unless they are many bytes.

    Everything but writing is the transport's that it is made around.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        outbox: Outbox,
        end: Callable[[asyncio.Transport], bool] = lambda _: False,
    ) -> None:
        """Assign only.

        Args:
            transport: what really sends.
            outbox: of all connections of the server.
            end: asked when the connection is to be closed: whether it takes that over.
        """
        super().__init__()
        self._transport = transport
        self._outbox = outbox
        self._end = end
        self._is_ended = False
        """Whether somebody else took the connection's end over: nothing more is written."""
        self._corked: list[bytes | bytearray | memoryview] = []
        self._size = 0
        """Bytes of it."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._corked:
            self._outbox.put(self)
        self._corked.append(data)
        self._size += len(data)
        if self._size >= _MOST_BYTES:
            self.uncork()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """All of it leaves together, however much it is."""
        if not self._corked:
            self._outbox.put(self)
        self._corked += list_of_data
        self._size = sum(map(len, self._corked))
        if self._size >= _MOST_BYTES:
            self.uncork()

    def uncork(self) -> None:
        """Write what has been held back."""
        corked, size = self._corked, self._size
        if not corked:
            return
        self._corked = []
        self._size = 0
        # One that its client has reset raises when it is written to, and others come after it.
        if self.is_closing():
            return
        if len(corked) == 1:
            self._transport.write(corked[0])
        elif size < _LARGE_BYTES:
            self._transport.write(b"".join(corked))
        else:
            self._transport.writelines(corked)

    def close(self) -> None:
        """Once all is written; a client that does not read it is not waited for without an end."""
        self.uncork()
        if self.is_closing():
            return
        if self._end(self._transport):
            self._is_ended = True
            return
        is_unread = self._transport.get_write_buffer_size()
        self._transport.close()
        if is_unread:
            asyncio.get_running_loop().call_later(LINGER_S, self._transport.abort)

    def abort(self) -> None:
        """At once; the client gets an error, not an end, as its answer may not be whole."""
        self._corked.clear()
        self._size = 0
        if not self.is_closing():  # else another connection may have its number by now
            connection = self._transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._is_ended or self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - asyncio's
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def is_reading(self) -> bool:
        return self._transport.is_reading()

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size() + self._size

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._transport.set_write_buffer_limits(high, low)
