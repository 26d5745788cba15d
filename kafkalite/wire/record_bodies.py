"""Bodies that bring records, from any language: JSON, NDJSON, msgpack, text or plain bytes.

    record   = {"value", "key", "partition", "timestamp", "headers", "value_encoding",
                "key_encoding"}                                  ; all may be left out
    headers  = [{"key", "value", "value_encoding"}, ...] | {name: text, ...}
    encoding = "json" | "text" | "base64"

With the encoding "json", which is meant where none is named, a key or value is any JSON and is kept
as the bytes that came, null being no key and no value. "text" is a string kept as its UTF-8,
"base64" bytes in base64. Headers are text unless they say base64.

In msgpack keys and values are bin, str or nil, header values bin or nil. A text body is one record
a line, any other body is one record.
"""

import binascii
import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
import pybase64
from msgspec import Meta

from kafkalite.model.errors import InvalidRequestError, RequestTooLargeError
from kafkalite.model.record import NO_TIMESTAMP, Header, Record
from kafkalite.wire.media import Media
from kafkalite.wire.records import MAX_HEADERS

MAX_RECORDS: Final = 50_000
"""Records in one request: each takes far more memory, and time, than its few bytes show."""
MAX_OBJECTS: Final = 500_000
"""`{` in a body of JSON, wherever they stand: an array's length is not known before its end."""
TAKEN: Final = (Media.JSON, Media.NDJSON, Media.MSGPACK, Media.TEXT, Media.BYTES)
"""Media types of bodies that bring records."""

_Encoding = Literal["json", "text", "base64"]
_NULL: Final = msgspec.Raw(b"null")
_MAX_TIMESTAMP: Final = 2**63 - 1


class IncomingRecord(NamedTuple):
    """A record on its way to a topic; `partition` is None where the broker shall choose."""

    record: Record
    partition: int | None = None


class _HeaderBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    key: str
    value: str | None = None
    value_encoding: Literal["text", "base64"] = "text"


_Bounded = Meta(max_length=MAX_HEADERS)
_Headers = (
    Annotated[list[_HeaderBody], _Bounded] | Annotated[dict[str, str | None], _Bounded] | None
)


class _JsonRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    value: msgspec.Raw = _NULL
    key: msgspec.Raw = _NULL
    partition: int | None = None
    timestamp: int | None = None
    headers: _Headers = None
    value_encoding: _Encoding = "json"
    key_encoding: _Encoding = "json"


class _JsonBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    records: Annotated[list[_JsonRecord], Meta(max_length=MAX_RECORDS)]


class _MsgpackRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    value: Any = None
    key: Any = None
    partition: int | None = None
    timestamp: int | None = None
    headers: Annotated[list[tuple[str, bytes | None]], _Bounded] | None = None


class _MsgpackBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    records: Annotated[list[_MsgpackRecord], Meta(max_length=MAX_RECORDS)]


_FIELDS: Final = (*_JsonBody.__struct_fields__, *_JsonRecord.__struct_fields__)
"""The names that a body may use; msgpack's are among them."""
_SHAPES: Final = {
    Media.JSON: 'records come as {"records":[{"value":1},{"value":2}]}',
    Media.MSGPACK: 'records come as {"records":[{"value":bin},{"value":bin}]}',
    Media.NDJSON: 'records come one a line, each as {"value":1}',
}
_IN_A_RECORD: Final = re.compile(r"- at `\$(?:\.records)?\[")
_UNKNOWN_FIELD: Final = re.compile(r"unknown field `(.{1,40}?)`")

_json_body = msgspec.json.Decoder(_JsonBody)
_json_lines = msgspec.json.Decoder(_JsonRecord)
_json_string = msgspec.json.Decoder(str)
_msgpack_body = msgspec.msgpack.Decoder(_MsgpackBody)


def decode_records(media: Media, body: bytes, *, key: bytes | None = None) -> list[IncomingRecord]:
    """The records of a body; `key` is for media in which a record cannot name its own.

    Raises:
        InvalidRequestError: the body is not what `media` promises, or holds no record.
    """
    try:
        records = _DECODERS[media](body, key)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequestError(
            f"The body does not fit {media}: {error}{_hint(media, error)}"
        ) from error
    if not records:
        raise InvalidRequestError("The body holds no record")
    return records


def _hint(media: Media, error: Exception) -> str:
    """The field that was meant by one that is not known, or what is expected around records."""
    text = str(error)
    unknown = _UNKNOWN_FIELD.search(text)
    if unknown is not None and unknown[1] not in _FIELDS:
        near = get_close_matches(unknown[1], _FIELDS, n=1)
        return f" (did you mean `{near[0]}`?)" if near else ""
    is_around = isinstance(error, msgspec.ValidationError) and not _IN_A_RECORD.search(text)
    return f"; {_SHAPES[media]}" if media in _SHAPES and (unknown or is_around) else ""


def decode_one(media: Media, body: bytes, *, key: bytes | None = None) -> IncomingRecord | None:
    """The record of a body that brings just one, as `decode_records` gives it, for less.

    None leaves the body to `decode_records`: there are more, something is wrong with it, or its
    media type is one for which nothing would be saved.
    """
    if media is Media.BYTES:
        return IncomingRecord(Record(body, key))
    if media is not Media.JSON:
        return None
    try:
        check_utf8(body)
        records = _json_body.decode(body).records
        return _incoming(records[0]) if len(records) == 1 else None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, InvalidRequestError):
        return None


def _from_json(body: bytes, _key: bytes | None) -> list[IncomingRecord]:
    check_utf8(body)
    check_objects(body)
    return [_incoming(record) for record in _json_body.decode(body).records]


def _from_ndjson(body: bytes, _key: bytes | None) -> list[IncomingRecord]:
    check_utf8(body)
    _check_lines(body)
    check_objects(body)
    return [_incoming(record) for record in _json_lines.decode_lines(body)]


def _from_msgpack(body: bytes, _key: bytes | None) -> list[IncomingRecord]:
    return [
        IncomingRecord(
            Record(
                _msgpack_bytes(record.value, "value"),
                _msgpack_bytes(record.key, "key"),
                _timestamp(record.timestamp),
                tuple(record.headers or ()),
            ),
            record.partition,
        )
        for record in _msgpack_body.decode(body).records
    ]


def _from_text(body: bytes, key: bytes | None) -> list[IncomingRecord]:
    _check_lines(body)
    lines = body.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return [IncomingRecord(Record(line.removesuffix(b"\r"), key)) for line in lines]


def _from_bytes(body: bytes, key: bytes | None) -> list[IncomingRecord]:
    return [IncomingRecord(Record(body, key))]


_DECODERS: Final[dict[Media, Callable[[bytes, bytes | None], list[IncomingRecord]]]] = {
    Media.JSON: _from_json,
    Media.NDJSON: _from_ndjson,
    Media.MSGPACK: _from_msgpack,
    Media.TEXT: _from_text,
    Media.BYTES: _from_bytes,
}


def _check_lines(body: bytes) -> None:
    if body.count(b"\n") > MAX_RECORDS:
        raise RequestTooLargeError(
            f"The body has more than {MAX_RECORDS} lines; send fewer records at a time"
        )


def check_objects(body: bytes) -> None:
    """Bound what a body of JSON takes in memory.

    Raises:
        RequestTooLargeError: it may hold more than MAX_OBJECTS objects.
    """
    if len(body) > MAX_OBJECTS and body.count(b"{") > MAX_OBJECTS:
        raise RequestTooLargeError(
            f"The body has more than {MAX_OBJECTS} JSON objects; send fewer records at a time"
        )


def check_utf8(body: bytes) -> None:
    """See that a body is text; raises UnicodeDecodeError."""
    # Raw parts are taken over unseen: what is stored as JSON must be text.
    if not body.isascii():
        body.decode()


def _incoming(record: _JsonRecord) -> IncomingRecord:
    return IncomingRecord(
        Record(
            _json_bytes(record.value, record.value_encoding),
            _json_bytes(record.key, record.key_encoding),
            _timestamp(record.timestamp),
            _headers(record.headers) if record.headers else (),
        ),
        record.partition,
    )


def _json_bytes(raw: msgspec.Raw, encoding: _Encoding) -> bytes | None:
    data = bytes(raw)
    if data == b"null":
        return None
    if encoding == "json":
        return data
    text = _json_string.decode(data)
    return text.encode() if encoding == "text" else _from_base64(text)


def _msgpack_bytes(field: Any, name: str) -> bytes | None:  # noqa: ANN401 - any msgpack value may come
    if field is None or isinstance(field, bytes):
        return field
    if isinstance(field, str):
        return field.encode()
    raise InvalidRequestError(f"A record's {name} must be bin, str or nil in msgpack")


def _timestamp(timestamp: int | None) -> int:
    if timestamp is None:
        return NO_TIMESTAMP
    if not 0 <= timestamp <= _MAX_TIMESTAMP:
        raise InvalidRequestError(
            f"Timestamp {timestamp} is not a count of milliseconds since the Unix epoch"
        )
    return timestamp


def _headers(headers: list[_HeaderBody] | dict[str, str | None]) -> tuple[Header, ...]:
    if isinstance(headers, dict):
        return tuple(
            (name, None if text is None else text.encode()) for name, text in headers.items()
        )
    return tuple((header.key, _header_bytes(header)) for header in headers)


def _header_bytes(header: _HeaderBody) -> bytes | None:
    if header.value is None:
        return None
    if header.value_encoding == "base64":
        return _from_base64(header.value)
    return header.value.encode()


def _from_base64(text: str) -> bytes:
    try:
        return pybase64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequestError(f"Not base64: {text[:40]!r} ({error})") from error
