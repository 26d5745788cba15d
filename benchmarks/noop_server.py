"""The least that a server can do: read a body, answer a fixed one. Run as a process of its own.

It runs on the same uvicorn as the broker, so what a broker adds is the difference.
"""

import asyncio
import signal
from typing import Final

import uvloop

from kafkalite.api.exchange import Receive, Scope, Send
from kafkalite.api.http_server import HttpServer, bind

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


async def _serve() -> None:
    listener = bind("127.0.0.1", 0)
    server = HttpServer(answer, max_connections=10_000, max_idle_ms=600_000)
    await server.start(listener)
    asked_to_stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked_to_stop.set)
    print(listener.getsockname()[1], flush=True)
    await asked_to_stop.wait()
    await server.stop()


if __name__ == "__main__":
    uvloop.run(_serve())
