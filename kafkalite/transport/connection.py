"""One kept connection to a broker: HTTP/1.1, answers in the order of the requests."""

import asyncio
import select
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol, cast

import httptools

from kafkalite.transport.errors import PeerBrokenError, PeerError
from kafkalite.transport.peer_reply import PeerReply
from kafkalite.wire.batch import Buffer

_MAX_HEADERS: Final = 100
_READ_BYTES: Final = 64 << 10
"""Read at a time, but of large bodies."""
LARGE_BYTES: Final = _READ_BYTES
"""From here on a body whose length was told is read to where it stays. Not all of it can have come
with its head, so that the parser never sees the end of one."""


class Replying(Protocol):
    """Who is told of an answer, once, on the loop; a future is one."""

    def done(self) -> bool:
        """Whether it is of no use any more."""

    def set_result(self, result: PeerReply, /) -> None:
        """The answer came."""

    def set_exception(self, error: PeerError | TimeoutError, /) -> None:
        """It will not, or not in time."""


class _Expected(NamedTuple):
    """An answer that is waited for."""

    reply: Replying
    max_bytes: int


class PeerConnection(asyncio.BufferedProtocol):
    """Sends requests, and gives each one's answer once all of it is there.

    Owned by whoever opened it; lives on the loop. Whatever is unusual closes it: an answer that is
    not understood or too large, bytes that nobody asked for, a request that was given up. All that
    wait for answers then fail.

    A large body goes from the socket to its own buffer at once. The parser would have it copied
    three times: into what was read, into what the parser gives out, and into the whole.
    """

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._poll = select.poll()
        self._expected: deque[_Expected] = deque()
        """Of the requests in work, the oldest first."""
        self._arrivals = memoryview(bytearray(_READ_BYTES))
        """Where the system puts what is read next, but for large bodies."""
        self._headers: dict[str, str] = {}
        self._parts: list[bytes] = []
        self._large = bytearray()
        """The body, where it is large."""
        self._rest: memoryview | None = None
        """What is missing of a large body, once the parser has read the head."""
        self._size = 0
        """Bytes of the body so far."""

    @property
    def is_open(self) -> bool:
        """Whether requests can be sent, as far as the loop has heard."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_free(self) -> bool:
        """Whether it is open, as far as the loop has heard, and no request is in work."""
        return self.is_open and not self._expected

    @property
    def requests(self) -> int:
        """How many are in work."""
        return len(self._expected)

    def is_alive(self) -> bool:
        """As `is_free`, after asking the system.

        The other side may have closed the connection, or died, and the loop not have come to tell
        us; what is sent then is lost, and nobody knows whether it was read.
        """
        return self.is_free and not self._poll.poll(0)

    def close(self) -> None:
        """Close at once; requests in work fail."""
        self._fail(PeerBrokenError("The connection was closed"))

    async def exchange(self, request: Sequence[Buffer], max_bytes: int) -> PeerReply:
        """Send a request and wait for its answer, of a body of up to `max_bytes`.

        The parts of the request are written before it first waits, and must stay as they are until
        there is an answer. Leave off waiting, and the connection is closed.

        Raises:
            PeerBrokenError: there is no such answer.
        """
        return await self.answer_to(self.send(request, max_bytes))

    def send(self, request: Sequence[Buffer], max_bytes: int) -> "asyncio.Future[PeerReply]":
        """Write a request, behind those whose answers are still waited for; see `exchange`.

        What this gives is for `answer_to`, which has to follow.
        """
        reply: asyncio.Future[PeerReply] = asyncio.get_running_loop().create_future()
        self.send_for(reply, request, max_bytes)
        return reply

    def send_for(self, reply: Replying, request: Sequence[Buffer], max_bytes: int) -> None:
        """As `send`, and `reply` is told. Whoever leaves off waiting has to `give_up`."""
        transport = self._transport
        assert transport is not None
        self._expected.append(_Expected(reply, max_bytes))
        transport.writelines(request)

    async def answer_to(
        self, reply: "asyncio.Future[PeerReply]", timeout_s: float | None = None
    ) -> PeerReply:
        """Wait for the answer to what `send` wrote; see `exchange`.

        Raises:
            TimeoutError: it did not come within `timeout_s`. A timer, because `asyncio.timeout`
                costs several times as much, and this is done for every produce.
        """
        timer = None
        if timeout_s is not None:
            timer = asyncio.get_running_loop().call_later(timeout_s, self.give_up, reply)
        try:
            return await reply
        except asyncio.CancelledError:
            self.give_up(reply)
            raise
        finally:
            if timer is not None:
                timer.cancel()

    # -- asyncio.BufferedProtocol ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        # Anything to read between two requests is an end, or should not be there.
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._arrivals if self._rest is None else self._rest

    def buffer_updated(self, nbytes: int) -> None:
        if self._rest is not None:
            self._size += nbytes
            self._rest = self._rest[nbytes:]
            if not self._rest:
                self._large_complete()
            return
        try:
            self._parser.feed_data(self._arrivals[:nbytes])
        except httptools.HttpParserError as error:
            self._fail(PeerBrokenError(f"The answer is no HTTP: {error}"))
            return
        if self._large:
            self._rest = memoryview(self._large)[self._size :]

    def eof_received(self) -> None:
        self._fail(PeerBrokenError("The other side closed the connection before it answered"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(PeerBrokenError(f"The connection broke before the answer: {exc or 'closed'}"))

    # -- httptools ------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Called by the parser."""
        if not self._expected:
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
        if not announced.isdigit() or not self._expected:
            return
        length = int(announced)
        if length > self._expected[0].max_bytes:
            self._fail_too_large()
        elif length >= LARGE_BYTES and "transfer-encoding" not in self._headers:
            self._large = bytearray(length)

    def on_body(self, body: bytes) -> None:
        """Called by the parser, for each part."""
        if not self._expected:
            return
        start = self._size
        self._size += len(body)
        if self._large:
            self._large[start : self._size] = body
        elif self._size > self._expected[0].max_bytes:
            self._fail_too_large()
        else:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        parts = self._parts
        self._answered(parts[0] if len(parts) == 1 else b"".join(parts))

    # -- answers --------------------------------------------------------------------------------

    def _large_complete(self) -> None:
        body, self._large, self._rest = self._large, bytearray(), None
        self._answered(body)
        # The old one is in the middle of the body, and stays there.
        self._parser = httptools.HttpResponseParser(self)

    def _answered(self, body: bytes | bytearray) -> None:
        """All of the oldest request's answer is there."""
        reply = PeerReply(self._parser.get_status_code(), self._headers, body)
        self._headers, self._parts, self._size = {}, [], 0
        answer = self._expected.popleft().reply if self._expected else None
        if answer is not None and not answer.done():
            answer.set_result(reply)
        if not self._parser.should_keep_alive():
            self._fail(PeerBrokenError("The other side closes the connection after an answer"))

    def give_up(self, reply: Replying) -> None:
        """Nobody waits for this answer any more; if it came, it would be taken for another one."""
        if not reply.done():
            reply.set_exception(TimeoutError())
        if any(each.reply is reply for each in self._expected):
            self._fail(PeerBrokenError("Another request on this connection was given up"))

    def _fail_too_large(self) -> None:
        bound = self._expected[0].max_bytes
        self._fail(PeerBrokenError(f"The answer is larger than {bound} bytes"))

    def _fail(self, error: PeerError) -> None:
        expected, self._expected = self._expected, deque()
        self._parts, self._large, self._rest = [], bytearray(), None
        self._abort()
        for each in expected:
            if not each.reply.done():
                each.reply.set_exception(error)

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
