"""Records as REST Proxy's consumers get them: a JSON array, keys and values in an embedded format.

    record  = {"topic", "key", "value", "partition", "offset", "timestamp"[, "headers"]
               [, "key_encoding"][, "value_encoding"]}
    headers = [{"key", "value": base64 | null}, ...]                 ; only where there are any

Keys and values are base64 (binary), the JSON that they hold, byte for byte (json), or text, with
what is not UTF-8 replaced. What does not fit the format is a poison record: it is refused, passed
over, or sent in base64, saying so in `key_encoding` or `value_encoding`, as the reader likes.

Base64 is made, like all around it, by msgspec, many records at a time; the others by joining bytes.
This is what a consumer's speed hangs on.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from itertools import islice
from typing import Final, NamedTuple

import msgspec
import pybase64

from kafkalite.model.ids import TopicPartition
from kafkalite.model.record import Header, Record


class EmbeddedFormat(StrEnum):
    """How keys and values stand in JSON."""

    BINARY = "binary"
    JSON = "json"
    TEXT = "text"
    AVRO = "avro"
    JSONSCHEMA = "jsonschema"
    PROTOBUF = "protobuf"


class OnError(StrEnum):
    """What becomes of a record that does not fit the format."""

    FAIL = "fail"
    SKIP = "skip"
    BINARY = "binary"


class PoisonRecordError(Exception):
    """A record does not fit the format; the message says which, and why."""

    def __init__(
        self, wanted: EmbeddedFormat, part: str, place: TopicPartition, offset: int, reason: str
    ) -> None:
        """Describe the `part` (key or value) of the record at `offset` that cannot be sent."""
        super().__init__(
            f"{part} deserialization error for format {wanted.value}: {reason} "
            f"(partition {place}, offset {offset})"
        )
        self.place = place
        self.offset = offset


class RestRows(NamedTuple):
    """Some of a partition's records, ready to be sent."""

    rows: list[bytes]
    """JSON objects, in each of them one or, with commas between them, several."""
    row_count: int
    """Objects in them."""
    taken: int
    """Records that these stand for, those passed over among them."""
    size: int
    """Bytes of their keys, values and headers."""
    poison: PoisonRecordError | None = None
    """Why it did not go on; None: the records, or the bytes, were used up."""


class _UnfitError(ValueError):
    """A key or value that is not what the format promises."""


class _BinaryHeader(msgspec.Struct, gc=False):
    key: str
    value: bytes | None


class _BinaryRow(msgspec.Struct, gc=False, omit_defaults=True):
    """A row in the format binary: msgspec writes bytes in base64."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int
    offset: int
    timestamp: int
    headers: Sequence[_BinaryHeader] = ()


_Encode = Callable[[bytes], bytes]

_ENCODED_AT_ONCE: Final = 500
"""Rows in base64: while they are made they take several times the memory of what they hold."""

_b64encode: Final = pybase64.b64encode
_json_syntax: Final = msgspec.json.Decoder(msgspec.Raw)
_json_encode: Final = msgspec.json.Encoder().encode


def _binary(data: bytes) -> bytes:
    return b'"%b"' % _b64encode(data)


def _json(data: bytes) -> bytes:
    try:
        if not data.isascii():
            data.decode()
        _json_syntax.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _UnfitError(str(error)) from error
    return data


def _text(data: bytes) -> bytes:
    return _json_encode(data.decode("utf-8", "replace"))


def _schema_value(data: bytes) -> bytes:
    if data:
        raise _UnfitError("schemas are not supported")
    return b"null"


_CODECS: Final[dict[EmbeddedFormat, tuple[_Encode, _Encode]]] = {
    EmbeddedFormat.JSON: (_json, _json),
    EmbeddedFormat.TEXT: (_text, _text),
    EmbeddedFormat.AVRO: (_binary, _schema_value),
    EmbeddedFormat.JSONSCHEMA: (_binary, _schema_value),
    EmbeddedFormat.PROTOBUF: (_binary, _schema_value),
}
"""Of each format: what makes a key, and a value, into JSON."""


def encode_rows(
    wanted: EmbeddedFormat,
    place: TopicPartition,
    records: Sequence[Record],
    begin: int,
    max_bytes: int,
    on_error: OnError = OnError.FAIL,
) -> RestRows:
    """As many of a partition's records from `records[begin]` on as `max_bytes` allow.

    With `max_bytes` above 0 that is at least one, however large.
    """
    if wanted is EmbeddedFormat.BINARY:
        return _binary_rows(place, records, begin, max_bytes)
    key_of, value_of = _CODECS[wanted]
    row = _row_template(place)
    rows: list[bytes] = []
    append = rows.append
    left, taken = max_bytes, 0
    for record in islice(records, begin, None):
        value, key, timestamp, headers, offset = record
        size = (len(value) if value else 0) + (len(key) if key else 0)
        if headers:
            size += _headers_size(headers)
        if size > left and (rows or left <= 0):
            break
        try:
            text = row % (
                b"null" if key is None else key_of(key),
                b"null" if value is None else value_of(value),
                offset,
                timestamp,
            )
            append((text + _headers(headers)) if headers else text + b"}")
        except _UnfitError:
            if on_error is OnError.FAIL:
                poison = _poison(wanted, place, record)
                return RestRows(rows, len(rows), taken, max_bytes - left, poison)
            if on_error is OnError.BINARY:
                append(_mixed_row(wanted, place, record))
        left -= size
        taken += 1
    return RestRows(rows, len(rows), taken, max_bytes - left)


def _binary_rows(
    place: TopicPartition, records: Sequence[Record], begin: int, max_bytes: int
) -> RestRows:
    """As `encode_rows`, in base64, which takes everything."""
    left, end = max_bytes, begin
    for value, key, _, headers, _ in islice(records, begin, None):
        size = (len(value) if value else 0) + (len(key) if key else 0)
        if headers:
            size += _headers_size(headers)
        if size > left and (end > begin or left <= 0):
            break
        left -= size
        end += 1
    topic, partition = place
    rows: list[bytes] = []
    for start in range(begin, end, _ENCODED_AT_ONCE):
        chunk = [
            _BinaryRow(topic, key, value, partition, offset, timestamp, _binary_headers(headers))
            if headers
            else _BinaryRow(topic, key, value, partition, offset, timestamp)
            for value, key, timestamp, headers, offset in records[
                start : min(start + _ENCODED_AT_ONCE, end)
            ]
        ]
        rows.append(_json_encode(chunk)[1:-1])
    return RestRows(rows, end - begin, end - begin, max_bytes - left)


def _binary_headers(headers: Sequence[Header]) -> list[_BinaryHeader]:
    return [_BinaryHeader(name, data) for name, data in headers]


def _headers_size(headers: Sequence[Header]) -> int:
    return sum([len(name) + (len(data) if data else 0) for name, data in headers])


def _row_template(place: TopicPartition) -> bytes:
    """A row without what differs from record to record, up to where headers would be."""
    topic = _json_encode(place.topic).replace(b"%", b"%%")
    return (
        b'{"topic":'
        + topic
        + b',"key":%b,"value":%b,"partition":'
        + b"%d" % place.partition
        + b',"offset":%d,"timestamp":%d'
    )


def _headers(headers: Sequence[Header]) -> bytes:
    entries = [
        b'{"key":%b,"value":%b}' % (_json_encode(name), b"null" if data is None else _binary(data))
        for name, data in headers
    ]
    return b',"headers":[%b]}' % b",".join(entries)


def _mixed_row(wanted: EmbeddedFormat, place: TopicPartition, record: Record) -> bytes:
    """A row in which what does not fit stands in base64, and says so."""
    parts, notes = [], b""
    for name, data, encode in zip(
        (b"key", b"value"), (record.key, record.value), _CODECS[wanted], strict=True
    ):
        try:
            parts.append(b"null" if data is None else encode(data))
        except _UnfitError:
            parts.append(_binary(data or b""))
            notes += b',"%b_encoding":"base64"' % name
    row = _row_template(place) % (*parts, record.offset, record.timestamp) + notes
    return row + (_headers(record.headers) if record.headers else b"}")


def _poison(wanted: EmbeddedFormat, place: TopicPartition, record: Record) -> PoisonRecordError:
    for part, data, encode in zip(
        ("key", "value"), (record.key, record.value), _CODECS[wanted], strict=True
    ):
        try:
            if data is not None:
                encode(data)
        except _UnfitError as error:
            return PoisonRecordError(wanted, part, place, record.offset, str(error))
    raise AssertionError("the record fits its format")
