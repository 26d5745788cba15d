"""`/v1/groups/G/stream`: a group's records pushed to whoever listens, and acknowledged by id.

Whoever is asked serves the stream, being a member of the group on the client's behalf. An
acknowledgement goes to the broker that sent the event; where that is gone, it is committed by the
event's own word, if its member still is one.
"""

import uuid
from collections.abc import Mapping
from typing import Final, TypeVar
from urllib.parse import quote

import msgspec

from kafkalite.api.data_plane.exchange import Exchange, int_parameter
from kafkalite.api.errors import problem_response
from kafkalite.api.http.allowed_methods import method_not_allowed
from kafkalite.api.http.cross_site import check_not_cross_site
from kafkalite.api.http.origins import NO_SITES, Cors
from kafkalite.api.streams.event_stream import (
    KEEP_ALIVE_S,
    LAST_EVENT_ID,
    EventStream,
    SlowReaderError,
    check_accept,
    encode_event,
    slow_reason,
    while_read,
)
from kafkalite.broker.consumers.definition import ConsumerDefinition, OffsetReset
from kafkalite.broker.consumers.errors import InvalidPatternError
from kafkalite.broker.consumers.stream import GroupStream, StreamWish
from kafkalite.broker.consumers.stream_mark import MAX_MARK_CHARACTERS, StreamMark
from kafkalite.broker.consumers.streams import GroupStreams
from kafkalite.broker.forwarding import FORWARDED_HEADER
from kafkalite.broker.metadata_view import MetadataView
from kafkalite.broker.ports import Peers
from kafkalite.model.errors import (
    BrokerNotAvailableError,
    InvalidRequestError,
    LogError,
    NetworkError,
    RequestTimedOutError,
    UnsupportedMediaTypeError,
)
from kafkalite.model.group_name import check_group_id
from kafkalite.model.ids import TopicPartition
from kafkalite.model.topic_name import check_topic_name
from kafkalite.transport.errors import PeerError, PeerRefusedError, PeerTimeoutError
from kafkalite.wire.group_messages import (
    MAX_NAMES,
    OffsetCommitResponse,
    OffsetCommitResult,
    StreamAck,
)
from kafkalite.wire.media import Media, media_of_body
from kafkalite.wire.rest_records import EmbeddedFormat

Choice = TypeVar("Choice")

_PARAMETERS: Final = frozenset(
    {
        "topics",
        "pattern",
        "format",
        "auto.offset.reset",
        "max_bytes",
        "max_records",
        "max.inflight",
        "client.id",
        "group.instance.id",
        "last.event.id",
    }
)
_FORMATS: Final = {
    each.value: each for each in (EmbeddedFormat.JSON, EmbeddedFormat.BINARY, EmbeddedFormat.TEXT)
}
_RESETS: Final[Mapping[str, OffsetReset]] = {
    "earliest": "earliest",
    "latest": "latest",
    "none": "none",
}
_DEFAULT_BYTES: Final = 256 << 10
_MAX_BYTES: Final = 4 << 20
_DEFAULT_RECORDS: Final = 500
_MAX_RECORDS: Final = 100_000
_DEFAULT_INFLIGHT: Final = 5_000
_MAX_INFLIGHT: Final = 1_000_000
_MAX_ID: Final = 255
_MAX_PATTERN: Final = 1024
_CLIENT_ID: Final = "stream"
_INSTANCE_PREFIX: Final = "stream-"
_RETRY_MS: Final = 1_000
"""After which a browser that lost its stream asks for it again."""
_RETRY_AFTER: Final = "1"
_MAX_BODY_BYTES: Final = 2 * MAX_MARK_CHARACTERS
_ACK_S: Final = 15.0
_WHAT_LISTENING_DOES: Final = "joins a group and takes its records"
_KEPT: Final = ("retry-after", "allow")

_encode: Final = msgspec.json.Encoder().encode


_decode_ack: Final = msgspec.json.Decoder(StreamAck).decode


class GroupStreamEndpoint:
    """Serves streams and their acknowledgements. Holds nothing of a request."""

    def __init__(
        self, streams: GroupStreams, view: MetadataView, peers: Peers, cors: Cors = NO_SITES
    ) -> None:
        """Assign only; `cors`: whose pages may have a browser join a group."""
        self._cors = cors
        self._streams = streams
        self._view = view
        self._peers = peers

    async def listen(self, exchange: Exchange, method: str, group: str) -> None:
        """Push what the group's new member is given, until its client goes away."""
        if method != "GET":
            raise method_not_allowed("/v1/groups/.../stream", method, ("GET",))
        check_not_cross_site(exchange.headers, self._cors, _WHAT_LISTENING_DOES)
        check_group_id(group)
        check_accept(exchange.header(b"accept"))
        wish = _wish(exchange, group)
        await while_read(exchange, self._serve(exchange, wish))

    async def acknowledge(self, exchange: Exchange, method: str, group: str) -> None:
        """Commit all up to an event, wherever its stream is."""
        if method != "POST":
            raise method_not_allowed("/v1/groups/.../stream/ack", method, ("POST",))
        check_group_id(group)
        body = await exchange.read_body(_MAX_BODY_BYTES)
        mark = _acknowledged(exchange.header(b"content-type"), body)
        if exchange.header(FORWARDED_HEADER.encode()) or not await self._forward(
            exchange, group, mark, body
        ):
            results = await self._streams.acknowledge(group, mark)
            answer = OffsetCommitResponse([_result(*each) for each in results.items()])
            await exchange.respond(200, Media.JSON.encode(), _encode(answer))

    async def _serve(self, exchange: Exchange, wish: StreamWish) -> None:
        try:
            stream = await self._streams.open(wish)
        except InvalidPatternError as error:
            raise InvalidRequestError(str(error)) from error
        except BrokerNotAvailableError as error:
            await exchange.refuse(problem_response(error, {"retry-after": _RETRY_AFTER}))
            return
        try:
            await _push(EventStream(exchange), stream)
        finally:
            self._streams.close(stream)

    async def _forward(self, exchange: Exchange, group: str, mark: StreamMark, body: bytes) -> bool:
        """Have the broker answer that sent the event; False: it is this one, or it is gone."""
        if mark.broker_id == self._streams.broker_id:
            return False
        broker = self._view.brokers.get(mark.broker_id)
        if broker is None:
            return False
        headers = {FORWARDED_HEADER: "1", "content-type": Media.JSON.value}
        target = f"/v1/groups/{quote(group, safe='')}/stream/ack"
        name = f"Broker {broker.id}, which serves the stream,"
        try:
            reply = await self._peers.request(broker, "POST", target, headers, body, _ACK_S)
        except PeerRefusedError:
            return False
        except PeerTimeoutError as error:
            raise RequestTimedOutError(f"{name} did not answer in time: {error}") from error
        except PeerError as error:
            raise NetworkError(f"{name} cannot be asked: {error}") from error
        media = reply.headers.get("content-type", "").encode("latin-1")
        kept = [
            (each.encode(), reply.headers[each].encode("latin-1"))
            for each in _KEPT
            if each in reply.headers
        ]
        await exchange.respond(reply.status, media, reply.body, kept)
        return True


async def _push(events: EventStream, stream: GroupStream) -> None:
    await events.start()
    try:
        await _send_events(events, stream)
    except SlowReaderError:
        # Who reads on within as much time again hears of it; others get its partitions either way.
        closed = _encode({"reason": slow_reason()})
        await events.send(encode_event(closed, name="closed"))
    await events.end()


async def _send_events(events: EventStream, stream: GroupStream) -> None:
    """All there is to tell, until it is over."""
    retry_ms: int | None = _RETRY_MS
    while True:
        event = await stream.next_event(max(KEEP_ALIVE_S - events.silent_s, 0.0))
        if event is not None:
            await events.send(
                encode_event(event.data, name=event.name, event_id=event.mark, retry_ms=retry_ms)
            )
            retry_ms = None
        elif stream.is_over:
            return
        else:
            await events.keep_alive()


# -- what is asked for ----------------------------------------------------------------------------


def _wish(exchange: Exchange, group: str) -> StreamWish:
    query = exchange.query(_PARAMETERS)
    topics, pattern = _subscription(query)
    last_id = exchange.header(LAST_EVENT_ID) or query.get("last.event.id", "")
    last = _mark(last_id) if last_id else None
    instance_id = _id(query, "group.instance.id")
    if not instance_id:
        instance_id = f"{_INSTANCE_PREFIX}{uuid.uuid4().hex}" if last is None else last.instance_id
    return StreamWish(
        group=group,
        definition=ConsumerDefinition(
            format=_one_of(_FORMATS, query, "format", EmbeddedFormat.JSON),
            auto_offset_reset=_one_of(_RESETS, query, "auto.offset.reset", "latest"),
            topics=topics,
            pattern=pattern,
        ),
        instance_id=instance_id,
        client_id=_id(query, "client.id") or _CLIENT_ID,
        host=exchange.client_host,
        max_bytes=int_parameter(query, "max_bytes", _DEFAULT_BYTES, least=1, most=_MAX_BYTES),
        max_records=int_parameter(
            query, "max_records", _DEFAULT_RECORDS, least=1, most=_MAX_RECORDS
        ),
        max_inflight=int_parameter(
            query, "max.inflight", _DEFAULT_INFLIGHT, least=1, most=_MAX_INFLIGHT
        ),
        last=last,
    )


def _subscription(query: Mapping[str, str]) -> tuple[tuple[str, ...], str | None]:
    names = [name.strip() for name in query.get("topics", "").split(",")]
    topics = tuple(dict.fromkeys(name for name in names if name))
    pattern = query.get("pattern") or None
    if bool(topics) == bool(pattern):
        raise InvalidRequestError("Name what to read: either ?topics=a,b or ?pattern=...")
    if len(topics) > MAX_NAMES:
        raise InvalidRequestError(f"{MAX_NAMES} topics are possible, not {len(topics)}")
    for name in topics:
        check_topic_name(name)
    if pattern is not None and len(pattern) > _MAX_PATTERN:
        raise InvalidRequestError(f"A pattern of {_MAX_PATTERN} characters is possible")
    return topics, pattern


def _id(query: Mapping[str, str], name: str) -> str:
    text = query.get(name, "")
    if len(text) > _MAX_ID:
        raise InvalidRequestError(f"{name} may have {_MAX_ID} characters, not {len(text)}")
    return text


def _one_of(
    choices: Mapping[str, Choice], query: Mapping[str, str], name: str, default: Choice
) -> Choice:
    text = query.get(name)
    if text is None:
        return default
    if text not in choices:
        raise InvalidRequestError(f"{name} must be one of {', '.join(choices)}, not {text[:40]!r}")
    return choices[text]


def _acknowledged(content_type: str, body: bytes) -> StreamMark:
    if not content_type:
        # A web page of somebody else's may send bodies without a type, but not JSON, unasked.
        raise UnsupportedMediaTypeError(
            f"The request does not name the type of its body; set Content-Type to {Media.JSON}"
        )
    media_of_body(content_type, (Media.JSON,))
    try:
        acknowledged = _decode_ack(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequestError(f"The body is no StreamAck: {error}") from error
    return _mark(acknowledged.id)


def _mark(text: str) -> StreamMark:
    mark = StreamMark.decode(text)
    if mark is None:
        raise InvalidRequestError(f"{text[:40]!r} is not the id of an event of a stream")
    return mark


def _result(partition: TopicPartition, refusal: LogError | None) -> OffsetCommitResult:
    if refusal is None:
        return OffsetCommitResult(*partition)
    return OffsetCommitResult(*partition, refusal.code, refusal.name, refusal.detail)
