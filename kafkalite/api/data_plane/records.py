"""The records endpoints, for any language: records in, records out, in the media type asked for."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Final, NamedTuple

import msgspec

from kafkalite.api.data_plane.exchange import (
    NOT_STORED,
    Exchange,
    RawHeader,
    bool_parameter,
    int_parameter,
    parse_query,
    timeout_parameter,
)
from kafkalite.api.data_plane.produce_slots import ProduceSlots
from kafkalite.api.errors import problem_response, unexpected
from kafkalite.api.http.whole_request import WholeRequest
from kafkalite.broker.fetch import FetchPath
from kafkalite.broker.partition_read import PartitionRead
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.broker.record_append import RecordAppendPath
from kafkalite.broker.record_place import RecordPlace
from kafkalite.model.cluster import Broker
from kafkalite.model.errors import (
    CorruptMessageError,
    InvalidRequestError,
    InvalidRequiredAcksError,
    LogError,
)
from kafkalite.model.record import Record
from kafkalite.wire.media import Media, media_of_body, negotiate
from kafkalite.wire.messages import ACKS_ALL, ACKS_LEADER, ACKS_NONE, FetchPartition, FetchRequest
from kafkalite.wire.record_bodies import TAKEN, IncomingRecord, decode_one, decode_records
from kafkalite.wire.record_pages import OFFERED, RecordsPage, encode_page
from kafkalite.wire.records import decode_batches

_JSON: Final = Media.JSON.encode()
_LEADER_HEADER: Final = b"kafkalite-leader"
_ACKS: Final = {"0": ACKS_NONE, "1": ACKS_LEADER, "all": ACKS_ALL, "-1": ACKS_ALL}
_POST_PARAMETERS: Final = frozenset({"acks", "timeout_ms", "key", "partition"})
_GET_PARAMETERS: Final = frozenset({"offset", "max_bytes", "timeout_ms", "text"})
_TIMEOUT_MS: Final = 30_000
_CACHED_REQUESTS: Final = 1024
_CACHED_CHARACTERS: Final = 256
"""A longer content type and query string are parsed anew each time: the cache stays small."""
_PAGE_BYTES: Final = 1 << 20
_MAX_PAGE_BYTES: Final = 16 << 20
_MAX_DECODED_BYTES: Final = 16 << 20
"""Of a body that is decoded, all at once: it takes many times that in memory."""
_MAX_STORED_BYTES: Final = 2**31 - 1
"""Of one stored batch once decompressed: the most that any setting can have let in."""
_RECORD_BYTES: Final = 64
"""What a record adds to a page beside its key, value and headers."""
_HEADER_BYTES: Final = 24
"""What a header adds to a page beside its name and value."""
_EXPRESS_BYTES: Final = 8 << 10
"""The largest body that is tried without a task: one that needs it after all is decoded twice."""
_PIECE_BYTES: Final = 64 << 10
"""Decoded at once; between pieces others run."""


class ProduceParameters(NamedTuple):
    """What a request says about the records in its body."""

    media: Media
    acks: int
    timeout_ms: int
    partition: int | None
    key: bytes | None


class RecordsEndpoint:
    """Takes records into a topic, and gives the records of a partition."""

    def __init__(
        self,
        partitions: PartitionTable,
        append_path: RecordAppendPath,
        fetch_path: FetchPath,
        max_body_bytes: int,
        slots: ProduceSlots,
    ) -> None:
        self._partitions = partitions
        self._append_path = append_path
        self._fetch_path = fetch_path
        self._slots = slots
        self._max_body_bytes = max_body_bytes
        self._max_decoded_bytes = min(max_body_bytes, _MAX_DECODED_BYTES)
        self._express_bytes = min(max_body_bytes, _EXPRESS_BYTES)

    async def post(self, exchange: Exchange, topic: str, partition: int | None) -> None:
        """Append the records of the body; answer where each went, or why it did not."""
        wanted = _read_parameters(exchange.header(b"content-type"), exchange.raw_query)
        if wanted.partition is not None:
            if partition is not None:
                raise InvalidRequestError("The path names the partition already")
            partition = wanted.partition
        is_one_record = wanted.media is Media.BYTES
        body = await exchange.read_body(
            self._max_body_bytes if is_one_record else self._max_decoded_bytes
        )
        with self._slots:
            incoming = decode_records(wanted.media, body, key=wanted.key)
            if partition is not None:
                incoming = [_placed(one, partition) for one in incoming]
            places = await self._append_path.append(
                topic, incoming, acks=wanted.acks, timeout_ms=wanted.timeout_ms
            )
        if all(place.error is not None for place in places):
            await exchange.refuse(problem_response(_error_of(places)))
        elif wanted.acks == ACKS_NONE:
            await exchange.respond(202, _JSON, b"{}", _led_at(places))
        else:
            rows = b",".join([_place_row(place) for place in places])
            await exchange.respond(200, _JSON, b'{"offsets":[%b]}' % rows, _led_at(places))

    def post_whole(self, request: WholeRequest, topic: str, partition: int | None) -> bool:
        """As `post`, without a task, for one record that waits for nothing but its batch.

        False leaves the request to `post`, also where it must be refused; nothing was done then.

        Raises:
            LogError: as `post`; nothing was done.
        """
        if request.body_size > self._express_bytes:
            return False
        wanted = _read_parameters(request.header(b"content-type"), request.scope["query_string"])
        if wanted.acks == ACKS_NONE or wanted.partition is not None:
            return False
        incoming = decode_one(wanted.media, request.body(), key=wanted.key)
        if incoming is None:
            return False
        if partition is not None:
            incoming = _placed(incoming, partition)
        begin = partial(
            self._append_path.begin,
            topic,
            incoming,
            acks=wanted.acks,
            timeout_ms=wanted.timeout_ms,
        )
        return self._slots.begin(begin, _Answer(request))

    async def get(self, exchange: Exchange, topic: str, partition: int) -> None:
        """Answer a page of records, waiting for the first one up to `timeout_ms`."""
        media = negotiate(exchange.header(b"accept"), OFFERED)
        query = exchange.query(_GET_PARAMETERS)
        text = bool_parameter(query, "text")
        max_bytes = int_parameter(query, "max_bytes", _PAGE_BYTES, least=1)
        timeout_ms = timeout_parameter(query, 0)
        with contextlib.suppress(LogError):  # where it lives elsewhere the fetch finds it
            await self._partitions.get_opened(topic, partition)
        offset = await self._offset(query, topic, partition)
        max_bytes = min(max_bytes, _MAX_PAGE_BYTES)
        request = FetchRequest(
            [FetchPartition(topic, partition, offset, max_bytes)],
            max_wait_ms=timeout_ms,
            max_bytes=max_bytes,
        )
        reads = self._fetch_path.try_fetch(request, _PIECE_BYTES)
        if reads is None:
            reads = await exchange.while_connected(self._fetch_path.fetch(request, _PIECE_BYTES))
        page = await self._page(reads[0], offset, max_bytes)
        await exchange.respond(
            200,
            media.encode(),
            encode_page(media, page, text=text),
            (
                (b"x-next-offset", b"%d" % page.next_offset),
                NOT_STORED,
                *_led_by(reads[0].leader),
            ),
        )

    async def _offset(self, query: Mapping[str, str], topic: str, partition: int) -> int:
        text = query.get("offset", "earliest")
        if text not in {"earliest", "latest"}:
            try:
                return int_parameter(query, "offset", 0)
            except InvalidRequestError as error:
                raise InvalidRequestError(f"{error.detail}; or earliest, or latest") from None
        start, high_watermark = await self._fetch_path.bounds(topic, partition)
        return start if text == "earliest" else high_watermark

    async def _page(self, read: PartitionRead, offset: int, max_bytes: int) -> RecordsPage:
        """Records until they come to `max_bytes`, however small they were while compressed."""
        if read.error is not None:
            raise read.error
        records: list[Record] = []
        left = max_bytes
        next_offset = offset
        for piece in read.pieces:
            batches = await self._fetch_path.read_piece(piece)
            try:
                # Not by the topic's setting, which may have been lowered since.
                for record in decode_batches(batches, max_bytes=_MAX_STORED_BYTES):
                    # A batch may begin before the offset that was asked for.
                    if record.offset >= offset:
                        left -= _page_bytes(record)
                        if left < 0 and records:
                            break
                        records.append(record)
                    next_offset = record.offset + 1
            except CorruptMessageError as error:
                if not records:
                    if read.leader is None:
                        partition = self._partitions.get(read.topic, read.partition)
                        partition.inspect(max(next_offset, offset), error)
                    raise
                break  # what precedes the damage is good; the next read is told
            if left < 0:
                break
            next_offset = piece.next_offset
            await asyncio.sleep(0)
        return RecordsPage(
            read.topic,
            read.partition,
            records,
            next_offset,
            read.high_watermark,
            read.log_start_offset,
        )


class _Answer:
    """Answers a request of one record once it is known what became of it."""

    __slots__ = ("_request",)

    def __init__(self, request: WholeRequest) -> None:
        self._request = request

    def __call__(self, outcome: RecordPlace | Exception) -> None:
        if isinstance(outcome, Exception):
            problem = unexpected(outcome, self._request.request_id)
            self._request.refuse(problem_response(problem))
        elif outcome.error is not None:
            self._request.refuse(problem_response(_error_of([outcome])))
        else:
            self._request.respond(
                200,
                _JSON,
                b'{"offsets":[{"partition":%d,"offset":%d}]}' % (outcome.partition, outcome.offset),
            )


def _led_by(leader: Broker | None) -> list[RawHeader]:
    """The header that names the broker to ask directly, where this one asked another."""
    return [] if leader is None else [(_LEADER_HEADER, leader.url.encode())]


def _led_at(places: Sequence[RecordPlace]) -> list[RawHeader]:
    """As `_led_by`, for records that all went to one other broker."""
    urls = {place.leader_url for place in places}
    url = urls.pop()
    return [(_LEADER_HEADER, url.encode())] if url and not urls else []


def _error_of(places: list[RecordPlace]) -> LogError:
    """What to answer where nothing was taken: the first error, with the errors of all."""
    first = places[0].error
    assert first is not None
    return type(first)(
        first.detail, **first.extra, offsets=[_place_document(place) for place in places]
    )


def _page_bytes(record: Record) -> int:
    """About what a record adds to a page."""
    size = _RECORD_BYTES + len(record.value or b"") + len(record.key or b"")
    for name, data in record.headers:
        size += _HEADER_BYTES + len(name) + len(data or b"")
    return size


def _read_parameters(content_type: str, raw_query: bytes) -> ProduceParameters:
    if len(content_type) + len(raw_query) <= _CACHED_CHARACTERS:
        return _cached_parameters(content_type, raw_query)
    return _parameters(content_type, raw_query)


def _parameters(content_type: str, raw_query: bytes) -> ProduceParameters:
    media = media_of_body(content_type, TAKEN)
    query = parse_query(raw_query, _POST_PARAMETERS)
    key = query["key"].encode() if "key" in query else None
    if key is not None and media not in {Media.TEXT, Media.BYTES}:
        raise InvalidRequestError(f"In {media} each record has its own key; drop ?key=")
    partition = None
    if "partition" in query:
        partition = int_parameter(query, "partition", 0, most=2**31 - 1)
    return ProduceParameters(
        media, _acks(query), timeout_parameter(query, _TIMEOUT_MS), partition, key
    )


# Clients send the same few again and again: looked up, they cost a tenth.
_cached_parameters = lru_cache(_CACHED_REQUESTS)(_parameters)


def _acks(query: Mapping[str, str]) -> int:
    text = query.get("acks", "all").lower()
    if text not in _ACKS:
        raise InvalidRequiredAcksError(f"acks must be 0, 1 or all, not {text[:40]!r}")
    return _ACKS[text]


def _placed(incoming: IncomingRecord, partition: int) -> IncomingRecord:
    if incoming.partition not in {None, partition}:
        raise InvalidRequestError(
            f"A record names partition {incoming.partition}, the request names {partition}"
        )
    return incoming._replace(partition=partition)


def _place_row(place: RecordPlace) -> bytes:
    if place.error is None:
        return b'{"partition":%d,"offset":%d}' % (place.partition, place.offset)
    return msgspec.json.encode(_place_document(place))


def _place_document(place: RecordPlace) -> dict[str, object]:
    error = place.error
    if error is None:
        return {"partition": place.partition, "offset": place.offset}
    document: dict[str, object] = {
        "partition": place.partition,
        "error": error.name,
        "error_code": error.code,
        "message": error.detail,
        "retriable": error.retriable,
    }
    if place.offset >= 0:
        document["offset"] = place.offset
    return document
