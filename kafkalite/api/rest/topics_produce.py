"""Produce as REST Proxy has it: records of a topic, or of one partition, in an embedded format."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from kafkalite.api.data_plane.exchange import Exchange
from kafkalite.api.data_plane.produce_slots import ProduceSlots
from kafkalite.api.errors import unexpected
from kafkalite.api.http.whole_request import WholeRequest
from kafkalite.api.remembered import remembered
from kafkalite.api.rest.errors import (
    BAD_REQUEST,
    KAFKA_ERROR,
    MEDIA,
    PARTITION_NOT_FOUND,
    RETRIABLE_KAFKA_ERROR,
    TOPIC_NOT_FOUND,
    UNPROCESSABLE,
    RestAnswer,
    RestError,
    refusal,
    switched_off,
)
from kafkalite.api.rest.json_body import true_or_false
from kafkalite.api.rest.media import check_accepts_json, embedded_format
from kafkalite.broker.metadata_view import MetadataView
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.broker.record_append import RecordAppendPath
from kafkalite.broker.record_place import RecordPlace, ValuesPlace
from kafkalite.model.errors import LogError, UnknownTopicOrPartitionError
from kafkalite.model.record import Record
from kafkalite.wire.messages import ACKS_ALL, ACKS_LEADER
from kafkalite.wire.record_bodies import IncomingRecord
from kafkalite.wire.rest_produce import decode_one_produced, decode_produce, decode_values
from kafkalite.wire.rest_records import EmbeddedFormat

_TIMEOUT_MS: Final = 30_000
_MAX_BODY_BYTES: Final = 16 << 20
_EXPRESS_BYTES: Final = 64 << 10
"""The largest body that is tried without a task: that takes half a millisecond."""
_TWICE_BYTES: Final = 8 << 10
"""As well, where a body may need the task after all and be decoded twice."""
_CACHED_QUERIES: Final = 64
_BEGIN: Final = b'{"offsets":['
_ROW_HEAD: Final = b'{"partition":%d,"offset":'
_ROW_TAIL: Final = b',"error_code":null,"error":null}'
_ROW: Final = _ROW_HEAD + b"%d" + _ROW_TAIL
_END: Final = b'],"key_schema_id":null,"value_schema_id":null}'
_ONE: Final = _BEGIN + _ROW + _END


class ProduceOptions(NamedTuple):
    """What the settings in force say of this way to produce."""

    default_format: EmbeddedFormat
    """Of a body whose Content-Type does not name one."""
    creates_topics: bool
    is_enabled: bool = True


class RestProduce:
    """Takes records into a topic. Lives on the loop; holds nothing of a request."""

    def __init__(
        self,
        partitions: PartitionTable,
        view: MetadataView,
        append_path: RecordAppendPath,
        slots: ProduceSlots,
        options: Callable[[], ProduceOptions],
        max_body_bytes: int,
    ) -> None:
        self._partitions = partitions
        self._view = view
        self._append_path = append_path
        self._slots = slots
        self._options = options
        self._max_body_bytes = min(max_body_bytes, _MAX_BODY_BYTES)
        self._express_bytes = min(self._max_body_bytes, _EXPRESS_BYTES)

    async def post(self, exchange: Exchange, topic: str, partition: int | None) -> RestAnswer:
        """Append the records of the body; the answer says where each went, or why it did not.

        Raises:
            RestError, RefusedBodyError, LogError: nothing was appended.
        """
        options = self._options()
        if not options.is_enabled:
            raise switched_off("Producer")
        wanted = embedded_format(exchange.header(b"content-type"), options.default_format)
        is_async = _is_async(exchange.raw_query)
        if topic not in self._view.topics and not options.creates_topics:
            raise RestError(TOPIC_NOT_FOUND, f"Topic {topic} not found")
        body = await exchange.read_body(self._max_body_bytes)
        with self._slots:
            values = None if is_async else decode_values(wanted, body)
            if values is not None:
                place = await self._append_path.append_values(
                    topic, values, partition, timeout_ms=_TIMEOUT_MS
                )
                if place is not None:
                    return answer_of_values(place, len(values))
            incoming = decode_produce(wanted, body)
            if partition is not None:
                await self._check_exists(topic, partition)
                incoming = [_placed(one, partition) for one in incoming]
            places = await self._append_path.append(
                topic,
                incoming,
                acks=ACKS_LEADER if is_async else ACKS_ALL,
                timeout_ms=_TIMEOUT_MS,
            )
        answer = answer_of(places)
        if is_async and all(place.error is None for place in places):
            return RestAnswer(204)
        return answer

    def post_whole(self, request: WholeRequest, topic: str, partition: int | None) -> bool:
        """As `post`, without a task, for what waits for nothing but its batch: values, one record.

        False leaves the request to `post`, also where it must be refused; nothing was done then.

        Raises:
            RestError: as `post`; nothing was done.
        """
        if request.body_size > self._express_bytes or request.scope["query_string"]:
            return False
        options = self._options()
        if not options.is_enabled:
            return False
        check_accepts_json(request.header(b"accept"))
        wanted = embedded_format(request.header(b"content-type"), options.default_format)
        body = request.body()
        values = decode_values(wanted, body)
        if values is not None and len(values) > 1:
            begin_values = partial(
                self._append_path.begin_values,
                topic,
                values,
                named=partition,
                timeout_ms=_TIMEOUT_MS,
            )
            return self._slots.begin(begin_values, _ValuesAnswer(request, len(values)))
        if values is not None:
            incoming: IncomingRecord | None = IncomingRecord(Record(values[0]))
        elif len(body) <= _TWICE_BYTES:
            incoming = decode_one_produced(wanted, body)
        else:
            incoming = None
        if incoming is None:
            return False
        if partition is not None:
            incoming = _placed(incoming, partition)
        begin = partial(
            self._append_path.begin, topic, incoming, acks=ACKS_ALL, timeout_ms=_TIMEOUT_MS
        )
        return self._slots.begin(begin, _Answer(request))

    async def _check_exists(self, topic: str, partition: int) -> None:
        try:
            count = await self._partitions.partition_count(topic)
        except UnknownTopicOrPartitionError:
            raise RestError(TOPIC_NOT_FOUND, f"Topic {topic} not found") from None
        if partition >= count:
            raise RestError(PARTITION_NOT_FOUND, f"Partition {partition} not found")


class _Answer:
    """Answers a request of one record once it is known what became of it."""

    __slots__ = ("_request",)

    def __init__(self, request: WholeRequest) -> None:
        self._request = request

    def __call__(self, outcome: RecordPlace | Exception) -> None:
        if isinstance(outcome, Exception):
            answer = refusal(unexpected(outcome, self._request.request_id))
            self._request.respond(answer.status, answer.media, answer.body)
        elif outcome.error is None:
            self._request.respond(200, MEDIA, _ONE % (outcome.partition, outcome.offset))
        else:
            answer = answer_of([outcome])
            self._request.respond(answer.status, answer.media, answer.body)


class _ValuesAnswer:
    """Answers a request of values once it is known what became of them."""

    __slots__ = ("_count", "_request")

    def __init__(self, request: WholeRequest, count: int) -> None:
        self._request = request
        self._count = count

    def __call__(self, place: ValuesPlace) -> None:
        answer = answer_of_values(place, self._count)
        self._request.respond(answer.status, answer.media, answer.body)


def answer_of_values(place: ValuesPlace, count: int) -> RestAnswer:
    """As `answer_of`, for records that share a batch."""
    partition, base_offset, error = place
    offsets = range(base_offset, base_offset + count)
    if error is not None:
        return answer_of([RecordPlace(partition, offset, error) for offset in offsets])
    head = _ROW_HEAD % partition
    # A third of what it costs to format each row.
    numbers = msgspec.json.encode(list(offsets))[1:-1]
    rows = numbers.replace(b",", _ROW_TAIL + b"," + head)
    return RestAnswer(200, b"".join((_BEGIN, head, rows, _ROW_TAIL, _END)))


def answer_of(places: Sequence[RecordPlace]) -> RestAnswer:
    """Where each record went, in their order: 200 if any was stored, else 422."""
    rows = [
        _ROW % (partition, offset) if error is None else _failed_row(error)
        for partition, offset, error, _ in places
    ]
    is_stored = any(place.error is None for place in places)
    return RestAnswer(200 if is_stored else UNPROCESSABLE, _BEGIN + b",".join(rows) + _END)


def _failed_row(error: LogError) -> bytes:
    return msgspec.json.encode(
        {
            "partition": None,
            "offset": None,
            "error_code": RETRIABLE_KAFKA_ERROR if error.retriable else KAFKA_ERROR,
            "error": error.detail,
            "message": error.detail,
        }
    )


def _placed(incoming: IncomingRecord, partition: int) -> IncomingRecord:
    """The record in the partition of the path; one that it names itself counts more."""
    return incoming if incoming.partition is not None else incoming._replace(partition=partition)


@remembered(_CACHED_QUERIES)
def _is_async(raw_query: bytes) -> bool:
    """Whether a query asks for an answer before the records are safe; the rest is passed over."""
    try:
        pairs = parse_qsl(
            raw_query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=32
        )
    except ValueError as error:
        raise RestError(BAD_REQUEST, f"The query string cannot be read: {error}") from error
    wanted = dict(pairs).get("async", "false")
    found = true_or_false(wanted)
    if found is None:
        raise RestError(BAD_REQUEST, "async must be true or false")
    return found
