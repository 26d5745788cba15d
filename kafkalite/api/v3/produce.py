"""Produce as REST Proxy's version 3 has it: objects one behind the other, or a batch of them.

What has come of a stream is appended together, and reported before more of the body is taken: so
nothing piles up here, whichever side is the slower one, and records of a partition stay in order.
Each report is a chunk of its own, as Confluent's server has it: programs that parse every chunk as
it comes rely on that, Confluent's own example in JavaScript among them.
"""

import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Final

from kafkalite.api.data_plane.exchange import Exchange
from kafkalite.api.data_plane.produce_slots import ProduceSlots
from kafkalite.api.errors import unexpected
from kafkalite.api.http.whole_request import WholeRequest
from kafkalite.api.rest.errors import BAD_REQUEST, UNAVAILABLE, RestAnswer, RestError
from kafkalite.api.streams.body_parts import next_part
from kafkalite.api.streams.event_stream import EventStream
from kafkalite.api.v3.errors import BAD_PAYLOAD, MEDIA, TOO_LARGE, refusal
from kafkalite.api.v3.json_objects import JsonObjects, Piece
from kafkalite.api.v3.reports import (
    TIMEOUT_MS,
    RecordReports,
    TopicPlace,
    failure_of,
    report_of,
    success_of,
)
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.broker.record_append import RecordAppendPath
from kafkalite.broker.record_place import RecordPlace
from kafkalite.broker.record_streams import RecordStreams
from kafkalite.model.errors import InvalidRequestError
from kafkalite.wire.messages import ACKS_ALL
from kafkalite.wire.v3_records import (
    BrokenJsonError,
    ProducedRecord,
    RecordBody,
    RefusedRecordError,
    parse_batch,
    parse_record,
    record_of,
)

_WHOLE_BYTES: Final = 64 << 10
"""A body of a known size that is no larger is answered at once, not as a stream."""
_MAX_BATCH_BYTES: Final = 16 << 20
_EXPRESS_BYTES: Final = 8 << 10
"""The largest body that is tried without a task: one that needs it after all is decoded twice."""
_EMPTY: Final = "Payload error. Request body is empty. Data is required."
_STOPPING: Final = RefusedRecordError(
    UNAVAILABLE, "This broker is stopping; send what follows to another one"
)
_TOO_LARGE: Final = RefusedRecordError(
    TOO_LARGE, "The record is larger than any that this broker takes"
)


class V3Produce:
    """Takes records into a topic, with acks=all. Lives on the loop; holds nothing of a request."""

    def __init__(
        self,
        partitions: PartitionTable,
        append_path: RecordAppendPath,
        streams: RecordStreams,
        slots: ProduceSlots,
        *,
        stamps_append_time: Callable[[str], bool],
        max_object_bytes: int,
        max_body_bytes: int,
    ) -> None:
        """Assign only.

        Args:
            partitions: of all topics; makes topics where it may.
            append_path: takes records, whoever leads their partitions.
            streams: counts bodies without an end.
            slots: of produce requests, by whatever way they come.
            stamps_append_time: whether the topic of that name has the broker's times.
            max_object_bytes: of one record as it comes.
            max_body_bytes: of a batch.
        """
        self._partitions = partitions
        self._append_path = append_path
        self._streams = streams
        self._slots = slots
        self._stamps_append_time = stamps_append_time
        self._max_object_bytes = max_object_bytes
        self._max_body_bytes = min(max_body_bytes, _MAX_BATCH_BYTES)

    async def post(self, exchange: Exchange, cluster_id: str, topic: str) -> RestAnswer | None:
        """Append the records of the body, each with a report; None: they were sent already.

        Raises:
            RestError, LogError: nothing was appended.
        """
        await self._partitions.partition_count(topic)  # the answer can begin only where it is there
        run = _Run(self._reports(cluster_id, topic), self._max_object_bytes)
        exchange.check_parts()
        if exchange.header(b"transfer-encoding"):
            with self._streams.place():
                await self._serve_stream(exchange, run, b"")
            return None
        body, is_whole = await _beginning(exchange)
        if not is_whole:
            with self._streams.place():
                await self._serve_stream(exchange, run, body)
            return None
        if not body.strip():
            raise RestError(BAD_PAYLOAD, _EMPTY)
        with self._slots:
            reports = [report async for group in run.take(body) for report in group]
        reports.append(run.end(is_stopping=False))
        return RestAnswer(200, b"".join(reports), MEDIA)

    def post_whole(self, request: WholeRequest, cluster_id: str, topic: str) -> bool:
        """As `post`, without a task, for one record that waits for nothing but its batch.

        False, or any exception, leaves the request to `post`; nothing was done then.
        """
        if request.body_size > _EXPRESS_BYTES:
            return False
        record = record_of(parse_record(request.body()), _now_ms())
        begin = partial(
            self._append_path.begin, topic, record.incoming, acks=ACKS_ALL, timeout_ms=TIMEOUT_MS
        )
        return self._slots.begin(begin, _Answer(request, self._reports(cluster_id, topic), record))

    async def post_batch(self, exchange: Exchange, cluster_id: str, topic: str) -> RestAnswer:
        """Append the entries of a batch; the answer tells of each, by its id.

        Raises:
            RefusedRecordError, LogError: nothing was appended.
        """
        await self._partitions.partition_count(topic)
        body = await exchange.read_body(self._max_body_bytes)
        with self._slots:
            entries = parse_batch(body)
            now_ms = _now_ms()
            decoded = [_decoded(record, now_ms) for _, record in entries]
            outcomes = await self._reports(cluster_id, topic).append(decoded)
        successes, failures = [], []
        for (entry_id, _), outcome in zip(entries, outcomes, strict=True):
            if isinstance(outcome, bytes):
                successes.append(success_of(entry_id, outcome))
            else:
                failures.append(failure_of(entry_id, outcome))
        document = b'{"successes":[%b],"failures":[%b]}'
        return RestAnswer(207, document % (b",".join(successes), b",".join(failures)), MEDIA)

    async def _serve_stream(self, exchange: Exchange, run: "_Run", part: bytes | None) -> None:
        answer = EventStream(exchange, MEDIA.decode("ascii"))
        if not part and exchange.header(b"expect"):
            part = await next_part(exchange, self._streams)  # which says that it may come
        # At once: there are clients that send nothing before they have the answer's head.
        await answer.start()
        while part is not None and not run.is_over:
            async for reports in run.take(part):
                await answer.send_each(reports)
            if not run.is_over:
                try:
                    part = await next_part(exchange, self._streams)
                except InvalidRequestError as error:  # it is not compressed as it says
                    run.break_off(error)
        last = run.end(is_stopping=self._streams.is_closed)
        if last:
            await answer.send(last)
        await answer.end()

    def _reports(self, cluster_id: str, topic: str) -> RecordReports:
        place = TopicPlace(cluster_id, topic, self._stamps_append_time(topic))
        return RecordReports(self._append_path, place)


class _Answer:
    """Answers a request of one record once it is known what became of it."""

    __slots__ = ("_record", "_reports", "_request")

    def __init__(
        self, request: WholeRequest, reports: RecordReports, record: ProducedRecord
    ) -> None:
        self._request = request
        self._reports = reports
        self._record = record

    def __call__(self, outcome: RecordPlace | Exception) -> None:
        if isinstance(outcome, Exception):
            answer = refusal(unexpected(outcome, self._request.request_id))
            self._request.respond(answer.status, answer.media, answer.body)
        else:
            report = report_of(self._reports.outcome(self._record, outcome))
            self._request.respond(200, MEDIA, report)


class _Run:
    """The records of one body, appended and reported as they come."""

    def __init__(self, reports: RecordReports, max_object_bytes: int) -> None:
        self._reports = reports
        self._objects = JsonObjects(max_object_bytes)
        self._is_empty = True
        self._broken: RefusedRecordError | None = None
        """Why what follows means nothing: the body stopped being JSON, or readable at all."""

    @property
    def is_over(self) -> bool:
        """Whether nothing that follows can be taken."""
        return self._broken is not None

    def break_off(self, error: InvalidRequestError) -> None:
        """No more can be made of the body."""
        self._broken = RefusedRecordError(BAD_REQUEST, f"Bad Request: {error.detail}")

    async def take(self, part: bytes) -> AsyncIterator[list[bytes]]:
        """Append the records that end in this part; gives their reports, group by group."""
        groups = self._objects.feed(part)
        while not self.is_over:
            try:
                group = next(groups, None)
            except BrokenJsonError as error:
                self._broken = error
                return
            if group is None:
                return
            self._is_empty = False
            outcomes = await self._reports.append(self._decode(group))
            yield [report_of(outcome) for outcome in outcomes]

    def end(self, *, is_stopping: bool) -> bytes:
        """The report of what ended the body, if that was not its end."""
        if is_stopping and not self.is_over:
            return report_of(_STOPPING)
        if not self.is_over:
            try:
                self._objects.end()
            except BrokenJsonError as error:
                self._broken = error
        if self._broken is not None:
            return report_of(self._broken)
        return report_of(RefusedRecordError(BAD_PAYLOAD, _EMPTY)) if self._is_empty else b""

    def _decode(self, group: list[Piece]) -> list[ProducedRecord | RefusedRecordError]:
        now_ms = _now_ms()
        decoded: list[ProducedRecord | RefusedRecordError] = []
        for piece in group:
            if piece is None:
                decoded.append(_TOO_LARGE)
                continue
            try:
                decoded.append(record_of(parse_record(piece), now_ms))
            except BrokenJsonError as error:
                self._broken = error
                break
            except RefusedRecordError as error:
                decoded.append(error)
        return decoded


def _decoded(body: RecordBody, now_ms: int) -> ProducedRecord | RefusedRecordError:
    try:
        return record_of(body, now_ms)
    except RefusedRecordError as error:
        return error


async def _beginning(exchange: Exchange) -> tuple[bytes, bool]:
    """The body, if it is small, or else the beginning of it; and whether that is all."""
    begun = bytearray()
    while len(begun) <= _WHOLE_BYTES:
        part = await exchange.read_part()
        if part is None:
            return bytes(begun), True
        begun += part
    return bytes(begun), False


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
