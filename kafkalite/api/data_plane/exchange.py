"""One raw HTTP exchange: what the data plane needs of ASGI, and nothing more."""

import asyncio
from collections.abc import (
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Mapping,
    MutableMapping,
    Sequence,
)
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

from kafkalite.api.errors import ProblemResponse
from kafkalite.api.http.content_encoding import HEADER as CONTENT_ENCODING
from kafkalite.api.http.content_encoding import GzipPieces, codec_of, decoded, piece_decoder
from kafkalite.api.http.large_body import LARGE_BODY, LargeBody
from kafkalite.api.http.request_id import id_of
from kafkalite.model.errors import InvalidRequestError, RequestTooLargeError
from kafkalite.wire.batch import Buffer
from kafkalite.wire.messages import MAX_WAIT_MS

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
RawHeader = tuple[bytes, bytes]
T = TypeVar("T")

NOT_STORED: Final[RawHeader] = (b"cache-control", b"no-store")
"""Of answers that may be others the next time."""

_MAX_DIGITS: Final = 20
_SMALL_BYTES: Final = 16 << 10
"""Below it a part is joined to its neighbours."""
_NO_QUERY: Final[Mapping[str, str]] = {}


class ClientGoneError(Exception):
    """The client closed the connection before its request was whole; there is nobody to answer."""


class Exchange:
    """A request and the means to answer it. Made for one request, used by one task."""

    __slots__ = ("_decoder", "_is_whole", "_receive", "_scope", "_send", "started")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._is_whole = False
        """Whether `read_part` has given all there is."""
        self._decoder: GzipPieces | None = None
        """Of a body that `read_part` has begun to give and that is compressed."""
        self.started = False
        """Whether an answer has begun: from then on an error can only cut it off."""

    def header(self, name: bytes) -> str:
        """A header by its lower-case name; empty when it is missing."""
        for key, text in self._scope["headers"]:
            if key == name:
                decoded: str = text.decode("latin-1")
                return decoded
        return ""

    @property
    def client_host(self) -> str:
        """The address that the request came from; empty where the server does not know it."""
        client = self._scope.get("client")
        return str(client[0]) if client else ""

    @property
    def headers(self) -> Sequence[RawHeader]:
        """All headers, their names in lower case."""
        headers: Sequence[RawHeader] = self._scope["headers"]
        return headers

    @property
    def request_id(self) -> str:
        """The id that the client gave the request; a new one each time where it gave none."""
        return id_of(self._scope["headers"])

    @property
    def raw_query(self) -> bytes:
        """The query string as it came."""
        raw: bytes = self._scope["query_string"]
        return raw

    def query(self, allowed: frozenset[str]) -> Mapping[str, str]:
        """The query string's parameters; see `parse_query`."""
        return parse_query(self.raw_query, allowed)

    async def read_body(self, limit: int) -> bytes:
        """As `read_buffer`, of what nobody can change."""
        return bytes(await self.read_buffer(limit))

    async def read_buffer(self, limit: int) -> Buffer:
        """The whole body, made plain, never holding more than `limit` bytes of it in either form.

        Raises:
            RequestTooLargeError: it is larger; known from the header where there is one.
            UnsupportedMediaTypeError: it is compressed in a way that we do not know.
            InvalidRequestError: it is not what its Content-Encoding says.
            ClientGoneError: it ends before it is whole.
        """
        content_encoding = self.header(CONTENT_ENCODING)
        if not content_encoding:
            return await self._read_as_it_is(limit)
        codec = codec_of(content_encoding)
        body = await self._read_as_it_is(limit)
        return await decoded(codec, body, limit) if body else body

    async def _read_as_it_is(self, limit: int) -> bytes | bytearray:
        extensions = self._scope.get("extensions")
        if extensions and LARGE_BODY in extensions:
            return await _read_large(extensions[LARGE_BODY], limit)
        message = await self._receive()
        if message["type"] != "http.request":
            raise ClientGoneError
        body: bytes = message["body"]
        size = len(body)
        if size > limit:
            raise _too_large(limit)
        if not message["more_body"]:
            return body
        announced = self.header(b"content-length")
        if announced.isdigit() and int(announced) > limit:
            raise _too_large(limit)
        parts = [body]
        while message["more_body"]:
            message = await self._receive()
            if message["type"] != "http.request":
                raise ClientGoneError
            body = message["body"]
            size += len(body)
            if size > limit:
                raise _too_large(limit)
            parts.append(body)
        return b"".join(parts)

    def check_parts(self) -> None:
        """See that `read_part` knows how the body is compressed, before an answer begins.

        Raises:
            UnsupportedMediaTypeError: it is compressed in a way that cannot be read in parts.
        """
        piece_decoder(self.header(CONTENT_ENCODING))

    async def read_part(self) -> bytes | None:
        """What has arrived of the body since; waits for some. None: that was the end of it.

        The client can send on only once what was sent before is taken here. What comes compressed
        is given plain, a bounded piece at a time.

        Raises:
            UnsupportedMediaTypeError: it is compressed in a way that cannot be read in parts.
            InvalidRequestError: it is not what its Content-Encoding says.
            ClientGoneError: it ends before it is whole.
        """
        if self._decoder is None:
            content_encoding = self.header(CONTENT_ENCODING)
            if not content_encoding:
                return await self._next_part()
            self._decoder = piece_decoder(content_encoding)
            if self._decoder is None:
                return await self._next_part()
        while not (piece := self._decoder.next_piece()):
            part = await self._next_part()
            if part is None:
                self._decoder.end()
                return None
            self._decoder.feed(part)
        return piece

    async def _next_part(self) -> bytes | None:
        if self._is_whole:
            return None
        message = await self._receive()
        if message["type"] != "http.request":
            raise ClientGoneError
        self._is_whole = not message["more_body"]
        return bytes(message["body"])

    async def while_connected(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, which is given up when the client goes away.

        What is left of the body is thrown away: the client's going comes after it.

        Raises:
            ClientGoneError: the client went away first.
        """
        task = asyncio.ensure_future(work)
        gone = asyncio.ensure_future(self._wait_until_gone())
        try:
            await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ClientGoneError
            return task.result()
        finally:
            gone.cancel()
            task.cancel()

    async def _wait_until_gone(self) -> None:
        while (await self._receive())["type"] == "http.request":
            pass

    async def respond(
        self, status: int, media: bytes, body: bytes, headers: Iterable[RawHeader] = ()
    ) -> None:
        """Answer with a whole body."""
        self.started = True
        await self._send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [
                    (b"content-type", media),
                    (b"content-length", b"%d" % len(body)),
                    *headers,
                ],
            }
        )
        await self._send({"type": "http.response.body", "body": body})

    async def refuse(self, response: ProblemResponse, *, close: bool = False) -> None:
        """Answer with a problem document; `close` where the rest of the body is not wanted."""
        headers = response.headers
        if close:
            headers = [*headers, (b"connection", b"close")]
        await self.start(response.status, headers)
        await self.send_part(response.body, more=False)

    async def start(self, status: int, headers: Iterable[RawHeader]) -> None:
        """Begin an answer whose body follows in parts."""
        self.started = True
        await self._send(
            {"type": "http.response.start", "status": status, "headers": list(headers)}
        )

    async def send_parts(self, parts: Sequence[Buffer], *, more: bool) -> None:
        """As `send_part`, of several; those that are small leave joined."""
        small: list[Buffer] = []
        for part in parts:
            if len(part) < _SMALL_BYTES:
                small.append(part)
                continue
            if small:
                await self.send_part(b"".join(small), more=True)
                small.clear()
            await self.send_part(part, more=True)
        await self.send_part(b"".join(small), more=more)

    async def send_part(self, part: Buffer, *, more: bool) -> None:
        """Send a part of the body; waits while the client is slower than we are."""
        await self._send({"type": "http.response.body", "body": part, "more_body": more})


def parse_query(raw: bytes, allowed: frozenset[str]) -> Mapping[str, str]:
    """The parameters of a query string.

    Raises:
        InvalidRequestError: one is not `allowed`, one comes twice, or it is not UTF-8.
    """
    if not raw:
        return _NO_QUERY
    try:
        pairs = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=32
        )
    except ValueError as error:
        raise InvalidRequestError(f"The query string cannot be read: {error}") from error
    parameters: dict[str, str] = {}
    for name, text in pairs:
        if name not in allowed:
            raise InvalidRequestError(
                f"There is no parameter {name!r} here; there are {', '.join(sorted(allowed))}"
            )
        if name in parameters:
            raise InvalidRequestError(f"The parameter {name!r} comes twice")
        parameters[name] = text
    return parameters


async def _read_large(large: LargeBody, limit: int) -> bytearray:
    if large.size > limit:
        raise _too_large(limit)
    body = await large.read()
    if body is None:
        raise ClientGoneError
    return body


def _too_large(limit: int) -> RequestTooLargeError:
    return RequestTooLargeError(
        f"The body is larger than the {limit} bytes that this path takes; send less at a time"
    )


def int_parameter(
    query: Mapping[str, str], name: str, default: int, *, least: int = 0, most: int = 2**63 - 1
) -> int:
    """A whole number from a query string.

    Raises:
        InvalidRequestError: it is not one, or outside of `least <= number <= most`.
    """
    text = query.get(name)
    if text is None:
        return default
    digits = text.removeprefix("-")
    # int() alone takes more: 1_000, other scripts' digits, blanks; and not so many of them.
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS):
        raise InvalidRequestError(f"{name} must be a whole number, not {text[:40]!r}")
    number = int(text)
    if not least <= number <= most:
        raise InvalidRequestError(f"{name} must be between {least} and {most}, not {number}")
    return number


def timeout_parameter(query: Mapping[str, str], default_ms: int) -> int:
    """`timeout_ms` from a query string, bounded by an hour."""
    return int_parameter(query, "timeout_ms", default_ms, most=MAX_WAIT_MS)


def bool_parameter(query: Mapping[str, str], name: str) -> bool:
    """A yes or no from a query string; no when it is missing.

    Raises:
        InvalidRequestError: it is neither `true` nor `false`.
    """
    text = query.get(name, "false").lower()
    if text not in {"true", "false", ""}:
        raise InvalidRequestError(f"{name} must be true or false, not {text[:40]!r}")
    return text != "false"
