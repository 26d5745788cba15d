"""Bodies of REST Proxy's version 2 that bring records, their keys and values in an embedded format.

    body    = {"records": [record, ...][, "key_schema"][, "key_schema_id"][, "value_schema"]
               [, "value_schema_id"]}
    record  = {["key"][, "value"][, "partition"][, "timestamp"][, "headers"]}
    headers = [{"key": text, "value": base64 | null}, ...]     ; or "name" for "key"

Keys and values are base64 (binary), any JSON (json: kept as it came, without the blanks between its
tokens), or strings (text). A null, or nothing, is no key and no value: a tombstone. A partition may
be a string that is a number. The formats that need a registry of schemas are refused.
"""

import re
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Annotated, Any, Final, NoReturn

import msgspec
from msgspec import Meta

from kafkalite.model.errors import RequestTooLargeError
from kafkalite.model.offsets import NO_OFFSET
from kafkalite.model.record import NO_TIMESTAMP, Header, Record
from kafkalite.wire.record_bodies import MAX_RECORDS, IncomingRecord, check_objects, check_utf8
from kafkalite.wire.records import MAX_HEADERS
from kafkalite.wire.rest_records import EmbeddedFormat

_MAX_PARTITION: Final = 2**31 - 1
_MAX_TIMESTAMP: Final = 2**63 - 1
_MAX_DIGITS: Final = 10
_SHOWN_CHARACTERS: Final = 60
"""Of what a client sent, in the text that says what is wrong with it."""
_HEADERS_FORM: Final = 'headers are [{"key": text, "value": base64 or null}, ...]'
_NULL: Final = msgspec.Raw(b"null")
_UNKNOWN_FIELD: Final = re.compile(r"unknown field `(.{1,200}?)`")
_PLACE: Final = re.compile(r"- at `\$\.records\[(\d+)\]\.(.+)`$")


class RefusedBodyError(Exception):
    """A body cannot be taken; `code` is REST Proxy's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    value: bytes | None = None
    key: str | None = None
    name: str | None = None
    """What version 3, and some clients of version 2, call the key."""


_Headers = Annotated[list[_Header], Meta(max_length=MAX_HEADERS)] | None


class _RawRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    value: msgspec.Raw = _NULL
    key: msgspec.Raw = _NULL
    partition: int | str | None = None
    timestamp: int | None = None
    headers: _Headers = None


class _BinaryRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    value: bytes | None = None
    key: bytes | None = None
    partition: int | str | None = None
    timestamp: int | None = None
    headers: _Headers = None


class _TextRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    value: str | None = None
    key: str | None = None
    partition: int | str | None = None
    timestamp: int | None = None
    headers: _Headers = None


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key_schema: Any = None
    key_schema_id: Any = None
    value_schema: Any = None
    value_schema_id: Any = None


class _RawBody(_Body, frozen=True, forbid_unknown_fields=True):
    records: list[_RawRecord] | None = None


class _BinaryBody(_Body, frozen=True, forbid_unknown_fields=True):
    records: list[_BinaryRecord] | None = None


class _TextBody(_Body, frozen=True, forbid_unknown_fields=True):
    records: list[_TextRecord] | None = None


class _RawValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    value: msgspec.Raw = _NULL


class _BinaryValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    value: bytes | None = None


class _RawValues(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    records: list[_RawValue]


class _BinaryValues(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    records: list[_BinaryValue]


class _Fields(msgspec.Struct):
    records: list[dict[str, msgspec.Raw]]


_raw_body = msgspec.json.Decoder(_RawBody)
_raw_values = msgspec.json.Decoder(_RawValues)
_binary_values = msgspec.json.Decoder(_BinaryValues)
_binary_body = msgspec.json.Decoder(_BinaryBody)
_text_body = msgspec.json.Decoder(_TextBody)
_fields = msgspec.json.Decoder(_Fields)
_format = msgspec.json.format
_value_of = attrgetter("value")
_new = tuple.__new__
_MALFORMED: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

_AnyRecord = _RawRecord | _BinaryRecord | _TextRecord


def decode_produce(wanted: EmbeddedFormat, body: bytes) -> list[IncomingRecord]:
    """The records of a body, in their order.

    Raises:
        RefusedBodyError: the body, or a record, is not what the format promises.
        RequestTooLargeError: more records than one request may bring.
    """
    if not body.strip():
        raise RefusedBodyError(422, "The body is empty; records must not be empty")
    try:
        records = _DECODERS[wanted](body)
    except _MALFORMED as error:
        _refuse(wanted, body, error)
    if not records:
        raise RefusedBodyError(422, "records must not be empty")
    if len(records) > MAX_RECORDS:
        raise RequestTooLargeError(
            f"The body has more than {MAX_RECORDS} records; send fewer at a time"
        )
    return records


def decode_values(wanted: EmbeddedFormat, body: bytes) -> list[bytes | None] | None:
    """The values of a body whose records have nothing else; None leaves it to `decode_produce`.

    That is how most records come, and so they need no object each.
    """
    try:
        values = _VALUE_DECODERS[wanted](body) if wanted in _VALUE_DECODERS else []
    except (*_MALFORMED, RequestTooLargeError):
        return None
    return values if 0 < len(values) <= MAX_RECORDS else None


def decode_one_produced(wanted: EmbeddedFormat, body: bytes) -> IncomingRecord | None:
    """The record of a body that brings just one; None leaves the body to `decode_produce`."""
    try:
        records = _DECODERS[wanted](body)
    except (*_MALFORMED, RefusedBodyError, RequestTooLargeError):
        return None
    return records[0] if len(records) == 1 else None


def _from_binary(body: bytes) -> list[IncomingRecord]:
    check_objects(body)
    return [
        _incoming(record.value, record.key, record)
        for record in _binary_body.decode(body).records or ()
    ]


def _from_json(body: bytes) -> list[IncomingRecord]:
    check_utf8(body)
    check_objects(body)
    return [
        _incoming(
            _json_bytes(record.value),
            None if record.key is _NULL else _json_bytes(record.key),
            record,
        )
        for record in _raw_body.decode(_without_blanks(body)).records or ()
    ]


def _values_of_binary(body: bytes) -> list[bytes | None]:
    check_objects(body)
    return [record.value for record in _binary_values.decode(body).records]


def _values_of_json(body: bytes) -> list[bytes | None]:
    check_utf8(body)
    check_objects(body)
    records = _raw_values.decode(_without_blanks(body)).records
    values: list[bytes | None] = list(map(bytes, map(_value_of, records)))
    if b"null" in values:
        return [None if value == b"null" else value for value in values]
    return values


_VALUE_DECODERS: Final[dict[EmbeddedFormat, Callable[[bytes], list[bytes | None]]]] = {
    EmbeddedFormat.BINARY: _values_of_binary,
    EmbeddedFormat.JSON: _values_of_json,
}


def _without_blanks(body: bytes) -> bytes:
    """JSON without the blanks between its tokens."""
    if b" " in body or b"\n" in body or b"\t" in body or b"\r" in body:
        return _format(body, indent=-1)
    return body


def _from_text(body: bytes) -> list[IncomingRecord]:
    check_objects(body)
    return [
        _incoming(
            None if record.value is None else record.value.encode(),
            None if record.key is None else record.key.encode(),
            record,
        )
        for record in _text_body.decode(body).records or ()
    ]


def _from_schema(body: bytes) -> NoReturn:
    """Refuse it, saying what is missing: first the schemas, then a registry of them."""
    check_utf8(body)
    check_objects(body)
    decoded = _raw_body.decode(body)
    records = decoded.records
    if not records:
        raise RefusedBodyError(422, "records must not be empty")
    for part, code, has_schema in (
        ("key", 42201, (decoded.key_schema, decoded.key_schema_id) != (None, None)),
        ("value", 42202, (decoded.value_schema, decoded.value_schema_id) != (None, None)),
    ):
        if not has_schema and any(bytes(getattr(one, part)) != b"null" for one in records):
            raise RefusedBodyError(
                code,
                f"Request includes {part}s and uses a format that requires schemas but the "
                f"{part}_schema or {part}_schema_id fields are empty",
            )
    raise RefusedBodyError(
        42205, "schemas are not supported; produce as binary, json or text instead"
    )


_DECODERS: Final[dict[EmbeddedFormat, Callable[[bytes], list[IncomingRecord]]]] = {
    EmbeddedFormat.BINARY: _from_binary,
    EmbeddedFormat.JSON: _from_json,
    EmbeddedFormat.TEXT: _from_text,
    EmbeddedFormat.AVRO: _from_schema,
    EmbeddedFormat.JSONSCHEMA: _from_schema,
    EmbeddedFormat.PROTOBUF: _from_schema,
}


def _incoming(value: bytes | None, key: bytes | None, record: _AnyRecord) -> IncomingRecord:
    partition, timestamp, headers = record.partition, record.timestamp, record.headers
    # A third faster than calling the classes, for the same tuples.
    if partition is None and timestamp is None and headers is None:
        return _new(IncomingRecord, (_new(Record, (value, key, NO_TIMESTAMP, (), NO_OFFSET)), None))
    return IncomingRecord(
        Record(value, key, _timestamp(timestamp), _headers(headers or ())),
        None if partition is None else _partition(partition),
    )


def _timestamp(given: int | None) -> int:
    if given is None:
        return NO_TIMESTAMP
    if not 0 <= given <= _MAX_TIMESTAMP:
        raise RefusedBodyError(422, "timestamp must be milliseconds since the Unix epoch")
    return given


def _json_bytes(raw: msgspec.Raw) -> bytes | None:
    data = bytes(raw)
    return None if data == b"null" else data


def _partition(named: int | str) -> int:
    if isinstance(named, str):
        if not (named.isascii() and named.isdigit() and len(named) <= _MAX_DIGITS):
            raise RefusedBodyError(
                422, f"partition must be a number, 0 or more, not {named[:_SHOWN_CHARACTERS]!r}"
            )
        named = int(named)
    if not 0 <= named <= _MAX_PARTITION:
        raise RefusedBodyError(422, "partition must be a number, 0 or more")
    return named


def _headers(headers: Sequence[_Header]) -> tuple[Header, ...]:
    return tuple([(_name_of(header), header.value) for header in headers])


def _name_of(header: _Header) -> str:
    key, name = header.key, header.name
    if key is None and name is not None:
        return name
    if key is None or name is not None:
        raise RefusedBodyError(422, f"a header has one key; {_HEADERS_FORM}")
    return key


def _refuse(wanted: EmbeddedFormat, body: bytes, error: Exception) -> NoReturn:
    """Say what is wrong with a body that the decoder of its format did not take."""
    text = str(error)
    unknown = _UNKNOWN_FIELD.search(text)
    if unknown is not None:
        raise RefusedBodyError(422, f"Unrecognized field: {unknown[1]}") from error
    place = _PLACE.search(text)
    if place is not None:
        index, field = int(place[1]), place[2]
        if field.startswith("headers"):
            raise RefusedBodyError(
                422,
                f"{text}; {_HEADERS_FORM}",
            ) from error
        if field in {"key", "value"} and wanted is EmbeddedFormat.TEXT:
            raise RefusedBodyError(
                422, f"Because the embedded format is 'text', the {field} must be a string"
            ) from error
        if field in {"key", "value"}:
            try:
                text = f"data={_shown(body, index, field)} is not a valid base64 string."
            except _MALFORMED as malformed:
                text = str(malformed)
    raise RefusedBodyError(400, f"Bad Request: {text}") from error


def _shown(body: bytes, index: int, field: str) -> str:
    """A key or value as JSON, cut short; malformed, where what follows it is."""
    try:
        found = bytes(_fields.decode(body).records[index][field]).decode()
    except LookupError:  # the body has two lists of records
        return "..."
    return found if len(found) <= _SHOWN_CHARACTERS else f"{found[:_SHOWN_CHARACTERS]}..."
