"""Records of REST Proxy's version 3: an object each, which says what its key and value are.

    record  = {["partition_id"][, "headers"][, "key": data][, "value": data][, "timestamp"]}
    headers = [{"name": text[, "value": base64 | null]}, ...]
    data    = {["type": "BINARY" | "JSON" | "STRING" | "NULL"][, "data"]}
    batch   = {"entries": [record with "id", ...]}

BINARY, which is meant where no type is named, is base64; JSON is kept as it came, without the
blanks between its tokens; STRING is kept as its UTF-8. Null, or nothing, is no key and no value.
Timestamps are ISO 8601. A partition may be a string that is a number. What names a schema needs a
registry of them, and is refused.
"""

import re
from typing import Annotated, Final, Literal, NamedTuple, NoReturn, get_args

import msgspec
from msgspec import Meta

from kafkalite.model.errors import InvalidRequestError
from kafkalite.model.offsets import NO_OFFSET
from kafkalite.model.record import Header, Record
from kafkalite.wire.iso_time import LATEST_MS, datetime_ms
from kafkalite.wire.record_bodies import IncomingRecord, check_objects, check_utf8
from kafkalite.wire.records import MAX_HEADERS

MAX_ENTRIES: Final = 1_000
"""Of one batch."""

_BAD_REQUEST: Final = 400
_PARTITION_NOT_FOUND: Final = 40402
_UNPROCESSABLE: Final = 422
_NO_SCHEMAS: Final = 42205
_BAD_BATCH: Final = 42208
_MAX_PARTITION: Final = 2**31 - 1
_PARTITION: Final = re.compile(r"-?[0-9]{1,10}")
_SHOWN_CHARACTERS: Final = 60
"""Of what a client sent, in the text that says what is wrong with it."""
_NULL: Final = msgspec.Raw(b"null")
_UNKNOWN_FIELD: Final = re.compile(r"unknown field `(.{1,200}?)`")
_ENTRY_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,80}")
_NOT_TEXT: Final = (UnicodeError, RecursionError)


Kind = Literal["BINARY", "JSON", "STRING", "NULL"]
"""What a key or value is."""
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

_KINDS: Final[dict[str | None, Kind]] = {kind: kind for kind in KINDS}
_NEED_SCHEMAS: Final = frozenset({"AVRO", "JSONSCHEMA", "PROTOBUF"})


class RefusedRecordError(Exception):
    """A record, or a batch, cannot be taken; `code` is REST Proxy's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class BrokenJsonError(RefusedRecordError):
    """It is no JSON: nobody knows where it ends, and what follows it begins."""

    def __init__(self, message: str) -> None:
        super().__init__(_BAD_REQUEST, f"Error processing JSON: {message}")


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    name: str
    value: bytes | None = None


class _Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    type: str | None = None
    data: msgspec.Raw = _NULL
    subject: msgspec.Raw = _NULL
    subject_name_strategy: msgspec.Raw = _NULL
    schema: msgspec.Raw = _NULL
    schema_id: msgspec.Raw = _NULL
    schema_version: msgspec.Raw = _NULL

    @property
    def schema_field(self) -> str | None:
        """The first of the fields that name a schema, if one of them does."""
        for field in _SCHEMA_FIELDS:
            if bytes(getattr(self, field)) != b"null":
                return field
        return None


_SCHEMA_FIELDS: Final = (
    "subject",
    "subject_name_strategy",
    "schema",
    "schema_id",
    "schema_version",
)


class RecordBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A record as it came, of which only the form was looked at."""

    key: _Data | None = None
    value: _Data | None = None
    partition_id: int | str | None = None
    timestamp: str | None = None
    headers: Annotated[list[_Header], Meta(max_length=MAX_HEADERS)] | None = None


class _Entry(RecordBody, frozen=True, forbid_unknown_fields=True, gc=False):
    id: msgspec.Raw = _NULL


class _Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    entries: list[_Entry] | None = None


class ProducedRecord(NamedTuple):
    """A record, and what was said of its key and value; None: there is none."""

    incoming: IncomingRecord
    key_kind: Kind | None
    value_kind: Kind | None


_decode_record: Final = msgspec.json.Decoder(RecordBody).decode
_decode_batch: Final = msgspec.json.Decoder(_Batch).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_decode_base64: Final = msgspec.json.Decoder(bytes).decode
_decode_any: Final = msgspec.json.Decoder(msgspec.Raw).decode
_format: Final = msgspec.json.format
_new: Final = tuple.__new__


def parse_record(text: bytes) -> RecordBody:
    """The record that is all of `text`.

    Raises:
        BrokenJsonError: that is no JSON.
        RefusedRecordError: it is no record.
    """
    try:
        check_utf8(text)
        return _decode_record(text)
    except msgspec.ValidationError as error:
        _check_is_json(text)
        _refuse(error)
    except msgspec.DecodeError as error:
        raise BrokenJsonError(str(error)) from error
    except _NOT_TEXT as error:
        raise RefusedRecordError(_BAD_REQUEST, f"Bad Request: {error}") from error


def parse_batch(body: bytes) -> list[tuple[str, RecordBody]]:
    """The records of a batch by their ids.

    Raises:
        RefusedRecordError: it, or an entry of it, does not have the form that it should have.
        RequestTooLargeError: it has more parts than any batch can have.
    """
    if not body.strip():
        raise RefusedRecordError(_BAD_BATCH, "Request body is empty. Data is required.")
    try:
        check_utf8(body)
        check_objects(body)
        entries = _decode_batch(body).entries
    except msgspec.ValidationError as error:
        _refuse(error)
    except (msgspec.DecodeError, *_NOT_TEXT) as error:
        raise RefusedRecordError(_BAD_REQUEST, f"Bad Request: {error}") from error
    if not entries:
        raise RefusedRecordError(_BAD_BATCH, "Empty batch.")
    if len(entries) > MAX_ENTRIES:
        raise RefusedRecordError(_BAD_BATCH, "Too many entries in batch.")
    ids = [_entry_id(entry.id) for entry in entries]
    if len(set(ids)) < len(ids):
        raise RefusedRecordError(_BAD_BATCH, "Batch entry IDs are not distinct.")
    return list(zip(ids, entries, strict=True))


def record_of(body: RecordBody, now_ms: int) -> ProducedRecord:
    """The record that a body stands for; of the time `now_ms` where it names none.

    Raises:
        RefusedRecordError: it stands for none.
    """
    key_kind = value_kind = key = value = None
    if body.key is not None:
        key_kind, key = _bytes_of(body.key)
    if body.value is not None:
        value_kind, value = _bytes_of(body.value)
    timestamp = now_ms if body.timestamp is None else _timestamp(body.timestamp)
    headers = _headers(body.headers) if body.headers else ()
    number = body.partition_id
    if isinstance(number, str):
        number = _number(number)
    if number is not None and not 0 <= number <= _MAX_PARTITION:
        raise RefusedRecordError(_PARTITION_NOT_FOUND, f"Partition {number} not found.")
    # A third faster than calling the classes, for the same tuples.
    record = _new(Record, (value, key, timestamp, headers, NO_OFFSET))
    return _new(ProducedRecord, (_new(IncomingRecord, (record, number)), key_kind, value_kind))


def _bytes_of(given: _Data) -> tuple[Kind, bytes | None]:
    kind = _KINDS.get(given.type)
    if kind is None or not (
        # Each the default, that is: nothing names a schema. Asked of every record; so at once.
        given.subject
        is given.subject_name_strategy
        is given.schema
        is given.schema_id
        is given.schema_version
    ):
        kind = _kind_of(given)
    data = bytes(given.data)
    if data == b"null":
        return kind, None
    if kind == "JSON":
        # Whether it has blanks, maybe within a string: the cheapest way to find that out.
        return kind, data if len(data.split(None, 1)) == 1 else _format(data, indent=-1)
    try:
        if kind == "BINARY":
            return kind, _decode_base64(data)
        if kind == "STRING":
            return kind, _decode_text(data).encode()
    except (msgspec.DecodeError, UnicodeError):
        pass
    raise RefusedRecordError(
        _BAD_REQUEST, f"Bad Request: data={_cut(data.decode())} is not {_MEANT[kind]}."
    )


def _kind_of(given: _Data) -> Kind:
    """What is meant where that is not said as it mostly is."""
    name = "BINARY" if given.type is None else given.type.upper()
    schema_field = given.schema_field
    if name in _NEED_SCHEMAS or (given.type is None and schema_field is not None):
        raise RefusedRecordError(
            _NO_SCHEMAS, "schemas are not supported; produce as BINARY, JSON or STRING instead"
        )
    kind = _KINDS.get(name)
    if kind is None:
        raise RefusedRecordError(
            _BAD_REQUEST,
            f"Bad Request: type={_cut(name)} is none of BINARY, JSON, STRING and NULL.",
        )
    if schema_field is not None:  # else it would be stored without what its reader expects
        raise RefusedRecordError(
            _BAD_REQUEST, f"Bad Request: 'type={kind}' cannot be used with '{schema_field}'."
        )
    return kind


_MEANT: Final = {"BINARY": "a base64 string", "STRING": "a string", "NULL": "null"}


def _number(partition: str) -> int:
    if _PARTITION.fullmatch(partition) is None:
        raise RefusedRecordError(
            _BAD_REQUEST, f'Bad Request: partition_id="{_cut(partition)}" is not a number.'
        )
    return int(partition)


def _timestamp(text: str) -> int:
    try:
        found = datetime_ms(text)
    except InvalidRequestError as error:
        raise RefusedRecordError(_BAD_REQUEST, f"Bad Request: timestamp: {error.detail}") from error
    if found < 0:
        raise RefusedRecordError(_BAD_REQUEST, "Bad Request: timestamp is before 1970.")
    if found > LATEST_MS:  # else there would be a record that no report can tell of
        raise RefusedRecordError(_BAD_REQUEST, "Bad Request: timestamp is after 9999.")
    return found


def _headers(headers: list[_Header]) -> tuple[Header, ...]:
    return tuple([(header.name, header.value) for header in headers])


def _entry_id(raw: msgspec.Raw) -> str:
    try:
        found = _decode_text(raw)
    except msgspec.DecodeError:
        found = ""
    if _ENTRY_ID.fullmatch(found) is None:
        raise RefusedRecordError(_BAD_BATCH, "Batch entry identifier is not a valid string.")
    return found


def _check_is_json(text: bytes) -> None:
    try:
        _decode_any(text)
    except msgspec.DecodeError as error:
        raise BrokenJsonError(str(error)) from error
    except RecursionError:
        pass


def _refuse(error: msgspec.ValidationError) -> NoReturn:
    unknown = _UNKNOWN_FIELD.search(str(error))
    if unknown is not None:
        raise RefusedRecordError(_UNPROCESSABLE, f"Unrecognized field: {unknown[1]}") from error
    raise RefusedRecordError(_BAD_REQUEST, f"Bad Request: {error}") from error


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
