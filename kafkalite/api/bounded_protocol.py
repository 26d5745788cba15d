"""uvicorn's connection with bounds on what a client may make it hold, and for how long."""

import asyncio
import math
import sys
from collections.abc import Callable
from typing import Any, ClassVar, Final, NamedTuple, cast

from httptools import HttpParserUpgrade, HttpRequestParser
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from kafkalite.api.corked_transport import CorkedTransport, Outbox
from kafkalite.api.errors import problem_response
from kafkalite.api.intake import READ_BYTES, Intake
from kafkalite.api.large_body import LARGE_BODY, LargeBody, announced_size
from kafkalite.api.whole_request import Express, WholeRequest
from kafkalite.model.errors import InvalidRequestError, LogError, RequestHeaderTooLargeError

MAX_HEAD_BYTES: Final = 64 << 10
"""Of a request's line and headers, and of what follows the last chunk of a body."""
_LARGE_BYTES: Final = READ_BYTES
"""From here on a body of known size is offered as a `LargeBody`."""
_BODY_SILENCE_S: Final = 30.0
"""How long a client may pause within a body."""
_PHRASES: Final = {400: b"Bad Request", 431: b"Request Header Fields Too Large"}


class Shared(NamedTuple):
    """What the connections of one server have in common."""

    max_connections: int
    max_idle_s: float
    tell_count: Callable[[int], None]
    """Told the number of connections whenever it changes."""
    outbox: Outbox
    arrivals: memoryview
    """Where the system puts what is read next, but for large bodies."""
    express: Express
    """Asked first about a request that has arrived whole."""


class BoundedProtocol(HttpToolsProtocol):
    """Corked; refuses a head that is too large, closes what is silent or one too many.

    A request that is whole when its turn comes is offered to `express` first: a task, and
    what ASGI does to receive and send, cost as much as all that is done for a small request.

    Made by uvicorn, one a connection, of the class that `bounded_protocol` gives.
    """

    shared: ClassVar[Shared]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        corked = CorkedTransport(cast("asyncio.Transport", transport), self.shared.outbox)
        super().connection_made(corked)
        self._intake = Intake(self, self.shared.arrivals)
        cast("asyncio.Transport", transport).set_protocol(self._intake)
        self._head_bytes = 0
        """Received of a head that is not whole."""
        self._ended_here = False
        """Whether a request ended within what is received now; the next one begins behind it."""
        self._in_chunk = False
        self._parsed = b""
        """What the parser has been given last, or shall be next."""
        self._unstarted: tuple[RequestResponseCycle, ASGI3Application] | None = None
        """A request of which more may have arrived already."""
        self._in_body: RequestResponseCycle | None = None
        """The request of whose body a part was received."""
        self._large: LargeBody | None = None
        """Of the latest request, until all of it has come."""
        self._due = math.inf
        """When the connection is closed unless something happens."""
        self._alarm: asyncio.TimerHandle | None = None
        self._expect_within(self.shared.max_idle_s)
        if len(self.connections) > self.shared.max_connections:
            self.connections.discard(self)
            self.transport.abort()
        self.shared.tell_count(len(self.connections))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        super().connection_lost(exc)
        self.shared.tell_count(len(self.connections))

    def data_received(self, data: bytes | memoryview) -> None:
        self._ended_here = False
        parsed = self._parsed = cast("bytes", data)  # the parser takes any buffer
        super().data_received(parsed)
        while self._parsed is not parsed:  # another protocol was declined: see below
            parsed = self._parsed
            super().data_received(parsed)
        if self._unstarted is not None:
            self._start(*self._unstarted)
        cycle = self.cycle
        if cycle is not None and cycle.scope is self.scope and not cycle.more_body:
            # The usual: a request that is whole. Nothing is due before its answer.
            self._head_bytes = 0
            self._due = math.inf
        elif not self.transport.is_closing():
            self._part_received(len(parsed))

    def large_body_received(self, *, is_whole: bool) -> None:
        """Bytes of a large body were put where it is gathered; `is_whole` with the last ones."""
        if not is_whole or self.cycle.response_complete:
            self._expect_within(self._body_patience_s)
        else:
            self._due = math.inf
        if not is_whole:
            return
        # The old one is in the middle of the body, and stays there.
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
        self._large = None
        self._head_bytes = 0

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        # Called when the head is whole. The body most often came with it, and is read next.
        self._unstarted = (cycle, app)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._ended_here = True
        self._large = None
        if self._unstarted is not None:
            cycle, app = self._unstarted
            self._unstarted = None
            self._begin_whole(cycle, app)

    def _begin_whole(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        # Without a task nothing could wait for a client that does not read its answers.
        if self.flow.write_paused or not self.shared.express(WholeRequest(cycle)):
            self._start(cycle, app)

    def _start(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._unstarted = None
        task = self.loop.create_task(cycle.run_asgi(app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def on_response_complete(self) -> None:
        # uvicorn's, but for its timer: making and cancelling one for each request costs too much.
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self._large is None or not self.pipeline:
            # Of a large body that waits no more is to come than was parsed: it is copied.
            self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            if cycle.more_body:
                self._start(cycle, app)
            else:
                # Not at once: each would be answered within the answering of the one before.
                self.loop.call_soon(self._begin_whole, cycle, app)
        elif self._due == math.inf:
            self._expect_within(self.shared.max_idle_s)
        else:
            # More has arrived already, and its time runs.
            self._expect_within(min(self._due - self.loop.time(), self.shared.max_idle_s))

    def _should_upgrade(self) -> bool:
        # The parser takes the end of such a head for the end of HTTP, its body for another
        # protocol. True has uvicorn leave the request alone, and call the method below.
        return bool(self.parser.get_method() != b"CONNECT")

    def handle_websocket_upgrade(self) -> None:
        """Go on with HTTP, whatever else a client offers to speak (RFC 9110, 7.8).

        Java's HttpClient offers HTTP/2 with the first request of each connection.
        """
        upgrade = sys.exception()  # uvicorn is handling it
        assert isinstance(upgrade, HttpParserUpgrade)
        behind_head = self._parsed[upgrade.args[0] :]
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        lines += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        self._parsed = b"\r\n".join([*lines, b"", behind_head])

    def on_chunk_header(self) -> None:
        """The size of a chunk was received: its data follow, after the last one only trailers."""
        self._in_chunk = True
        self._head_bytes = 0

    def on_chunk_complete(self) -> None:
        self._in_chunk = False

    def send_400_response(self, msg: str) -> None:
        self._refuse(InvalidRequestError(msg))

    def _part_received(self, size: int) -> None:
        cycle = self.cycle
        if cycle is None or cycle.scope is not self.scope:
            if not self._head_bytes:
                self._expect_within(self.shared.max_idle_s)
            # How much of it is head is not known after a request; one piece more is no danger.
            self._head_bytes += 1 if self._ended_here else size
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse_head()
            return
        self._expect_within(self._body_patience_s)
        if self._in_body is not cycle:
            self._in_body = cycle
            self._offer_large(cycle)
        if self._in_chunk and not cycle.body:
            self._head_bytes += size
            if self._head_bytes > MAX_HEAD_BYTES:
                self.transport.abort()

    def _offer_large(self, cycle: RequestResponseCycle) -> None:
        """Let a body be received into one buffer, if it is large; wait until it is asked for."""
        size = announced_size(cycle)
        if size < _LARGE_BYTES or cycle.response_complete or self.parser.should_upgrade():
            return
        self._large = LargeBody(cycle, size, self._intake.take_over)
        scope: Any = cycle.scope  # uvicorn's types of extensions are narrower than ASGI's
        scope["extensions"] = {LARGE_BODY: self._large}
        self.flow.pause_reading()

    @property
    def _body_patience_s(self) -> float:
        is_answered = self.cycle.response_complete
        return self.shared.max_idle_s if is_answered else _BODY_SILENCE_S

    def _expect_within(self, seconds: float) -> None:
        """Close the connection unless a whole request, or more of its body, comes in time."""
        self._due = self.loop.time() + seconds
        if self._alarm is None or self._alarm.when() > self._due:
            self._set_alarm()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self.loop.call_at(self._due, self._on_alarm)

    def _on_alarm(self) -> None:
        # Set for what was due once; nothing may be due any more, or only later.
        self._alarm = None
        if self._due == math.inf:
            return
        if self._due > self.loop.time():
            self._set_alarm()
        elif self.flow.read_paused:
            self._expect_within(_BODY_SILENCE_S)  # not the client is silent, we do not listen
        else:
            self.transport.close()

    def _refuse_head(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()  # an earlier request's answer may have begun
            return
        self._refuse(
            RequestHeaderTooLargeError(
                f"The request's line and headers take more than {MAX_HEAD_BYTES} bytes"
            )
        )

    def _refuse(self, error: LogError) -> None:
        status, headers, body = problem_response(error)
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        self.transport.write(
            b"HTTP/1.1 %d %b\r\n%bconnection: close\r\n\r\n%b"
            % (status, _PHRASES[status], lines, body)
        )
        self.transport.close()


def bounded_protocol(
    *, max_connections: int, max_idle_s: float, count: Callable[[int], None], express: Express
) -> type[HttpToolsProtocol]:
    """The class of the connections of one server, as uvicorn wants it."""

    arrivals = memoryview(bytearray(READ_BYTES))

    class OneServersProtocol(BoundedProtocol):
        shared = Shared(max_connections, max_idle_s, count, Outbox(), arrivals, express)

    return OneServersProtocol
