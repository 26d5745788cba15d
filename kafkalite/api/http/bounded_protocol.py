"""uvicorn's connection with bounds on what a client may make it hold, and for how long."""

import asyncio
import logging
import re
import sys
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, ClassVar, Final, NamedTuple, cast

from httptools import (
    HttpParserInvalidMethodError,
    HttpParserUpgrade,
    HttpRequestParser,
    parse_url,
)
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from kafkalite.api.http.allowed_hosts import AllowedHosts
from kafkalite.api.http.connection_limits import ConnectionLimits
from kafkalite.api.http.corked_transport import CorkedTransport, Outbox
from kafkalite.api.http.deadline import Deadline
from kafkalite.api.http.head_marks import ADDRESSED, CODED, FROM_PAGE, MARK_OF, MARKS, NAMED
from kafkalite.api.http.intake import READ_BYTES, Intake
from kafkalite.api.http.large_body import LARGE_BODY, LargeBody, announced_size
from kafkalite.api.http.last_words import LastWords
from kafkalite.api.http.options import HttpOptions
from kafkalite.api.http.origins import Cors
from kafkalite.api.http.refusals import refusal_at
from kafkalite.api.http.request_id import HEADER as REQUEST_ID
from kafkalite.api.http.request_id import given_id
from kafkalite.api.http.unchunked_answer import OLD_VERSIONS, without_chunks
from kafkalite.api.http.whole_request import Express, WholeRequest
from kafkalite.model.errors import (
    InvalidRequestError,
    LogError,
    MethodNotImplementedError,
    MisdirectedRequestError,
    RequestHeaderTooLargeError,
    RequestTooSlowError,
    TooManyConnectionsError,
)

MAX_HEAD_BYTES: Final = 64 << 10
"""Of a request's line and headers, and of what follows the last chunk of a body."""
_LARGE_BYTES: Final = READ_BYTES
"""From here on a body of known size is offered as a `LargeBody`."""
MAX_HEADERS: Final = 256
"""Of a request, at most."""
_MOST_UNREAD: Final = 8 << 20
"""Of a body without an announced size, if it goes on when its answer is complete."""
_LEAST_BODY_RATE: Final = 512
"""Bytes a second at which a body must come, once it has taken as long as a pause may."""
_MAX_SHOWN: Final = 100
"""Of a host's name that is refused."""
_UVICORNS_WORDS: Final = "Invalid HTTP request received."
_MAPPED: Final = "::ffff:"
"""Before an address of IPv4 that is written as one of IPv6."""
_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS"
_REQUEST_LINE: Final = re.compile(rb"[\r\n]*[!-~]+ [!-~]+ HTTP/")
_NOT_EXPRESS: Final = CODED | FROM_PAGE

_log = logging.getLogger(__name__)
# What is no HTTP is told of here, with whose it was.
logging.getLogger("uvicorn.error").addFilter(lambda entry: entry.msg != _UVICORNS_WORDS)


class Shared(NamedTuple):
    """What the connections of one server have in common."""

    limits: ConnectionLimits
    max_idle_s: float
    head_timeout_s: float
    """In which a head must come whole."""
    body_timeout_s: float
    """How long a client may pause within a body."""
    tell_count: Callable[[int], None]
    """Told the number of connections whenever it changes."""
    outbox: Outbox
    arrivals: memoryview
    """Where the system puts what is read next, but for large bodies."""
    express: Express
    """Asked first about a request that has arrived whole."""
    cors: Cors
    """What pages of other sites are told."""
    hosts: AllowedHosts
    """Which of them a request may name."""


class _DeafParser:
    """In place of a parser on a connection that is to end."""

    def feed_data(self, data: object) -> None:
        """Nothing comes of it."""

    def should_upgrade(self) -> bool:
        return False


class _RefusedError(Exception):
    """Stops the parser: what it reads is answered already."""


class BoundedProtocol(HttpToolsProtocol):
    """Corked; refuses a head that is too large, closes what is silent or one too many.

    A request that is whole when its turn comes is offered to `express` first: a task, and
    what ASGI does to receive and send, cost as much as all that is done for a small request.

    Made by uvicorn, one a connection, of the class that `bounded_protocol` gives.
    """

    shared: ClassVar[Shared]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        corked = CorkedTransport(
            cast("asyncio.Transport", transport), self.shared.outbox, self._end
        )
        super().connection_made(corked)
        self._intake = Intake(self, self.shared.arrivals)
        cast("asyncio.Transport", transport).set_protocol(self._intake)
        self._head_bytes = 0
        """Received of a head that is not whole."""
        self._ended_here = False
        """Whether a request ended within what is received now; the next one begins behind it."""
        self._in_message = False
        """Whether the latest request, whose head is whole, has not ended yet."""
        self._in_chunk = False
        self._marks = 0
        """Of the head that comes now."""
        self._host: bytes | None = None
        """That a request named, and could; others on this connection name it, too."""
        self._is_refused = False
        """Whether no more is read: what came last was no request, or too slow, or too much."""
        self._parsed = b""
        """What the parser has been given last, or shall be next."""
        self._unstarted: tuple[RequestResponseCycle, ASGI3Application] | None = None
        """A request of which more may have arrived already."""
        self._served: RequestResponseCycle | None = None
        """The request that was begun last: others wait behind it, and may be `cycle`."""
        self._in_body: RequestResponseCycle | None = None
        """The request of whose body a part was received."""
        self._large: LargeBody | None = None
        """Of the latest request, until all of it has come."""
        self._body_begun = 0.0
        """Since when the body that comes now is measured."""
        self._body_bytes = 0
        """Received of it since."""
        self._deadline = Deadline(self.loop, self._on_deadline)
        """Of a whole request, or more of its body: else the connection is closed."""
        # A socket of both families gives those of the older one as parts of the newer one.
        self._address = self.client[0].removeprefix(_MAPPED) if self.client else ""
        reason = self.shared.limits.let_in(self._address)
        if reason:
            self.connections.discard(self)
            self._write_refusal(TooManyConnectionsError(reason), "")
            corked.uncork()
            LastWords(cast("asyncio.Transport", transport), _forget).begin()
            return
        self._deadline.move(self.shared.max_idle_s)
        self.shared.tell_count(len(self.connections))

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.cancel()
        super().connection_lost(exc)
        served = self._served
        if served is not None and not served.response_complete:
            served.disconnected = True  # uvicorn tells only the one that came last
            served.message_event.set()
        self.pipeline.clear()
        self.shared.limits.leave(self._address)
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
            self._deadline.lift()
        elif not self.transport.is_closing():
            self._part_received(len(parsed))

    def large_body_received(self, *, is_whole: bool) -> None:
        """Bytes of a large body were put where it is gathered; `is_whole` with the last ones."""
        if not is_whole:
            self._body_bytes = 0 if self._large is None else self._large.received
            self._expect_more_of_body()
            return
        if self.cycle.response_complete:
            self._deadline.move(self.shared.max_idle_s)
        else:
            self._deadline.lift()
        # The old one is in the middle of the body, and stays there.
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
        self._in_message = False
        self._large = None
        self._head_bytes = 0
        self._marks = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name in MARK_OF:
            if name == b"host" and (value != self._host or self._marks & ADDRESSED):
                self._check_host(value)
            self._marks |= MARK_OF[name]
            if name == b"expect":
                self.expect_100_continue = value.lower() == b"100-continue"
            elif name == b"transfer-encoding":
                self._check_coding(value)
        self.headers.append((name, value))

    def _check_host(self, host: bytes) -> None:
        if self._marks & ADDRESSED:
            # A proxy before us may have gone by the other one.
            self._refuse(InvalidRequestError("Host can only stand once in a request"))
            raise _RefusedError
        self._check_is_ours(host)
        self._host = host

    def _check_is_ours(self, host: bytes) -> None:
        if not self.shared.hosts.allows(host):
            shown = host[:_MAX_SHOWN].decode("latin-1")
            self._refuse(
                MisdirectedRequestError(
                    f"This broker does not answer for the host {shown!r}; if that is a name of "
                    "it, add it, without the port, to http.allowed.hosts"
                )
            )
            raise _RefusedError

    def _check_coding(self, coding: bytes) -> None:
        if coding.strip().lower() != b"chunked":
            # The parser lets others stand before it, and would give out what they make.
            self._refuse(InvalidRequestError("Transfer-Encoding can only be chunked"))
            raise _RefusedError
        if self.parser.get_http_version() in OLD_VERSIONS:
            # A proxy before us may have passed it over (RFC 9112, 6.1).
            self._refuse(InvalidRequestError("HTTP/1.0 has no Transfer-Encoding; send HTTP/1.1"))
            raise _RefusedError

    def on_headers_complete(self) -> None:
        if len(self.headers) > MAX_HEADERS:
            self._refuse(RequestHeaderTooLargeError(f"More than {MAX_HEADERS} headers"))
            raise _RefusedError
        if not self._marks & ADDRESSED and self.parser.get_http_version() == "1.1":
            self._refuse(InvalidRequestError("The header Host is missing"))
            raise _RefusedError
        if not self.url.startswith(b"/"):
            # As proxies are asked. What it names there counts, not Host (RFC 9112, 3.2.2).
            self._check_is_ours(parse_url(self.url).host or b"")
        marks = self._marks & ~ADDRESSED
        if marks:
            scope: Any = self.scope  # it may have members beside those of uvicorn's type
            scope[MARKS] = marks
        HttpToolsProtocol.on_headers_complete(self)  # super() takes longer
        if self.cycle is None or self.cycle.scope is not self.scope:
            return  # another protocol is offered, and declined below
        self._in_message = True
        if self.scope["http_version"] in OLD_VERSIONS:
            self.cycle.keep_alive = self.parser.should_keep_alive()
            self.cycle.waiting_for_100_continue = False
        if marks & (NAMED | FROM_PAGE):
            self.cycle.default_headers = [*self.cycle.default_headers, *self._repeated()]
        self.headers = []  # of trailers: what they say is not true of the head

    def _repeated(self) -> list[tuple[bytes, bytes]]:
        """What the answer to the request says because the request does."""
        repeated = []
        request_id = given_id(self.headers)
        if request_id is not None:
            repeated.append((REQUEST_ID, request_id))
        for name, text in self.headers:
            if name == b"origin":
                repeated += self.shared.cors.answer_headers(text.decode("latin-1"))
                break
        return repeated

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        # Called when the head is whole. The body most often came with it, and is read next.
        self._unstarted = (cycle, app)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_message = False
        self._marks = 0
        self._head_bytes = 0
        self._ended_here = True
        self._large = None
        if self._unstarted is not None:
            cycle, app = self._unstarted
            self._unstarted = None
            self._begin_whole(cycle, app)

    def _begin_whole(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._served = cycle
        # Without a task nothing could wait for a client that does not read its answers.
        if (
            self.flow.write_paused
            or (MARKS in cycle.scope and cast("Any", cycle.scope)[MARKS] & _NOT_EXPRESS)
            or not self.shared.express(WholeRequest(cycle))
        ):
            self._start(cycle, app)

    def _start(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._unstarted = None
        self._served = cycle
        if cycle.scope["http_version"] in OLD_VERSIONS:
            app = without_chunks(app, cycle)
        task = self.loop.create_task(cycle.run_asgi(app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def on_response_complete(self) -> None:
        # uvicorn's, but for its timer: making and cancelling one for each request costs too much.
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        served = self._served
        if served is not None and served.more_body and served.chunked_encoding:
            # A stream was given up. Its client has more to say, and may go on for ever.
            self.transport.close()
            return
        if self._large is None or not self.pipeline:
            # Of a large body that waits no more is to come than was parsed: it is copied.
            self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._served = cycle  # from now on: its client may go away before its turn comes
            if cycle.more_body:
                self._start(cycle, app)
            else:
                # Not at once: each would be answered within the answering of the one before.
                self.loop.call_soon(self._begin_whole, cycle, app)
        else:
            # More may have arrived already, and its time runs.
            self._deadline.bring_within(self.shared.max_idle_s)

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

    def _unsupported_upgrade_warning(self) -> None:
        # CONNECT: what follows would be another protocol's.
        self._refuse(MethodNotImplementedError(f"This is no proxy; methods are {_METHODS}"))

    def send_400_response(self, msg: str) -> None:
        is_method = isinstance(sys.exception(), HttpParserInvalidMethodError)
        if is_method and _REQUEST_LINE.match(self._parsed):
            self._refuse(MethodNotImplementedError(f"There is no such method; send {_METHODS}"))
        else:
            self._refuse(InvalidRequestError(msg))

    def _part_received(self, size: int) -> None:
        cycle = self.cycle
        if cycle is None or cycle.scope is not self.scope:
            if not self._head_bytes:
                self._deadline.move(min(self.shared.head_timeout_s, self.shared.max_idle_s))
            # How much of it is head is not known after a request; one piece more is no danger.
            self._head_bytes += 1 if self._ended_here else size
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(
                    RequestHeaderTooLargeError(
                        f"The request's line and headers take more than {MAX_HEAD_BYTES} bytes"
                    )
                )
            return
        if self._in_body is not cycle:
            self._in_body = cycle
            self._body_begun = self.loop.time()
            self._body_bytes = 0
            self._offer_large(cycle)
        self._body_bytes += size
        self._expect_more_of_body()
        if cycle.response_complete:
            # It is passed over, whatever it is. What has no end is not even listened to.
            self.headers = []  # of trailers
            if self._body_bytes > _MOST_UNREAD and self._in_message and not announced_size(cycle):
                self.transport.close()
        elif not cycle.body:
            # Not a byte of this was body: it stands between chunks, or behind them.
            self._head_bytes += size
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(
                    RequestHeaderTooLargeError(
                        f"What stands beside the chunks takes more than {MAX_HEAD_BYTES} bytes"
                    )
                )

    def _offer_large(self, cycle: RequestResponseCycle) -> None:
        """Let a body be received into one buffer, if it is large; wait until it is asked for."""
        size = announced_size(cycle)
        if size < _LARGE_BYTES or cycle.response_complete or self.parser.should_upgrade():
            return
        self._large = LargeBody(cycle, size, self._intake.take_over)
        scope: Any = cycle.scope  # uvicorn's types of extensions are narrower than ASGI's
        scope["extensions"] = {LARGE_BODY: self._large}
        self.flow.pause_reading()

    def _expect_more_of_body(self) -> None:
        if self.cycle.response_complete:
            self._deadline.move(self.shared.max_idle_s)
            return
        patience = self.shared.body_timeout_s
        if not self.cycle.response_started:
            # Else it is a stream, whose records come when there are some.
            taken = self.loop.time() - self._body_begun
            patience = min(patience, patience + self._body_bytes / _LEAST_BODY_RATE - taken)
        self._deadline.move(patience)

    def _on_deadline(self) -> None:
        if self.flow.read_paused:
            # Not the client is silent, we do not listen.
            self._body_begun = self.loop.time()
            self._body_bytes = 0
            self._deadline.move(self.shared.body_timeout_s)
        elif self._head_bytes or self._is_within_body:
            self._refuse(RequestTooSlowError("More of the request should have come by now"))
        else:
            self.transport.close()

    @property
    def _is_within_body(self) -> bool:
        cycle = self.cycle
        return cycle is not None and cycle.more_body and not cycle.response_complete

    def _refuse(self, error: LogError) -> None:
        """Read no more; say why, where that can be said of what came last, and close.

        What came whole before that is served and answered first.
        """
        if self._is_refused:
            return
        self._is_refused = True
        _log.info("Refused what %s sent: %s", self._address or "a client", error.detail)
        self.parser = cast("HttpRequestParser", _DeafParser())
        cycle = self.cycle
        path = ""
        if cycle is not None and cycle.response_complete and self._in_message:
            self.transport.close()  # a second answer would be taken for that of the next request
            return
        if cycle is not None and not cycle.response_complete:
            if not cycle.more_body:
                cycle.keep_alive = False
                return
            path = cycle.scope["path"]
            has_begun = bool(self.pipeline) or cycle.response_started
            cycle.disconnected = True  # for whoever waits for more of it
            cycle.message_event.set()
            if has_begun:
                self.transport.close()  # in the middle of an answer: it shows that it is not whole
                return
        self._write_refusal(error, path)
        self.transport.close()

    def _write_refusal(self, error: LogError, path: str) -> None:
        status, headers, body = refusal_at(path, error)
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        self.transport.write(
            b"HTTP/1.1 %d %b\r\n%bconnection: close\r\n\r\n%b"
            % (status, HTTPStatus(status).phrase.encode(), lines, body)
        )

    def _end(self, transport: asyncio.Transport) -> bool:
        """End the connection in `LastWords`, if its client is still sending."""
        if not (self._is_refused or self._in_message):
            return False
        LastWords(transport, self._intake.connection_lost).begin()
        return True


def _forget(_error: Exception | None) -> None:
    """Nobody waits for the end of a connection that was not let in."""


def bounded_protocol(
    *,
    max_connections: int,
    max_idle_s: float,
    count: Callable[[int], None],
    express: Express,
    options: HttpOptions,
) -> type[HttpToolsProtocol]:
    """The class of the connections of one server, as uvicorn wants it."""

    class OneServersProtocol(BoundedProtocol):
        shared = Shared(
            limits=ConnectionLimits(
                max_connections, options.max_connections_per_ip, options.connection_overrides
            ),
            max_idle_s=max_idle_s,
            head_timeout_s=options.head_timeout_s,
            body_timeout_s=options.body_timeout_s,
            tell_count=count,
            outbox=Outbox(),
            arrivals=memoryview(bytearray(READ_BYTES)),
            express=express,
            cors=options.cors,
            hosts=options.hosts,
        )

    return OneServersProtocol
