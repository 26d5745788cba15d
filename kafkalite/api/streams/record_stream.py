"""`POST /v1/topics/T/records/stream`: records line by line, for as long as the client likes.

    body   = *(record LF)                                   ; NDJSON, see wire/record_bodies.py
    answer = *(report LF) end LF                            ; NDJSON, in the order of the lines
    report = {"line", "partition"[, "offset"]}              ; taken; no offset with acks=0
           | {"line"[, "partition"], "error", "error_code", "message", "retriable"}
    end    = {"event": "end", "lines", "records", "errors"[, "error", "reason"]}

What has come is appended together, and reported before more of the body is taken: so nothing piles
up here, whichever side is the slower one, and records of a partition stay in order.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from kafkalite.api.data_plane.exchange import Exchange, int_parameter, timeout_parameter
from kafkalite.api.errors import problem_response
from kafkalite.api.http.allowed_methods import method_not_allowed
from kafkalite.api.streams.body_lines import BodyLines, NumberedLine
from kafkalite.api.streams.body_parts import next_part
from kafkalite.api.streams.event_stream import EventStream
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.broker.record_append import RecordAppendPath
from kafkalite.broker.record_place import RecordPlace
from kafkalite.broker.record_streams import RecordStreams
from kafkalite.model.errors import (
    BrokerNotAvailableError,
    InvalidRequestError,
    InvalidRequiredAcksError,
    LogError,
    MessageTooLargeError,
    RequestTooLargeError,
)
from kafkalite.wire.media import Media, media_of_body
from kafkalite.wire.messages import ACKS_ALL, ACKS_LEADER, ACKS_NONE
from kafkalite.wire.record_bodies import IncomingRecord, decode_records

_ACKS: Final = {"0": ACKS_NONE, "1": ACKS_LEADER, "all": ACKS_ALL, "-1": ACKS_ALL}
_PARAMETERS: Final = frozenset({"acks", "timeout_ms", "partition", "report"})
_REPORTS: Final = ("all", "errors")
_TIMEOUT_MS: Final = 30_000
_MAX_PARTITION: Final = 2**31 - 1
_RETRY_AFTER: Final = "1"
_STOPPING: Final = BrokerNotAvailableError(
    "This broker is stopping; send what follows to another one"
)

_json: Final = msgspec.json.Encoder().encode


class StreamParameters(NamedTuple):
    """What a request says about all of its records."""

    acks: int
    timeout_ms: int
    partition: int | None
    """Of records that name none."""
    reports_all: bool
    """Or only those that were not taken."""


class RecordStreamEndpoint:
    """Takes streams of records. Holds nothing of a request."""

    def __init__(
        self,
        partitions: PartitionTable,
        append_path: RecordAppendPath,
        streams: RecordStreams,
        max_line_bytes: int,
    ) -> None:
        self._partitions = partitions
        self._append_path = append_path
        self._streams = streams
        self._max_line_bytes = max_line_bytes

    async def post(self, exchange: Exchange, method: str, topic: str) -> None:
        """Append each line of the body, and report what became of it, until the body ends."""
        if method != "POST":
            raise method_not_allowed("/v1/topics/.../records/stream", method, ("POST",))
        content_type = exchange.header(b"content-type")
        if content_type:
            media_of_body(content_type, (Media.NDJSON,))
        exchange.check_parts()
        wanted = _parameters(exchange.query(_PARAMETERS))
        await self._partitions.partition_count(topic)  # the answer can begin only where it is there
        try:
            with self._streams.place():
                await self._take(exchange, topic, wanted)
        except BrokerNotAvailableError as error:
            await exchange.refuse(problem_response(error, {"retry-after": _RETRY_AFTER}))

    async def _take(self, exchange: Exchange, topic: str, wanted: StreamParameters) -> None:
        reports = EventStream(exchange, Media.NDJSON)
        part: bytes | None = b""
        if exchange.header(b"expect"):
            part = await next_part(exchange, self._streams)  # which says that it may come
        # At once: there are clients that send nothing before they have the answer's head.
        await reports.start()
        run = _Run(self._append_path, topic, wanted)
        lines = BodyLines(self._max_line_bytes)
        broken: LogError | None = None
        while part is not None:
            for group in lines.feed(part):
                await reports.send(await run.append(group))
            try:
                part = await next_part(exchange, self._streams)
            except InvalidRequestError as error:  # it is not compressed as it says
                broken, part = error, None
        if self._streams.is_closed:
            broken = _STOPPING
        rest = lines.end() if broken is None else ()
        if rest:
            await reports.send(await run.append(rest))
        await reports.send(run.end(lines.number, broken))
        await reports.end()


class _Run:
    """One stream: appends its lines, counts them, and words what became of them."""

    def __init__(
        self,
        append_path: RecordAppendPath,
        topic: str,
        wanted: StreamParameters,
    ) -> None:
        self._append_path = append_path
        self._topic = topic
        self._wanted = wanted
        self._taken = 0
        self._errors = 0

    async def append(self, lines: Sequence[NumberedLine]) -> bytes:
        """Append what these lines hold; gives the report."""
        decoded = _decoded(lines, self._wanted.partition)
        incoming = [one for one in decoded if isinstance(one, IncomingRecord)]
        places = iter(await self._places(incoming))
        report: list[bytes] = []
        for line, one in zip(lines, decoded, strict=True):
            outcome = one if isinstance(one, LogError) else next(places)
            self._note(line.number, outcome, report)
        return b"".join(report)

    def end(self, lines: int, broken: LogError | None) -> bytes:
        """The last line of the answer; `broken` says why not all of the body was taken."""
        members: dict[str, object] = {
            "event": "end",
            "lines": lines,
            "records": self._taken,
            "errors": self._errors,
        }
        if broken is not None:
            members["error"] = broken.name
            members["reason"] = broken.detail
        return _json(members) + b"\n"

    async def _places(self, incoming: list[IncomingRecord]) -> Sequence[RecordPlace | LogError]:
        if not incoming:
            return ()
        try:
            return await self._append_path.append(
                self._topic, incoming, acks=self._wanted.acks, timeout_ms=self._wanted.timeout_ms
            )
        except LogError as error:
            return [error] * len(incoming)

    def _note(self, line: int, outcome: RecordPlace | LogError, report: list[bytes]) -> None:
        error = outcome if isinstance(outcome, LogError) else outcome.error
        if error is not None:
            self._errors += 1
            partition = None if isinstance(outcome, LogError) else outcome.partition
            report.append(_refusal(line, partition, error))
            return
        assert isinstance(outcome, RecordPlace)
        self._taken += 1
        if not self._wanted.reports_all:
            return
        if self._wanted.acks == ACKS_NONE:
            report.append(b'{"line":%d,"partition":%d}\n' % (line, outcome.partition))
        else:
            report.append(
                b'{"line":%d,"partition":%d,"offset":%d}\n'
                % (line, outcome.partition, outcome.offset)
            )


def _decoded(
    lines: Sequence[NumberedLine], partition: int | None
) -> list[IncomingRecord | LogError]:
    """The record of each line, or what is wrong with it."""
    if not any(line.is_too_long for line in lines):
        try:
            records = decode_records(Media.NDJSON, b"\n".join([line.text for line in lines]))
        except (InvalidRequestError, RequestTooLargeError):
            pass  # some line is broken; which one is found below
        else:
            if len(records) == len(lines):
                return [_placed(record, partition) for record in records]
    return [_decoded_line(line, partition) for line in lines]


def _decoded_line(line: NumberedLine, partition: int | None) -> IncomingRecord | LogError:
    if line.is_too_long:
        return MessageTooLargeError("The line is longer than any that this broker takes")
    try:
        (record,) = decode_records(Media.NDJSON, line.text)
    except LogError as error:
        return error
    return _placed(record, partition)


def _placed(record: IncomingRecord, partition: int | None) -> IncomingRecord:
    if partition is None or record.partition is not None:
        return record
    return record._replace(partition=partition)


def _refusal(line: int, partition: int | None, error: LogError) -> bytes:
    members: dict[str, object] = {"line": line}
    if partition is not None:
        members["partition"] = partition
    members |= {
        "error": error.name,
        "error_code": error.code,
        "message": error.detail,
        "retriable": error.retriable,
    }
    return _json(members) + b"\n"


def _parameters(query: Mapping[str, str]) -> StreamParameters:
    acks = query.get("acks", "all").lower()
    if acks not in _ACKS:
        raise InvalidRequiredAcksError(f"acks must be 0, 1 or all, not {acks[:40]!r}")
    report = query.get("report", "all")
    if report not in _REPORTS:
        raise InvalidRequestError(f"report must be all or errors, not {report[:40]!r}")
    partition = None
    if "partition" in query:
        partition = int_parameter(query, "partition", 0, most=_MAX_PARTITION)
    return StreamParameters(
        _ACKS[acks], timeout_parameter(query, _TIMEOUT_MS), partition, report == "all"
    )
