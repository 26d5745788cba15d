"""A client's connections to brokers: bodies out in parts, large answers in without copies."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, Literal, TypeVar

import msgspec

from kafkalite.client.broker_address import BrokerAddress
from kafkalite.client.errors import ClosedError, NotSentError
from kafkalite.client.fetch_answer import FetchAnswer
from kafkalite.client.problem import refusal
from kafkalite.client.settings import ClientSettings
from kafkalite.model.errors import LogError, NetworkError, RequestTimedOutError
from kafkalite.transport.connection_pool import ConnectionPool
from kafkalite.transport.errors import PeerError, PeerTimeoutError
from kafkalite.transport.peer_reply import PeerReply
from kafkalite.transport.pipeline import Pipeline
from kafkalite.wire.batch import Buffer
from kafkalite.wire.messages import FetchRequest, ProduceResponse

_MAX_PRODUCES: Final = 100
"""Produces to one broker that may be outstanding; producers have a lower bound of their own."""
_MAX_FETCHES: Final = 4
_MAX_REQUESTS: Final = 16
_MAX_WAITING: Final = 1_000
"""Requests to one broker that wait for one of its connections."""
_SMALL_ANSWER_BYTES: Final = 64 << 20
"""Bounds the answers that carry no records."""
_ENVELOPE_BYTES: Final = 64 << 20
"""What an answer may take beside the bytes of records that it was asked for: a first batch may be
larger than that, and every partition has a result."""
_MSGPACK: Final = "application/msgpack"

Lane = Literal["produce", "fetch", "request"]
"""Requests of each kind have connections of their own.

Produces follow each other on one, so that they arrive in order. A fetch waits for records, and must
not keep a heartbeat from the coordinator.
"""

T = TypeVar("T")

_encode = msgspec.msgpack.Encoder().encode
_produced: Final = msgspec.msgpack.Decoder(ProduceResponse)
_fetched: Final = msgspec.msgpack.Decoder(FetchAnswer)


class Connections:
    """Keeps connections to any number of brokers, made when they are needed.

    Owned by a client; lives on the loop. `close()` ends it: what is outstanding fails. Errors are
    LogErrors: NotSentError where nothing was sent, another NetworkError or RequestTimedOutError
    where nobody knows whether the request was carried out, and what a broker refused it with.
    Nothing is sent twice.
    """

    def __init__(self, settings: ClientSettings) -> None:
        """Assign only."""
        self._connect_timeout_s = settings.socket_connection_setup_timeout_ms / 1000
        self._max_idle_s = settings.connections_max_idle_ms / 1000
        self._pipelines: dict[tuple[str, int], Pipeline] = {}
        self._pools: dict[tuple[str, int, Lane], ConnectionPool] = {}
        self._heads: dict[tuple[BrokerAddress, str], bytes] = {}
        """The heads of produces and fetches up to their lengths."""
        self._unsent: set[object] = set()
        """Produces whose tasks have not begun: none may overtake them."""
        self._sweep: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        """Kept, because asking for it is a system call each time (Python 3.11's getpid)."""
        self._is_closed = False

    def produce(
        self, address: BrokerAddress, parts: Sequence[Buffer], timeout_s: float
    ) -> asyncio.Future[ProduceResponse]:
        """Send a ProduceRequest whose body is the `parts` one after the other.

        Those for one broker arrive in the order of the calls. The parts are written as they are,
        and must not change until there is an answer.
        """
        request = (self._head(address, "/v1/produce", sum(map(len, parts))), *parts)
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        pipeline = self._pipelines.get((address.host, address.port))
        if pipeline is not None and not self._is_closed and not self._unsent:
            answer: asyncio.Future[ProduceResponse] = loop.create_future()
            tell = partial(_tell, address, answer)
            if pipeline.begin(request, _SMALL_ANSWER_BYTES, timeout_s, tell):
                return answer
        place = object()
        self._unsent.add(place)
        task = loop.create_task(self._produce_in_line(place, address, request, timeout_s))
        task.add_done_callback(lambda _: self._unsent.discard(place))
        return task

    async def _produce_in_line(
        self, place: object, address: BrokerAddress, request: Sequence[Buffer], timeout_s: float
    ) -> ProduceResponse:
        self._unsent.discard(place)  # from here on the pipeline knows of it
        pipeline = self._pipeline(address)
        reply = await _asked(address, pipeline.exchange(request, _SMALL_ANSWER_BYTES, timeout_s))
        return _decoded(_produced.decode, address, reply)

    async def fetch(
        self, address: BrokerAddress, request: FetchRequest, timeout_s: float
    ) -> FetchAnswer:
        """Ask for records; a request may wait at the broker, so `timeout_s` is longer than that."""
        pool = self._pool(address, "fetch", _MAX_FETCHES)
        body = _encode(request)
        parts = (self._head(address, "/v1/fetch", len(body)), body)
        max_bytes = request.max_bytes + _ENVELOPE_BYTES
        reply = await _asked(address, pool.exchange(parts, max_bytes, timeout_s))
        return _decoded(_fetched.decode, address, reply)

    async def request(
        self,
        address: BrokerAddress,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float,
    ) -> PeerReply:
        """Send any other request, and give any answer, a refusal as well."""
        pool = self._pool(address, "request", _MAX_REQUESTS)
        head = _head_of(address, method, target, headers) + b"%d\r\n\r\n" % len(body)
        return await _asked(address, pool.exchange((head, body), _SMALL_ANSWER_BYTES, timeout_s))

    async def close(self) -> None:
        """Close all connections, now."""
        self._is_closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for line in self._lines():
            line.close()
        # Sockets are closed by the loop, in its next turn.
        await asyncio.sleep(0)

    def _pipeline(self, address: BrokerAddress) -> Pipeline:
        key = (address.host, address.port)
        pipeline = self._pipelines.get(key)
        if pipeline is None or self._is_closed:
            self._check_open()
            pipeline = self._pipelines[key] = Pipeline(
                address.host,
                address.port,
                max_requests=_MAX_PRODUCES,
                connect_timeout_s=self._connect_timeout_s,
            )
        return pipeline

    def _pool(self, address: BrokerAddress, lane: Lane, max_connections: int) -> ConnectionPool:
        key = (address.host, address.port, lane)
        pool = self._pools.get(key)
        if pool is None or self._is_closed:
            self._check_open()
            pool = self._pools[key] = ConnectionPool(
                address.host,
                address.port,
                max_connections=max_connections,
                max_waiting=_MAX_WAITING,
                connect_timeout_s=self._connect_timeout_s,
            )
        return pool

    def _lines(self) -> Iterator[Pipeline | ConnectionPool]:
        yield from self._pipelines.values()
        yield from self._pools.values()

    def _check_open(self) -> None:
        if self._is_closed:
            raise ClosedError
        if self._sweep is None and self._max_idle_s >= 0:
            self._sweep_later()

    def _sweep_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweep = loop.call_later(self._max_idle_s / 2 + 1, self._close_idle)

    def _close_idle(self) -> None:
        since_s = asyncio.get_running_loop().time() - self._max_idle_s
        for line in self._lines():
            line.close_idle(since_s)
        self._sweep_later()

    def _head(self, address: BrokerAddress, target: str, length: int) -> bytes:
        start = self._heads.get((address, target))
        if start is None:
            start = _head_of(address, "POST", target, {"content-type": _MSGPACK})
            self._heads[address, target] = start
        return b"%b%d\r\n\r\n" % (start, length)


def _head_of(address: BrokerAddress, method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """A request's head up to its length."""
    lines = [f"{method} {target} HTTP/1.1", f"host: {address.netloc}"]
    lines += [f"{name}: {text}" for name, text in headers.items()]
    head = "\r\n".join(lines)
    if head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1:
        raise ValueError("a line break in a request's target or headers")
    return f"{head}\r\ncontent-length: ".encode("latin-1")


async def _asked(address: BrokerAddress, exchange: Coroutine[Any, Any, PeerReply]) -> PeerReply:
    """The answer of `exchange`, its errors as those of a client."""
    try:
        return await exchange
    except PeerError as error:
        raise _told(error, address) from error


def _tell(
    address: BrokerAddress,
    answer: asyncio.Future[ProduceResponse],
    outcome: PeerReply | PeerError,
) -> None:
    """Settle `answer`, unless nobody waits for it any more."""
    if answer.done():
        return
    if isinstance(outcome, PeerError):
        error = _told(outcome, address)
        error.__cause__ = outcome
        answer.set_exception(error)
        return
    try:
        answer.set_result(_decoded(_produced.decode, address, outcome))
    except LogError as error:
        answer.set_exception(error)


def _told(error: PeerError, address: BrokerAddress) -> LogError:
    if not error.was_sent:
        return NotSentError(str(error))
    if isinstance(error, PeerTimeoutError):
        return RequestTimedOutError(str(error))
    return NetworkError(f"{address.netloc}: {error}")


def _decoded(decode: Callable[[Buffer], T], address: BrokerAddress, reply: PeerReply) -> T:
    if reply.status != 200:
        raise refusal(reply, address)
    try:
        return decode(reply.content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NetworkError(
            f"{address.netloc} is not a broker of kafkalite: its answer cannot be read ({error})"
        ) from None
