"""Where the bytes of a connection arrive."""

import asyncio
from typing import Final, Protocol

from kafkalite.api.http.large_body import LargeBody

READ_BYTES: Final = 64 << 10
"""Read at a time, but of large bodies."""


class Receiver(Protocol):
    """The connection that an intake belongs to."""

    def data_received(self, data: memoryview, /) -> None:
        """Bytes of heads, and of bodies that nobody takes over; they change once it returns."""

    def large_body_received(self, *, is_whole: bool) -> None:
        """Bytes of a large body were put into its buffer; `is_whole` with the last of them."""

    def eof_received(self) -> None: ...

    def connection_lost(self, exc: Exception | None, /) -> None: ...

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...


class Intake(asyncio.BufferedProtocol):
    """Has what arrives put where it belongs: into a large body's own buffer, or for the parser.

    The parser would have a body copied four times: out of what was read, into what it gives out,
    into what waits to be received and into the whole. Owned by its connection; lives on the loop.
    """

    def __init__(self, receiver: Receiver, arrivals: memoryview) -> None:
        """Assign only.

        Args:
            receiver: the connection.
            arrivals: READ_BYTES to read into. Connections of one loop can share them: what is
                read is taken out at once.
        """
        self._receiver = receiver
        self._arrivals = arrivals
        self._large: LargeBody | None = None

    def take_over(self, body: LargeBody) -> None:
        """Put what comes next into `body`, until it is whole."""
        self._large = body

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._arrivals if self._large is None else self._large.room()

    def buffer_updated(self, nbytes: int) -> None:
        large = self._large
        if large is None:
            self._receiver.data_received(self._arrivals[:nbytes])
            return
        is_whole = large.arrived(nbytes)
        if is_whole:
            self._large = None
        self._receiver.large_body_received(is_whole=is_whole)

    def eof_received(self) -> None:
        self._receiver.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._large = None
        self._receiver.connection_lost(exc)

    def pause_writing(self) -> None:
        self._receiver.pause_writing()

    def resume_writing(self) -> None:
        self._receiver.resume_writing()
