"""One TCP connection: bytes to frames, frames to bytes, bounded both ways."""

import asyncio
import struct
from typing import Protocol, cast

from kafkalite.zkserver.machine import Client
from kafkalite.zkserver.words import WORD_BYTES, ConnectionView

MAX_FRAME_BYTES = 0xFFFFF
"""ZooKeeper's default jute.maxbuffer."""
MAX_OUTSTANDING = 1000
"""Unanswered requests after which a connection is not read any further."""
MAX_UNSENT_BYTES = 32 * 1024 * 1024
"""What may wait for a client that does not read before it is dropped."""
CONNECT_TIMEOUT_S = 10.0
"""How long a connection may stay silent before its first frame."""

_LENGTH = struct.Struct("!i")


class ConnectionOwner(Protocol):
    """What a connection needs of its server."""

    def opened(self, connection: "Connection") -> bool:
        """Take the connection in; False refuses it."""

    def frame_received(self, connection: "Connection", frame: bytes) -> None:
        """A whole frame has come."""

    def word_received(self, connection: "Connection", word: str) -> str | None:
        """The first four bytes; the text to answer when they are a word that is known."""

    def lost(self, connection: "Connection") -> None:
        """The connection is gone."""


class Connection(asyncio.Protocol):
    """A connection with its buffers. Made by the loop, owned by the server, used on its loop."""

    def __init__(self, owner: ConnectionOwner) -> None:
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._unread = bytearray()
        self._greeted = False
        self._reading = True
        self._silence: asyncio.TimerHandle | None = None
        self.client: Client
        """Made when the connection is."""
        self.host = ""
        self.port = 0
        self.outstanding = 0
        self.received = 0
        self.sent = 0

    @property
    def view(self) -> ConnectionView:
        return ConnectionView(
            f"{self.host}:{self.port}",
            self.client.session_id,
            self.outstanding,
            self.received,
            self.sent,
        )

    # -- from the loop ----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.host, self.port = transport.get_extra_info("peername")[:2]
        self.client = Client(self.host)
        if not self._owner.opened(self):
            self.abort()
            return
        self._silence = asyncio.get_running_loop().call_later(CONNECT_TIMEOUT_S, self.abort)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        if not self._greeted and not self._greet():
            return
        unread, start, end = self._unread, 0, len(self._unread)
        while end - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(unread, start)
            if not 0 <= length <= MAX_FRAME_BYTES:
                self.abort()
                break
            next_start = start + _LENGTH.size + length
            if next_start > end:
                break
            frame = bytes(unread[start + _LENGTH.size : next_start])
            start = next_start
            self.received += 1
            self.outstanding += 1
            self._owner.frame_received(self, frame)
        del unread[:start]
        if self._reading and self.outstanding >= MAX_OUTSTANDING:
            self.stop_reading()

    def connection_lost(self, _error: Exception | None) -> None:
        self._stop_waiting()
        self._owner.lost(self)

    # -- from the server --------------------------------------------------------------------------

    def send(self, frames: list[bytes]) -> None:
        """Write frames; a client that lets too much pile up is dropped."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(frames[0] if len(frames) == 1 else b"".join(frames))
        self.sent += len(frames)
        if transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            transport.abort()

    def stop_reading(self) -> None:
        """Leave what else it sends in the socket, until `answered` makes room."""
        if self._reading and self._transport is not None and not self._transport.is_closing():
            self._reading = False
            self._transport.pause_reading()

    def answered(self, count: int) -> None:
        """So many requests have their answers; read on when there is room again."""
        self.outstanding -= count
        if not self._reading and self.outstanding < MAX_OUTSTANDING // 2:
            self._reading = True
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()

    def close(self) -> None:
        """Close once everything written is sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _greet(self) -> bool:
        """Look at the first four bytes; True when they begin a frame, not a word."""
        if len(self._unread) < WORD_BYTES:
            return False
        first = self._unread[:WORD_BYTES].decode("latin-1")
        text = self._owner.word_received(self, first)
        self._greeted = text is None
        if text is not None:
            self.received += 1
            self.stop_reading()
            self.send([text.encode()])
            self.close()
        self._stop_waiting()
        return self._greeted

    def _stop_waiting(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None
