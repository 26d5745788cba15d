"""One kept connection to another broker: HTTP/1.1, one request at a time."""

import asyncio
import select
from collections.abc import Sequence
from typing import Final, cast

import httptools

from kafkalite.transport.errors import PeerBrokenError, PeerError
from kafkalite.transport.peer_reply import PeerReply

_MAX_HEADERS: Final = 100


class PeerConnection(asyncio.Protocol):
    """Sends a request, and gives the answer once all of it is there.

    Owned by the pool that opened it. Whatever is unusual closes it: an answer that is not
    understood or too large, bytes that nobody asked for, a request that was given up.
    """

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._poll = select.poll()
        self._answer: asyncio.Future[PeerReply] | None = None
        """Of the request in work; None between requests."""
        self._headers: dict[str, str] = {}
        self._parts: list[bytes] = []
        self._size = 0
        """Bytes of the body so far."""
        self._max_bytes = 0

    @property
    def is_free(self) -> bool:
        """Whether it is open, as far as the loop has heard, and no request is in work."""
        transport = self._transport
        return transport is not None and not transport.is_closing() and self._answer is None

    def is_alive(self) -> bool:
        """As `is_free`, after asking the system.

        The other side may have closed the connection, or died, and the loop not have come to tell
        us; what is sent then is lost, and nobody knows whether it was read.
        """
        return self.is_free and not self._poll.poll(0)

    def close(self) -> None:
        """Close at once; a request in work fails."""
        self._fail(PeerBrokenError("The connection was closed"))

    async def exchange(self, request: Sequence[bytes], max_bytes: int) -> PeerReply:
        """Send a request and wait for its answer, of a body of up to `max_bytes`.

        Leave off waiting, and the connection is closed.

        Raises:
            PeerBrokenError: there is no such answer.
        """
        transport = self._transport
        assert transport is not None
        answer: asyncio.Future[PeerReply] = asyncio.get_running_loop().create_future()
        self._answer = answer
        self._max_bytes = max_bytes
        try:
            transport.writelines(request)
            return await answer
        finally:
            if self._answer is answer:
                self._abort()

    # -- asyncio.Protocol -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        # Anything to read between two requests is an end, or should not be there.
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(PeerBrokenError(f"The answer is no HTTP: {error}"))

    def eof_received(self) -> None:
        self._fail(PeerBrokenError("The other side closed the connection before it answered"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(PeerBrokenError(f"The connection broke before the answer: {exc or 'closed'}"))

    # -- httptools ------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Called by the parser."""
        if self._answer is None:
            self._abort()  # nobody asked

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        if len(self._headers) >= _MAX_HEADERS:
            self._fail(PeerBrokenError(f"The answer has more than {_MAX_HEADERS} headers"))
            return
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        announced = self._headers.get("content-length", "")
        if announced.isdigit() and int(announced) > self._max_bytes:
            self._fail_too_large()

    def on_body(self, body: bytes) -> None:
        """Called by the parser, for each part."""
        self._size += len(body)
        if self._size > self._max_bytes:
            self._fail_too_large()
        else:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        answer, parts = self._answer, self._parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        reply = PeerReply(self._parser.get_status_code(), self._headers, body)
        self._answer, self._headers, self._parts, self._size = None, {}, [], 0
        if not self._parser.should_keep_alive():
            self._abort()
        if answer is not None and not answer.done():
            answer.set_result(reply)

    def _fail_too_large(self) -> None:
        self._fail(PeerBrokenError(f"The answer is larger than {self._max_bytes} bytes"))

    def _fail(self, error: PeerError) -> None:
        answer, self._answer = self._answer, None
        self._parts = []
        self._abort()
        if answer is not None and not answer.done():
            answer.set_exception(error)

    def _abort(self) -> None:
        self._answer = None
        if self._transport is not None:
            self._transport.abort()
