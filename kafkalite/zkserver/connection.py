"""One TCP connection: bytes to frames, frames to bytes, bounded both ways."""

import asyncio
import struct
from typing import Protocol, cast

from kafkalite.zkserver.machine import Client
from kafkalite.zkserver.words import WORD_BYTES, ConnectionView

MAX_FRAME_BYTES = 0xFFFFF
"""ZooKeeper's default jute.maxbuffer."""
MAX_OUTSTANDING = 1000
"""Unanswered requests of a connection; what else it sends waits."""
MAX_UNSENT_BYTES = 4 * 1024 * 1024
"""Answers that a client has not read, after which no more of its requests are taken in."""
CONNECT_TIMEOUT_S = 10.0
"""How long a connection may stay silent before its first frame."""
CLOSE_TIMEOUT_S = 10.0
"""How long a client may take to read what was sent before the connection was closed."""

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
    """A connection with its buffers. Made by the loop, owned by the server, used on its loop.

    A client that sends faster than it is answered, or does not read its answers, is not read any
    further until it has caught up; TCP then holds it back.
    """

    def __init__(self, owner: ConnectionOwner) -> None:
        self._owner = owner
        self._transport: asyncio.Transport
        """Set once the connection is made, like `client`."""
        self._unread = bytearray()
        self._greeted = False
        self._reading = True
        self._writing_paused = False
        self._deadline: asyncio.TimerHandle | None = None
        self.client: Client
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
        self._transport.set_write_buffer_limits(high=MAX_UNSENT_BYTES)
        self.host, self.port = transport.get_extra_info("peername")[:2]
        self.client = Client(self.host)
        if not self._owner.opened(self):
            self.abort()
            return
        self._set_deadline(CONNECT_TIMEOUT_S)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        if self._greeted or self._greet():
            self._take_frames()

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._take_frames()

    def connection_lost(self, _error: Exception | None) -> None:
        self._clear_deadline()
        self._owner.lost(self)

    # -- from the server --------------------------------------------------------------------------

    def send(self, frames: list[bytes]) -> None:
        """Write frames."""
        if self._is_open:
            self._transport.write(frames[0] if len(frames) == 1 else b"".join(frames))
            self.sent += len(frames)

    def answered(self, count: int) -> None:
        """So many requests have their answers; take in what waits."""
        self.outstanding -= count
        self._take_frames()

    def close(self) -> None:
        """Close once everything written is sent."""
        if self._is_open:
            self._set_deadline(CLOSE_TIMEOUT_S)
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    # -- frames -----------------------------------------------------------------------------------

    @property
    def _is_open(self) -> bool:
        return not self._transport.is_closing()

    @property
    def _has_room(self) -> bool:
        return self.outstanding < MAX_OUTSTANDING and not self._writing_paused

    def _take_frames(self) -> None:
        """Take in what has come as far as there is room, and read on only if there is room."""
        unread, start, end = self._unread, 0, len(self._unread)
        while self._is_open and self._has_room and end - start >= _LENGTH.size:
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
        self._read_on(self._has_room)

    def _read_on(self, reading: bool) -> None:
        if reading is not self._reading and self._is_open:
            self._reading = reading
            if reading:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def _greet(self) -> bool:
        """Look at the first four bytes; True when they begin a frame, not a word."""
        if len(self._unread) < WORD_BYTES:
            return False
        first = self._unread[:WORD_BYTES].decode("latin-1")
        text = self._owner.word_received(self, first)
        self._greeted = text is None
        self._clear_deadline()
        if text is not None:
            self.received += 1
            self.send([text.encode()])
            self.close()
        return self._greeted

    def _set_deadline(self, seconds: float) -> None:
        """Drop the connection after so long, unless the deadline is cleared before."""
        self._clear_deadline()
        self._deadline = asyncio.get_running_loop().call_later(seconds, self.abort)

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
