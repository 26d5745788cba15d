"""`POST /v1/fetch`: record batches for native clients, of many partitions at a time, streamed.

The body is the msgpack of a FetchResponse. It is written piece by piece, because a fetch may bring
tens of MiB: `batches` is the last member of a FetchResult, so what comes before it is encoded with
an empty value, whose two bytes are then replaced by the head of the real one.
"""

import asyncio
import struct
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from kafkalite.api.data_plane.exchange import ClientGoneError, Exchange
from kafkalite.api.data_plane.produce import check_msgpack
from kafkalite.api.errors import problem_response, unexpected
from kafkalite.api.http.whole_request import WholeRequest
from kafkalite.broker.append import leader_of
from kafkalite.broker.fetch import FetchPath
from kafkalite.broker.partition_read import PartitionRead
from kafkalite.broker.replication.replica_sessions import ReplicaAnswer, ReplicaSessions, Wait
from kafkalite.model.errors import InvalidRequestError, LogError
from kafkalite.model.ids import NO_LEADER, BrokerId
from kafkalite.model.offsets import NO_OFFSET
from kafkalite.wire.batch import Buffer
from kafkalite.wire.media import Media
from kafkalite.wire.messages import FetchRequest, FetchResponse, FetchResult

_MSGPACK: Final = Media.MSGPACK.encode()
_MAX_BODY_BYTES: Final = 1 << 20
_BIN32: Final = struct.Struct(">BI")
_BIN32_TYPE: Final = 0xC6
_EMPTY_BIN: Final = b"\xc4\x00"
_ARRAY32: Final = struct.Struct(">BI")
_ARRAY32_TYPE: Final = 0xDD
_EMPTY_ARRAY: Final = b"\x90"
_BYTES_A_TURN: Final = 1 << 20
"""Given to the system at once of what is in memory, before others have their turn."""

_decoder = msgspec.msgpack.Decoder(FetchRequest)
_encoder = msgspec.msgpack.Encoder()
assert FetchResult.__struct_fields__[-1] == "batches"
assert FetchResponse.__struct_fields__[-1] == "partitions"


def _head(response: FetchResponse) -> bytes:
    """The encoding of a response without partitions, up to where they would be."""
    return _encoder.encode(response).removesuffix(_EMPTY_ARRAY)


_RESPONSE_HEAD: Final = _head(FetchResponse(partitions=[]))


class FetchEndpoint:
    """Decodes the request, waits for records, streams them; to readers and to replicas."""

    def __init__(
        self,
        path: FetchPath,
        sessions: ReplicaSessions,
        on_replica_gone: Callable[[BrokerId], None],
    ) -> None:
        """Assign only; `on_replica_gone` is told of a replica that left while its fetch waited."""
        self._path = path
        self._sessions = sessions
        self._on_replica_gone = on_replica_gone
        self._answering: set[asyncio.Task[None]] = set()

    async def post(self, exchange: Exchange) -> None:
        check_msgpack(exchange)
        body = await exchange.read_body(_MAX_BODY_BYTES)
        try:
            request = _decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidRequestError(f"The body is no FetchRequest: {error}") from error
        if request.replica_id >= 0:
            await self._answer_replica(exchange, request)
            return
        reads = self._path.try_fetch(request)
        if reads is None:
            reads = await exchange.while_connected(self._path.fetch(request))
        await self._send(exchange, _RESPONSE_HEAD, reads)

    def post_whole(self, request: WholeRequest) -> bool:
        """Take a replica's fetch, at the least cost; False, having done nothing, for all others."""
        if request.body_size > _MAX_BODY_BYTES or request.header(b"content-type") != Media.MSGPACK:
            return False
        try:
            fetch = _decoder.decode(request.body())
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False
        if fetch.replica_id < 0:
            return False
        try:
            begun = self._sessions.begin(fetch)
            if isinstance(begun, ReplicaAnswer) and _answer_from_memory(request, begun):
                return True
        except Exception as error:  # noqa: BLE001 - no input may be answered with a bare 500
            request.refuse(problem_response(unexpected(error, request.request_id)))
            return True
        task = asyncio.ensure_future(self._answer_whole(request, begun))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

        def replica_gone() -> None:
            if not task.done():
                task.cancel()
                self._on_replica_gone(BrokerId(fetch.replica_id))

        request.when_gone(replica_gone)
        return True

    async def _answer_whole(self, request: WholeRequest, begun: ReplicaAnswer | Wait) -> None:
        exchange: Exchange | None = None
        try:
            if isinstance(begun, ReplicaAnswer):
                answer = begun
            else:
                answer = await begun()
                if _answer_from_memory(request, answer):
                    return
            exchange = request.exchange()
            await self._send(exchange, _head_of(answer), answer.reads)
        except Exception as error:  # noqa: BLE001 - no input may be answered with a bare 500
            problem = unexpected(error, request.request_id)
            if exchange is not None and exchange.started:
                request.abort()
            else:
                request.refuse(problem_response(problem))

    async def _answer_replica(self, exchange: Exchange, request: FetchRequest) -> None:
        try:
            answer = await exchange.while_connected(self._sessions.fetch(request))
        except ClientGoneError:
            self._on_replica_gone(BrokerId(request.replica_id))
            raise
        await self._send(exchange, _head_of(answer), answer.reads)

    async def _send(self, exchange: Exchange, head: bytes, reads: Sequence[PartitionRead]) -> None:
        heads, total = _heads(head, reads)
        await exchange.start(200, ((b"content-type", _MSGPACK), (b"content-length", b"%d" % total)))
        parts: list[Buffer] = [heads[0]]
        unsent = 0
        for read, part in zip(reads, heads[1:], strict=True):
            parts.append(part)
            for piece in read.pieces:
                held = piece.buffers
                if not held or unsent >= _BYTES_A_TURN:
                    await exchange.send_parts(parts, more=True)
                    # Neither reading from the cache nor sending to a fast client waits.
                    await asyncio.sleep(0)
                    parts, unsent = [], 0
                parts += held or (await self._path.read_piece(piece),)
                unsent += piece.size
        await exchange.send_parts(parts, more=False)


def _answer_from_memory(request: WholeRequest, answer: ReplicaAnswer) -> bool:
    """Answer in one write; False, having done nothing, where something has to be read first."""
    heads, total = _heads(_head_of(answer), answer.reads)
    parts = _parts_in_memory(heads, answer.reads)
    if parts is None:
        return False
    request.respond_parts(200, _MSGPACK, parts, total)
    return True


def _head_of(answer: ReplicaAnswer) -> bytes:
    return _RESPONSE_HEAD if answer.error is None else _refusal_head(answer.error)


def _heads(head: bytes, reads: Sequence[PartitionRead]) -> tuple[list[bytes], int]:
    """What precedes all reads, and then the batches of each of them; and the size of the body."""
    heads = [head + _ARRAY32.pack(_ARRAY32_TYPE, len(reads))]
    total = 0
    for read in reads:
        size = read.size
        total += size
        result = _encoder.encode(_result_of(read)).removesuffix(_EMPTY_BIN)
        heads.append(result + _BIN32.pack(_BIN32_TYPE, size))
    return heads, total + sum(map(len, heads))


def _parts_in_memory(heads: list[bytes], reads: Sequence[PartitionRead]) -> list[Buffer] | None:
    """The whole body; None where some of it has to be read."""
    parts: list[Buffer] = [heads[0]]
    for read, head in zip(reads, heads[1:], strict=True):
        parts.append(head)
        for piece in read.pieces:
            buffers = piece.buffers
            if not buffers:
                return None
            parts += buffers
    return parts


def _refusal_head(error: LogError) -> bytes:
    return _head(
        FetchResponse(error_code=error.code, error=error.name, message=error.detail, partitions=[])
    )


def _result_of(read: PartitionRead) -> FetchResult:
    """A read without its batches."""
    error = read.error
    if error is None:
        leader = read.leader
        return FetchResult(
            read.topic,
            read.partition,
            high_watermark=read.high_watermark,
            log_start_offset=read.log_start_offset,
            leader_id=NO_LEADER if leader is None else leader.id,
            leader_url="" if leader is None else leader.url,
            leader_epoch=read.leader_epoch,
            diverging_epoch=read.diverging_epoch,
            diverging_end_offset=read.diverging_end_offset,
        )
    leader_id, leader_url = leader_of(error)
    start, high_watermark = error.extra.get("log_start_offset"), error.extra.get("high_watermark")
    return FetchResult(
        read.topic,
        read.partition,
        error_code=error.code,
        error=error.name,
        message=error.detail,
        high_watermark=high_watermark if isinstance(high_watermark, int) else NO_OFFSET,
        log_start_offset=start if isinstance(start, int) else NO_OFFSET,
        leader_id=leader_id,
        leader_url=leader_url,
        leader_epoch=read.leader_epoch,
    )
