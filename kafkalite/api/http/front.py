"""What holds for HTTP as such, whatever the path: HEAD, OPTIONS, pages of other sites, compression.

Requests that ask for none of it go past: they are known by the marks of their head.
"""

import contextlib
from collections.abc import Awaitable
from typing import Any, Final

from kafkalite.api.data_plane.exchange import (
    AsgiApp,
    ClientGoneError,
    Exchange,
    Receive,
    Scope,
    Send,
)
from kafkalite.api.http.answer_encoding import HEADER as ACCEPT_ENCODING
from kafkalite.api.http.answer_encoding import EncodedAnswer, codec_for
from kafkalite.api.http.cross_site import check_no_simple_post
from kafkalite.api.http.head_marks import FROM_PAGE, MARKS, TAKES_CODED
from kafkalite.api.http.origins import Cors
from kafkalite.api.http.refusals import refusal_at
from kafkalite.api.rest.paths import is_consumers_path
from kafkalite.api.streams.event_stream import EVENT_STREAM
from kafkalite.model.compression import Compression
from kafkalite.model.errors import LogError

_NO_BODY: Final = frozenset({204, 304})


class HttpFront:
    """An ASGI application around another one. Lives on the loop; holds nothing of a request.

    - HEAD is GET without the body, and without what a GET does.
    - OPTIONS tells what a path allows, and browsers what a page may do.
    - A page of another site cannot have a browser POST what the browser does not ask about.
    - Answers are compressed for those who accept it.
    """

    def __init__(self, app: AsgiApp, cors: Cors, compression_min_bytes: int) -> None:
        """Assign only.

        Args:
            app: serves the requests.
            cors: which pages may use the broker.
            compression_min_bytes: of an answer that is worth it.
        """
        self._app = app
        self._cors = cors
        self._min_bytes = compression_min_bytes

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve a request."""
        if MARKS in scope or scope["method"] in {"HEAD", "OPTIONS"}:
            return self._serve(scope, receive, send)
        return self._app(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, receive, send)
        marks = scope.get(MARKS, 0)
        match scope["method"]:
            case "OPTIONS":
                await self._tell_what_is_allowed(exchange, scope, receive, send)
                return
            case "HEAD":
                await self._serve_head(exchange, scope, receive, send)
                return
            case "POST" if marks & FROM_PAGE:
                try:
                    check_no_simple_post(exchange.headers, self._cors)
                except LogError as error:
                    await exchange.refuse(refusal_at(scope["path"], error), close=True)
                    return
        if marks & TAKES_CODED:
            codec = codec_for(exchange.header(ACCEPT_ENCODING))
            if codec is not Compression.NONE:
                send = EncodedAnswer(send, codec, self._min_bytes)
        await self._app(scope, receive, send)

    async def _tell_what_is_allowed(
        self, exchange: Exchange, scope: Scope, receive: Receive, send: Send
    ) -> None:
        origin = exchange.header(b"origin")
        is_preflight = bool(exchange.header(b"access-control-request-method"))
        if origin and is_preflight and self._cors.allows(origin):
            await exchange.start(204, self._cors.preflight_headers)
            await exchange.send_part(b"", more=False)
            return
        await self._app(scope, receive, _Allowance(send))

    async def _serve_head(
        self, exchange: Exchange, scope: Scope, receive: Receive, send: Send
    ) -> None:
        path: str = scope["path"]
        if reads_by_taking(path):
            headers = [(b"cache-control", b"no-store")]
            if not is_consumers_path(path):
                headers.append((b"content-type", EVENT_STREAM.encode()))
            await exchange.start(200, headers)
            await exchange.send_part(b"", more=False)
            return
        with contextlib.suppress(ClientGoneError):
            await self._app({**scope, "method": "GET"}, receive, _HeadOnly(send))


def reads_by_taking(path: str) -> bool:
    """Whether a GET of `path` changes something: moves a position, or joins a group."""
    if is_consumers_path(path):
        return path.rstrip("/").endswith("/records")
    return path.startswith("/v1/groups/") and path.endswith("/stream")


class _Allowance:
    """An ASGI `send` that makes a refusal of OPTIONS the answer to it: both say what is allowed."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._is_told = False

    async def __call__(self, message: Any) -> None:  # noqa: ANN401 - ASGI's messages
        if message["type"] == "http.response.start" and message["status"] == 405:
            self._is_told = True
            allow = [each for each in message["headers"] if each[0] == b"allow"]
            message = {**message, "status": 204, "headers": allow}
        elif self._is_told:
            if message.get("more_body", False):
                return
            message = {**message, "body": b""}
        await self._send(message)


class _HeadOnly:
    """An ASGI `send` without the body, which ends what would go on for ever."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def __call__(self, message: Any) -> None:  # noqa: ANN401 - ASGI's messages
        if message["type"] != "http.response.start":
            if not message.get("more_body", False):
                await self._send({"type": "http.response.body", "body": b""})
            return
        await self._send(message)
        is_sized = any(name == b"content-length" for name, _ in message["headers"])
        if not is_sized and message["status"] not in _NO_BODY:
            await self._send({"type": "http.response.body", "body": b""})
            raise ClientGoneError
