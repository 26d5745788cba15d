"""What became of each record, as REST Proxy's version 3 tells it.

report = {"error_code": 200, "cluster_id", "topic_name", "partition_id", "offset", "timestamp"
          [, "key": {"type", "size"}][, "value": {"type", "size"}]}   ; it is stored
       | {"error_code", "message"}                                    ; it is not
"""

import json
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from kafkalite.api.v3.errors import record_failure
from kafkalite.broker.record_append import RecordAppendPath
from kafkalite.broker.record_place import RecordPlace
from kafkalite.model.errors import LogError
from kafkalite.wire.iso_time import instant
from kafkalite.wire.messages import ACKS_ALL
from kafkalite.wire.v3_records import KINDS, ProducedRecord, RefusedRecordError

TIMEOUT_MS: Final = 30_000
"""How long records may take to be safe."""

_KEYS: Final = {kind: b',"key":{"type":"%b","size":%%d}' % kind.encode() for kind in KINDS}
_VALUES: Final = {kind: b',"value":{"type":"%b","size":%%d}' % kind.encode() for kind in KINDS}
_encode: Final = msgspec.json.Encoder().encode


class TopicPlace(NamedTuple):
    """Where records go."""

    cluster_id: str
    topic: str
    stamps_append_time: bool
    """Whether the broker's clock replaces the time of a record, which then nobody knows here."""


Outcome = bytes | RefusedRecordError
"""A report of what is stored, without its error code; or why it is not."""


class RecordReports:
    """Appends records of one request to one topic, and words what became of them."""

    def __init__(self, append_path: RecordAppendPath, place: TopicPlace) -> None:
        self._append_path = append_path
        self._topic = place.topic
        self._stamps_append_time = place.stamps_append_time
        self._head = b'"cluster_id":%b,"topic_name":%b,"partition_id":' % (
            _encode(place.cluster_id),
            _encode(place.topic),
        )
        self._last_time: tuple[int, bytes] = (-1, b"")
        """Records that come together mostly share it."""

    async def append(self, decoded: Sequence[ProducedRecord | RefusedRecordError]) -> list[Outcome]:
        """Append the records among `decoded`; gives what became of each, in their order."""
        records = [one for one in decoded if isinstance(one, ProducedRecord)]
        places = iter(await self._places(records))
        return [
            self.outcome(one, next(places)) if isinstance(one, ProducedRecord) else one
            for one in decoded
        ]

    async def _places(self, records: Sequence[ProducedRecord]) -> Sequence[RecordPlace | LogError]:
        if not records:
            return ()
        try:
            return await self._append_path.append(
                self._topic,
                [record.incoming for record in records],
                acks=ACKS_ALL,
                timeout_ms=TIMEOUT_MS,
            )
        except LogError as error:
            return [error] * len(records)

    def outcome(self, record: ProducedRecord, place: RecordPlace | LogError) -> Outcome:
        """What to report of a record, given what became of it."""
        error = place if isinstance(place, LogError) else place.error
        if error is not None:
            return record_failure(error, names_partition=record.incoming.partition is not None)
        assert isinstance(place, RecordPlace)
        (value, key, timestamp, _, _), _ = record.incoming
        report = b'%b%d,"offset":%d,"timestamp":%b' % (
            self._head,
            place.partition,
            place.offset,
            b"null" if self._stamps_append_time else self._time(timestamp),
        )
        if record.key_kind is not None:
            report += _KEYS[record.key_kind] % len(key or b"")
        if record.value_kind is not None:
            report += _VALUES[record.value_kind] % len(value or b"")
        return report

    def _time(self, timestamp: int) -> bytes:
        if timestamp != self._last_time[0]:
            self._last_time = (timestamp, b'"%b"' % instant(timestamp).encode())
        return self._last_time[1]


def report_of(outcome: Outcome) -> bytes:
    """A report on its own, as it stands in a stream."""
    if isinstance(outcome, bytes):
        return b'{"error_code":200,%b}\r\n' % outcome
    return b'{"error_code":%d,"message":%b}\r\n' % (outcome.code, _text(outcome.message))


def success_of(entry_id: str, stored: bytes) -> bytes:
    """A report of an entry of a batch that is stored."""
    return b'{"id":"%b",%b}' % (entry_id.encode(), stored)


def failure_of(entry_id: str, refused: RefusedRecordError) -> bytes:
    """A report of an entry of a batch that is not."""
    return b'{"id":"%b","error_code":%d,"message":%b}' % (
        entry_id.encode(),
        refused.code,
        _text(refused.message),
    )


def _text(message: str) -> bytes:
    # The standard encoder, because it never fails, whatever of a request is part of the message.
    return json.dumps(message).encode("ascii")
