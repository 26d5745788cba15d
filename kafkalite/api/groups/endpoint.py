"""`/v1/groups/G/heartbeat` and `/v1/groups/G/offsets`: what consumers ask all the time.

Whoever is asked has the group's coordinator answer. Bodies are JSON or msgpack.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeVar
from urllib.parse import quote

import msgspec

from kafkalite.api.answers import outcome
from kafkalite.api.data_plane.exchange import NOT_STORED, Exchange, int_parameter
from kafkalite.api.groups.ports import GroupDataPlane, Routing
from kafkalite.api.http.allowed_methods import method_not_allowed
from kafkalite.broker.forwarding import FORWARDED_HEADER
from kafkalite.broker.groups.routed_groups import CLIENT_HOST_HEADER
from kafkalite.broker.metadata_view import MetadataView
from kafkalite.model.errors import InvalidRequestError, UnsupportedMediaTypeError
from kafkalite.model.group_name import check_group_id
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.admin_messages import PartitionOutcomes
from kafkalite.wire.group_messages import (
    CommittedPartition,
    HeartbeatRequest,
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetCommitResult,
    OffsetFetchResponse,
)
from kafkalite.wire.media import Media, media_of_body, negotiate

COORDINATOR_HEADER: Final = "kafkalite-coordinator"
"""Names, in an answer that another broker gave, where to ask directly."""

_MAX_BODY_BYTES: Final = 4 << 20
_GRACE_MS: Final = 10_000
"""How long a coordinator may take beyond the time that it was given to wait."""
_MEDIA: Final = (Media.JSON, Media.MSGPACK)
_LARGEST_PARTITION: Final = 2**31 - 1
_PLACE: Final = frozenset({"topic", "partition"})
_KEPT: Final = ("retry-after", "allow")

Request = TypeVar("Request")
_Decode = Callable[[bytes], Request]

_heartbeat_decoders: Final[Mapping[Media, _Decode[HeartbeatRequest]]] = {
    Media.JSON: msgspec.json.Decoder(HeartbeatRequest).decode,
    Media.MSGPACK: msgspec.msgpack.Decoder(HeartbeatRequest).decode,
}
_commit_decoders: Final[Mapping[Media, _Decode[OffsetCommitRequest]]] = {
    Media.JSON: msgspec.json.Decoder(OffsetCommitRequest).decode,
    Media.MSGPACK: msgspec.msgpack.Decoder(OffsetCommitRequest).decode,
}
_encoders: Final[Mapping[Media, Callable[[object], bytes]]] = {
    Media.JSON: msgspec.json.Encoder().encode,
    Media.MSGPACK: msgspec.msgpack.Encoder().encode,
}


class GroupsEndpoint:
    """Decodes requests, has the coordinator answer them, encodes what it says."""

    def __init__(self, groups: GroupDataPlane, routing: Routing, view: MetadataView) -> None:
        self._groups = groups
        self._routing = routing
        self._view = view

    async def heartbeat(self, exchange: Exchange, method: str, group: str) -> None:
        """A member's heartbeat; given up when the member goes away while it waits."""
        if method != "POST":
            raise method_not_allowed("/v1/groups/.../heartbeat", method, ("POST",))
        check_group_id(group)
        media = _negotiated(exchange)
        body = await exchange.read_body(_MAX_BODY_BYTES)
        request = _decoded(exchange, body, _heartbeat_decoders, "HeartbeatRequest")
        host = exchange.client_host

        async def answer() -> None:
            timeout_ms = request.max_wait_ms + _GRACE_MS
            path = _path(group, "heartbeat")
            if not await self._forward(exchange, group, path, method, body, timeout_ms):
                said_by = exchange.header(CLIENT_HOST_HEADER.encode()) or host
                await self._respond(
                    exchange, media, self._groups.heartbeat(group, request, said_by)
                )

        await exchange.while_connected(answer())

    async def offsets(self, exchange: Exchange, method: str, group: str) -> None:
        """Commit offsets, read committed ones, or delete them."""
        check_group_id(group)
        match method:
            case "POST":
                await self._commit(exchange, group)
            case "GET":
                await self._committed(exchange, group)
            case "DELETE":
                await self._delete(exchange, group)
            case _:
                raise method_not_allowed(
                    "/v1/groups/.../offsets", method, ("DELETE", "GET", "POST")
                )

    async def _commit(self, exchange: Exchange, group: str) -> None:
        media = _negotiated(exchange)
        body = await exchange.read_body(_MAX_BODY_BYTES)
        request = _decoded(exchange, body, _commit_decoders, "OffsetCommitRequest")
        if await self._forward(exchange, group, _path(group, "offsets"), "POST", body, _GRACE_MS):
            return

        async def commit() -> OffsetCommitResponse:
            errors = await self._groups.commit(group, request)
            return OffsetCommitResponse(
                [
                    OffsetCommitResult(each.topic, each.partition)
                    if error is None
                    else OffsetCommitResult(
                        each.topic, each.partition, error.code, error.name, error.detail
                    )
                    for each, error in zip(request.offsets, errors, strict=True)
                ]
            )

        await self._respond(exchange, media, commit())

    async def _committed(self, exchange: Exchange, group: str) -> None:
        media = _negotiated(exchange)
        topic, number = _place(exchange)
        if await self._forward(exchange, group, _path(group, "offsets"), "GET", b"", _GRACE_MS):
            return

        async def look() -> OffsetFetchResponse:
            committed = await self._groups.committed(group)
            return OffsetFetchResponse(
                group,
                [
                    CommittedPartition(*each, found.offset, found.leader_epoch, found.metadata)
                    for each, found in sorted(committed.items())
                    if topic in {None, each.topic} and number in {None, each.partition}
                ],
            )

        await self._respond(exchange, media, look())

    async def _delete(self, exchange: Exchange, group: str) -> None:
        media = _negotiated(exchange)
        topic, number = _place(exchange)
        if topic is None:
            raise InvalidRequestError("Name the topic whose offsets shall be deleted: ?topic=T")
        if await self._forward(exchange, group, _path(group, "offsets"), "DELETE", b"", _GRACE_MS):
            return

        async def delete() -> PartitionOutcomes:
            partitions = [TopicPartition(topic, number or 0)]
            if number is None:
                committed = await self._groups.committed(group)
                known = self._view.topics.get(topic)
                numbers = set() if known is None else set(known.assignment)
                numbers |= {each.partition for each in committed if each.topic == topic}
                partitions = [TopicPartition(topic, each) for each in sorted(numbers)]
            errors = await self._groups.delete_offsets(group, partitions)
            return PartitionOutcomes(
                [outcome(each, error) for each, error in zip(partitions, errors, strict=True)]
            )

        await self._respond(exchange, media, delete())

    async def _forward(
        self, exchange: Exchange, group: str, path: str, method: str, body: bytes, timeout_ms: int
    ) -> bool:
        """Have another broker answer, where it is another one's group; False: it is ours.

        What another broker sent on is answered here, whoever coordinates the group: the store
        knows, and refuses what must not be.
        """
        if exchange.header(FORWARDED_HEADER.encode()):
            return False
        headers = {CLIENT_HOST_HEADER: exchange.client_host}
        for name in ("accept", "content-type"):
            if text := exchange.header(name.encode()):
                headers[name] = text
        query = exchange.raw_query.decode("latin-1")
        target = f"{path}?{query}" if query else path
        answer = await self._routing.forward(group, method, target, headers, body, timeout_ms)
        if answer is None:
            return False
        coordinator, reply = answer
        kept = [
            (name.encode(), reply.headers[name].encode("latin-1"))
            for name in _KEPT
            if name in reply.headers
        ]
        kept.append((COORDINATOR_HEADER.encode(), coordinator.url.encode()))
        media = reply.headers.get("content-type", "").encode("latin-1")
        await exchange.respond(reply.status, media, reply.body, kept)
        return True

    async def _respond(self, exchange: Exchange, media: Media, work: Awaitable[object]) -> None:
        body = _encoders[media](await work)
        await exchange.respond(200, media.encode(), body, (NOT_STORED,))


def _path(group: str, end: str) -> str:
    return f"/v1/groups/{quote(group, safe='')}/{end}"


def _negotiated(exchange: Exchange) -> Media:
    """What to answer in: what is accepted, else what the body is in."""
    offered: Sequence[Media] = _MEDIA
    if exchange.header(b"content-type"):
        body_media = media_of_body(exchange.header(b"content-type"), _MEDIA)
        offered = (body_media, *(media for media in _MEDIA if media is not body_media))
    return negotiate(exchange.header(b"accept"), offered)


def _decoded(
    exchange: Exchange, body: bytes, decoders: Mapping[Media, _Decode[Request]], name: str
) -> Request:
    content_type = exchange.header(b"content-type")
    if not content_type:
        # A web page of somebody else's may send bodies without a type, but not JSON, unasked.
        raise UnsupportedMediaTypeError(
            "The request does not name the type of its body; set Content-Type to one of "
            f"{', '.join(_MEDIA)}"
        )
    try:
        return decoders[media_of_body(content_type, _MEDIA)](body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequestError(f"The body is no {name}: {error}") from error


def _place(exchange: Exchange) -> tuple[str | None, int | None]:
    """The topic and partition that the query names."""
    query = exchange.query(_PLACE)
    topic = query.get("topic")
    if topic == "":
        raise InvalidRequestError("No topic has an empty name; leave ?topic= out for all of them")
    if "partition" not in query:
        return topic, None
    if topic is None:
        raise InvalidRequestError("A partition needs its topic: ?topic=T&partition=P")
    return topic, int_parameter(query, "partition", 0, most=_LARGEST_PARTITION)
