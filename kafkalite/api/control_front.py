"""What every request to the control plane goes through before FastAPI sees it."""

from collections.abc import Sequence
from typing import Final

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kafkalite.api.data_plane.exchange import NOT_STORED, ClientGoneError, Exchange, RawHeader
from kafkalite.api.errors import problem_response, unexpected
from kafkalite.api.exception_handlers import methods_of
from kafkalite.api.http.allowed_methods import all_allowed
from kafkalite.api.http.request_id import HEADER as REQUEST_ID
from kafkalite.api.http.request_id import given_id, make_id
from kafkalite.model.errors import (
    LogError,
    PathNotFoundError,
    RequestTooLargeError,
    UnsupportedMediaTypeError,
)

MAX_BODY_BYTES: Final = 1 << 20
"""Of a request to the control plane; records go another way."""

_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})


class ControlFront:
    """ASGI middleware: bounds and checks bodies, gives requests an id, contains what goes wrong.

    - A body is read here, whole, up to MAX_BODY_BYTES, and must be JSON.
    - A request without an `X-Request-Id` is given one; the server repeats those of clients.
    - Answers are not to be stored, but for those that say otherwise.
    - OPTIONS lists the methods; a trailing slash does not matter. HEAD comes as GET (`HttpFront`).
    - An exception that nothing foresaw becomes a problem document and an entry in the log; the
      server above never sees it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = Exchange(scope, receive, send)
        reply = _Reply(send, scope["headers"])
        try:
            await self._serve(scope, exchange, receive, reply)
        except ClientGoneError:
            return
        except LogError as error:
            await reply.refuse(error)
        except Exception as error:  # noqa: BLE001 - the last line: whatever it is, it is answered
            await reply.refuse(unexpected(error, reply.request_id))

    async def _serve(
        self, scope: Scope, exchange: Exchange, receive: Receive, reply: "_Reply"
    ) -> None:
        path: str = scope["path"]
        if path.endswith("/") and path != "/":
            scope = {**scope, "path": path.rstrip("/") or "/"}
        match scope["method"]:
            case "OPTIONS":
                await _tell_methods(scope["app"], scope["path"], reply)
                return
            case method if method in _WITH_BODY:
                receive = _replay(await _json_body(exchange), receive)
        await self._app(scope, receive, reply.send)


class _Reply:
    """The answer to one request: adds an id to it."""

    __slots__ = ("_made", "_send", "_started", "request_id")

    def __init__(self, send: Send, headers: Sequence[RawHeader]) -> None:
        given = given_id(headers)
        self.request_id = make_id() if given is None else given.decode("ascii")
        self._made = [] if given else [(REQUEST_ID, self.request_id.encode("ascii"))]
        self._send = send
        self._started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._started = True
            headers = [*message["headers"], *self._made]
            if all(name != b"cache-control" for name, _ in headers):
                headers.append(NOT_STORED)
            message = {**message, "headers": headers}
        await self._send(message)

    async def refuse(self, error: LogError) -> None:
        """Answer with `error`; an answer that has begun can only be left unfinished."""
        if self._started:
            return
        status, headers, body = problem_response(error)
        if isinstance(error, RequestTooLargeError):
            headers = [*headers, (b"connection", b"close")]  # or the rest would be taken, too
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


async def _tell_methods(app: FastAPI, path: str, reply: _Reply) -> None:
    methods = methods_of(app, path)
    if not methods:
        raise PathNotFoundError(f"There is nothing at {path}; see /docs.")
    headers = [(b"allow", all_allowed(methods).encode("ascii"))]
    await reply.send({"type": "http.response.start", "status": 204, "headers": headers})
    await reply.send({"type": "http.response.body", "body": b""})


async def _json_body(exchange: Exchange) -> bytes:
    """The body, which must say that it is JSON.

    A body without the right type is refused, because a web page of somebody else's may send those
    without asking (`text/plain`, forms, none), but JSON only after a preflight.
    """
    try:
        body = await exchange.read_body(MAX_BODY_BYTES)
    except RequestTooLargeError:
        raise RequestTooLargeError(
            f"The body is larger than the {MAX_BODY_BYTES} bytes that this path takes"
        ) from None
    media = exchange.header(b"content-type").partition(";")[0].strip().lower()
    if body and media != "application/json" and not media.endswith("+json"):
        given = f"not {media[:100]}" if media else "and the request names none"
        raise UnsupportedMediaTypeError(
            f"The body must be of Content-Type application/json, {given} "
            "(curl: -H 'Content-Type: application/json')"
        )
    return body


def _replay(body: bytes, receive: Receive) -> Receive:
    """A receive that gives `body` again, then whatever comes (that is, the client leaving)."""
    pending = [body]

    async def replay() -> Message:
        if pending:
            return {"type": "http.request", "body": pending.pop(), "more_body": False}
        return await receive()

    return replay
