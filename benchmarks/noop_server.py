"""The least that a server can do: read a body, answer a fixed one. Run as a process of its own.

With the argument `plain` it runs on uvicorn as it comes; with `corked` on the broker's HttpServer,
which adds a transport that joins small writes. So what a broker adds is the difference.
"""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Iterator
from typing import Final

import uvicorn
import uvloop

from kafkalite.api.data_plane.exchange import Receive, Scope, Send
from kafkalite.api.http.server import HttpServer, bind

ANSWER: Final = b'{"offsets":[{"partition":0,"offset":123456}]}'
"""As large as a broker's answer to one record."""


async def answer(_scope: Scope, receive: Receive, send: Send) -> None:
    """Read all, say the same as always."""
    while (await receive()).get("more_body", False):
        pass
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(ANSWER)),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER})


class _Plain(uvicorn.Server):
    """uvicorn without its signal handlers: `_serve` has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(kind: str) -> None:
    listener = bind("127.0.0.1", 0)
    listener.listen()  # whoever reads the port may connect at once
    asked_to_stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked_to_stop.set)
    print(listener.getsockname()[1], flush=True)
    if kind == "corked":
        corked = HttpServer(answer, max_connections=10_000, max_idle_ms=600_000)
        await corked.start(listener)
        await asked_to_stop.wait()
        await corked.stop()
        return
    plain = _Plain(
        uvicorn.Config(
            answer,
            http="httptools",
            ws="none",
            lifespan="off",
            interface="asgi3",
            proxy_headers=False,
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            timeout_keep_alive=600,
        )
    )
    serving = asyncio.create_task(plain.serve([listener]))
    await asked_to_stop.wait()
    plain.should_exit = True
    await serving


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1]))
