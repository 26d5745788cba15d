"""The least that a server can do in HTTP, so that what is measured is its client.

Run as a process of its own: says its port, and answers `POST` with a few bytes and `GET /N` with N.
"""

import asyncio
import signal
from typing import Final, cast

import uvloop

_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"
LARGEST: Final = 16 << 20
_ZEROS: Final = memoryview(bytes(LARGEST))
_SMALL: Final = b"HTTP/1.1 200 OK\r\ncontent-length: 45\r\n\r\n" + b"x" * 45


class _Answering(asyncio.Protocol):
    """One connection; requests come one after the other."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._arrived = b""

    def data_received(self, data: bytes) -> None:
        arrived = self._arrived + data if self._arrived else data
        head, end, body = arrived.partition(_END)
        if not end or len(body) < _body_length(head):
            self._arrived = arrived
            return
        self._arrived = b""
        method, target, _ = head.split(b" ", 2)
        if method == b"POST":
            self._transport.write(_SMALL)
            return
        size = int(target[1:])
        self._transport.writelines(
            (b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size, _ZEROS[:size])
        )


def _body_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line.lower().startswith(_LENGTH):
            return int(line[len(_LENGTH) :])
    return 0


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    asked_to_stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, asked_to_stop.set)
    async with await loop.create_server(_Answering, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asked_to_stop.wait()


if __name__ == "__main__":
    uvloop.run(_serve())
