"""The other brokers over HTTP: what `broker/ports.py` calls Peers."""

from collections.abc import Mapping
from typing import Final, Literal, TypeVar

import msgspec

from kafkalite.model.cluster import Broker
from kafkalite.model.errors import error_by_name
from kafkalite.transport.connecting import connect
from kafkalite.transport.connection import PeerConnection
from kafkalite.transport.connection_pool import ConnectionPool
from kafkalite.transport.errors import (
    PeerBrokenError,
    PeerBusyError,
    PeerProblemError,
    PeerRefusedError,
    PeerUnreachableError,
)
from kafkalite.transport.peer_reply import PeerReply
from kafkalite.wire.batch import Buffer
from kafkalite.wire.controller_messages import ControllerReply, ControllerRequest
from kafkalite.wire.media import Media
from kafkalite.wire.messages import FetchRequest, FetchResponse, ProduceRequest, ProduceResponse

_MAX_WAITING: Final = 1000
"""Requests to one broker, of one kind, that wait for a connection."""
_SMALL_ANSWER_BYTES: Final = 16 << 20
"""Bounds the answers that carry no records."""

_MSGPACK: Final = {"content-type": Media.MSGPACK}

Lane = Literal["replication", "appends", "reads"]
"""Kinds of requests, each with connections of its own.

A read may wait for records for as long as its client likes, and replication must go on whatever
clients do: neither may keep the others from a connection.
"""

T = TypeVar("T")

_encode = msgspec.msgpack.Encoder().encode
_produced: Final = msgspec.msgpack.Decoder(ProduceResponse)
_fetched: Final = msgspec.msgpack.Decoder(FetchResponse)
_controlled: Final = msgspec.msgpack.Decoder(ControllerReply)


class _Problem(msgspec.Struct):
    """What is needed of a problem document."""

    error: str = ""
    detail: str = ""


_problem: Final = msgspec.json.Decoder(_Problem)


class HttpPeers:
    """Asks other brokers over connections that are kept, with no proxy between.

    Owned by the composition root; lives on the loop. Connections are made when they are needed;
    `close()` ends all of them.
    """

    def __init__(self, *, max_connections: int, max_answer_bytes: int) -> None:
        """Assign only.

        Args:
            max_connections: to one broker, for each kind of request.
            max_answer_bytes: of an answer that carries records.
        """
        self._max_connections = max_connections
        self._max_answer_bytes = max_answer_bytes
        self._pools: dict[tuple[str, int, Lane], ConnectionPool] = {}
        self._is_closed = False

    async def fetch(self, broker: Broker, request: FetchRequest, timeout_s: float) -> FetchResponse:
        """See `Peers`."""
        lane: Lane = "reads" if request.replica_id < 0 else "replication"
        body = await self._post(
            broker, lane, "/v1/fetch", _encode(request), self._max_answer_bytes, timeout_s
        )
        return _decoded(_fetched, body)

    async def produce(
        self, broker: Broker, request: ProduceRequest, timeout_s: float
    ) -> ProduceResponse:
        """See `Peers`."""
        body = await self._post(
            broker, "appends", "/v1/produce", _encode(request), _SMALL_ANSWER_BYTES, timeout_s
        )
        return _decoded(_produced, body)

    async def ask_controller(
        self, broker: Broker, request: ControllerRequest, timeout_s: float
    ) -> ControllerReply:
        """See `Peers`."""
        body = await self._post(
            broker,
            "replication",
            "/v1/controller",
            _encode(request),
            _SMALL_ANSWER_BYTES,
            timeout_s,
        )
        return _decoded(_controlled, body)

    async def request(
        self,
        broker: Broker,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float,
    ) -> PeerReply:
        """See `Peers`."""
        head = _head(broker, method, target, headers, len(body))
        pool = self._pool(broker, "reads")
        return await pool.exchange((head, body), self._max_answer_bytes, timeout_s)

    async def refuses(self, broker: Broker) -> bool:
        """See `Peers`."""
        try:
            connection = await connect(broker.host, broker.port, PeerConnection)
        except PeerRefusedError:
            return True
        except PeerUnreachableError:
            return False
        connection.close()
        return False

    async def close(self) -> None:
        """See `Peers`."""
        self._is_closed = True
        for pool in self._pools.values():
            pool.close()

    async def _post(
        self,
        broker: Broker,
        lane: Lane,
        target: str,
        body: bytes,
        max_bytes: int,
        timeout_s: float,
    ) -> bytes | bytearray:
        head = _head(broker, "POST", target, _MSGPACK, len(body))
        reply = await self._pool(broker, lane).exchange((head, body), max_bytes, timeout_s)
        if reply.status != 200:
            raise _refusal(broker, reply)
        return reply.content

    def _pool(self, broker: Broker, lane: Lane) -> ConnectionPool:
        if self._is_closed:
            raise PeerBusyError("The broker is stopping")
        key = (broker.host, broker.port, lane)
        pool = self._pools.get(key)
        if pool is None:
            self._drop_unused()
            pool = self._pools[key] = ConnectionPool(
                broker.host,
                broker.port,
                max_connections=self._max_connections,
                max_waiting=_MAX_WAITING,
            )
        return pool

    def _drop_unused(self) -> None:
        """Forget addresses that brokers have left, such as those started anew elsewhere."""
        for key, pool in list(self._pools.items()):
            if pool.is_unused:
                del self._pools[key]
                pool.close()


def _head(
    broker: Broker, method: str, target: str, headers: Mapping[str, str], body_bytes: int
) -> bytes:
    host = broker.url.removeprefix("http://")
    lines = [f"{method} {target} HTTP/1.1", f"host: {host}", f"content-length: {body_bytes}"]
    lines += [f"{name}: {text}" for name, text in headers.items()]
    head = "\r\n".join(lines)
    if head.count("\n") != len(lines) - 1:
        raise ValueError("a line break in a request's target or headers")
    return f"{head}\r\n\r\n".encode("latin-1")


def _decoded(decoder: "msgspec.msgpack.Decoder[T]", body: Buffer) -> T:
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PeerBrokenError(f"The answer is not what was asked for: {error}") from error


def _refusal(broker: Broker, reply: PeerReply) -> PeerBrokenError:
    text = f"Broker {broker.id} answered with status {reply.status}"
    try:
        problem = _problem.decode(reply.content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return PeerBrokenError(text)
    kind = error_by_name(problem.error)
    if kind.status != reply.status or kind.status == 500:
        return PeerBrokenError(f"{text}: {problem.detail}")
    return PeerProblemError(f"{text}: {problem.detail}", kind(problem.detail))
