"""A request's large body, received into one buffer: neither cut into pieces nor joined."""

from collections.abc import Callable
from typing import Final

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

LARGE_BODY: Final = "kafkalite.large_body"
"""The ASGI extension of a request that has a `LargeBody`."""
_LITTLE_BYTES: Final = 16 << 10
_FIRST_BYTES: Final = 256 << 10
_GROWTH: Final = 5
"""A buffer is no larger than so many times what came of the body: Python fills buffers with zeros,
so that one of the size that a client merely announces would be memory lost. The first one is
`_FIRST_BYTES`, or `_LITTLE_BYTES` where next to nothing came."""
_NEXT_TO_NOTHING: Final = 4 << 10


class LargeBody:
    """What has come of a body whose size is known, and room for more of it.

    Made when the head is whole. Whoever serves the request may `read` it, in place of ASGI's
    `receive`; until then, and where nobody does, it comes as any other. Lives on the loop.
    """

    def __init__(
        self, cycle: RequestResponseCycle, size: int, take_over: Callable[["LargeBody"], None]
    ) -> None:
        """Assign only.

        Args:
            cycle: uvicorn's, of the request.
            size: bytes of the body, as the client announced them.
            take_over: has what comes from now on put into `room`, and `arrived` told.
        """
        self._cycle = cycle
        self.size = size
        self._take_over = take_over
        self._buffer = bytearray()
        self._filled = 0
        """Bytes of it that have come."""

    @property
    def received(self) -> int:
        """Bytes of it that have come."""
        return self._filled

    async def read(self) -> bytearray | None:
        """The whole body, or None when the client goes away before. To be called once.

        Whoever cannot take `size` bytes does not call it.
        """
        cycle = self._cycle
        if cycle.more_body and not cycle.disconnected:
            self._begin()
        while cycle.more_body and not cycle.disconnected:
            await cycle.message_event.wait()
            cycle.message_event.clear()
        if cycle.more_body:
            return None
        body, cycle.body = cycle.body, bytearray()
        return body

    def _begin(self) -> None:
        cycle = self._cycle
        self._buffer, cycle.body = cycle.body, self._buffer
        self._filled = len(self._buffer)
        self._take_over(self)
        cycle.message_event.clear()
        if cycle.waiting_for_100_continue and not cycle.transport.is_closing():
            cycle.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            cycle.waiting_for_100_continue = False
        cycle.flow.resume_reading()

    def room(self) -> memoryview:
        """Where the next bytes of the body belong; never past its end."""
        filled = self._filled
        if filled == len(self._buffer):
            least = _FIRST_BYTES if filled >= _NEXT_TO_NOTHING else _LITTLE_BYTES
            grown = bytearray(min(self.size, max(least, _GROWTH * filled)))
            grown[:filled] = self._buffer
            self._buffer = grown
        return memoryview(self._buffer)[filled:]

    def arrived(self, size: int) -> bool:
        """So many bytes are in `room`; gives whether the body is whole, which ends its `read`."""
        self._filled += size
        if self._filled < self.size:
            return False
        cycle = self._cycle
        cycle.body, self._buffer = self._buffer, bytearray()
        cycle.more_body = False
        cycle.message_event.set()
        return True


def announced_size(cycle: RequestResponseCycle) -> int:
    """The bytes of the body that the head announces; 0 where it does not, as with chunks."""
    for name, text in cycle.scope["headers"]:
        if name == b"content-length" and text.isdigit():
            return int(text)
    return 0
