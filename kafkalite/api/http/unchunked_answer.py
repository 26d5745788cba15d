"""Answers to those who know no chunks: HTTP/1.0, which old health checks, proxies and `ab` speak.

An answer whose length is not known ends there with the connection. So does one that is cut off: it
is reset, or nobody could tell it from a whole one.
"""

from typing import Any, Final

from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from kafkalite.api.data_plane.exchange import RawHeader

OLD_VERSIONS: Final = frozenset({"0.9", "1.0"})
"""Of HTTP, without chunks; connections are kept only where the client asks for it."""
KEPT: Final[RawHeader] = (b"connection", b"keep-alive")
"""Tells one who asked that the connection is kept."""
_NO_BODY: Final = frozenset({204, 304})


class _UnchunkedAnswer:
    """An ASGI `send` around uvicorn's, of one request."""

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._is_sized = True
        """Whether a head has not said otherwise."""

    async def __call__(self, message: Any) -> None:  # noqa: ANN401 - ASGI's messages
        cycle = self._cycle
        if message["type"] != "http.response.start":
            if not self._is_sized:
                # uvicorn counts what was announced down to nothing.
                cycle.expected_content_length = len(message.get("body", b""))
            await cycle.send(message)
            return
        names = {name for name, _ in message["headers"]}
        self._is_sized = (
            b"content-length" in names
            or message["status"] in _NO_BODY
            or cycle.scope["method"] == "HEAD"
        )
        if self._is_sized:
            if cycle.keep_alive and b"connection" not in names:
                message = {**message, "headers": [*message["headers"], KEPT]}
            await cycle.send(message)
            return
        cycle.keep_alive = False
        cycle.chunked_encoding = True  # decided: uvicorn adds no header that says so
        await cycle.send(message)
        cycle.chunked_encoding = False

    @property
    def is_cut_off(self) -> bool:
        """Whether its client would take it for whole, and it is not."""
        return not (self._is_sized or self._cycle.response_complete)


def without_chunks(app: ASGI3Application, cycle: RequestResponseCycle) -> ASGI3Application:
    """`app`, answering the one request of `cycle`, whose client knows no chunks."""

    async def serve(scope: Scope, receive: ASGIReceiveCallable, _send: ASGISendCallable) -> None:
        answer = _UnchunkedAnswer(cycle)
        try:
            await app(scope, receive, answer)
        finally:
            if answer.is_cut_off:
                cycle.transport.abort()

    return serve
