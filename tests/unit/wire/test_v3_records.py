"""Records of version 3 of REST Proxy: what is kept of them, and how wrong ones are told."""

import json
from typing import Any

import pytest

from kafkalite.model.errors import RequestTooLargeError
from kafkalite.model.record import Record
from kafkalite.wire.record_bodies import MAX_OBJECTS
from kafkalite.wire.v3_records import (
    MAX_ENTRIES,
    BrokenJsonError,
    RefusedRecordError,
    parse_batch,
    parse_record,
    record_of,
)

_NOW = 1_700_000_000_000


def _value(text: bytes) -> bytes | None:
    return record_of(parse_record(b'{"value":%b}' % text), _NOW).incoming.record.value


def _refusal(text: bytes) -> tuple[int, str]:
    with pytest.raises(RefusedRecordError) as caught:
        record_of(parse_record(text), _NOW)
    assert not isinstance(caught.value, BrokenJsonError)
    return caught.value.code, caught.value.message


def _batch_refusal(body: bytes) -> tuple[int, str]:
    with pytest.raises(RefusedRecordError) as caught:
        parse_batch(body)
    return caught.value.code, caught.value.message


def _batch(*entries: dict[str, Any]) -> bytes:
    return json.dumps({"entries": entries}).encode()


def test_all_fields_of_a_record_are_kept() -> None:
    found = record_of(
        parse_record(
            b'{"partition_id":3,"timestamp":"2023-03-09T14:07:23.592Z",'
            b'"headers":[{"name":"h","value":"Qw=="},{"name":"n","value":null},{"name":"m"}],'
            b'"key":{"type":"BINARY","data":"QQ=="},"value":{"type":"STRING","data":"\xc3\xa4"}}'
        ),
        _NOW,
    )
    headers = (("h", b"C"), ("n", None), ("m", None))
    assert found.incoming.record == Record("ä".encode(), b"A", 1_678_370_843_592, headers)
    assert found.incoming.partition == 3
    assert (found.key_kind, found.value_kind) == ("BINARY", "STRING")


def test_all_fields_may_be_left_out() -> None:
    for text in (b"{}", b'{"key":null,"value":null,"headers":null,"timestamp":null}'):
        found = record_of(parse_record(text), _NOW)
        assert found.incoming.record == Record(None, None, _NOW, ())
        assert (found.incoming.partition, found.key_kind, found.value_kind) == (None, None, None)


def test_partition_may_be_a_string() -> None:
    assert record_of(parse_record(b'{"partition_id":"12"}'), _NOW).incoming.partition == 12


@pytest.mark.parametrize(
    ("data", "stored"),
    [
        (b'{ "a" : [1, 2.50e1, "b c"] }', b'{"a":[1,2.50e1,"b c"]}'),
        (b'{"a":1}', b'{"a":1}'),
        (b"12345678901234567890123", b"12345678901234567890123"),
        (b'"\\u00e4"', b'"\\u00e4"'),
        ('"ä"'.encode(), '"ä"'.encode()),
        (b"0", b"0"),
        (b"false", b"false"),
        (b'""', b'""'),
        (b"[]", b"[]"),
        (b"null", None),
    ],
)
def test_json_is_kept_as_it_came_but_for_blanks(data: bytes, stored: bytes | None) -> None:
    assert _value(b'{"type":"JSON","data":%b}' % data) == stored


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        (b'{"data":"QQ=="}', b"A"),
        (b'{"data":""}', b""),
        (b'{"type":null,"data":"QQ==","schema_id":null}', b"A"),
        (b'{"type":"binary","data":"/+8="}', b"\xff\xef"),
        (b'{"type":"BINARY"}', None),
        (b'{"type":"STRING","data":"QQ=="}', b"QQ=="),
        (b'{"type":"String","data":""}', b""),
        (b'{"type":"STRING","data":null}', None),
        (b'{"type":"NULL"}', None),
        (b'{"type":"NULL","data":null}', None),
        (b"{}", None),
    ],
)
def test_value_is_what_its_type_says(text: bytes, stored: bytes | None) -> None:
    assert _value(text) == stored


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"data":1}', "data=1 is not a base64 string."),
        (b'{"data":"!"}', 'data="!" is not a base64 string.'),
        (b'{"data":"QQ"}', 'data="QQ" is not a base64 string.'),
        (b'{"type":"BINARY","data":{"a":1}}', 'data={"a":1} is not a base64 string.'),
        (b'{"type":"STRING","data":1}', "data=1 is not a string."),
        (b'{"type":"NULL","data":1}', "data=1 is not null."),
        (b'{"type":"XML","data":1}', "type=XML is none of BINARY, JSON, STRING and NULL."),
        (b'{"data":"%b"}' % (b"!" * 99), f'data="{"!" * 59}... is not a base64 string.'),
    ],
)
@pytest.mark.parametrize("field", [b"key", b"value"])
def test_what_does_not_fit_its_type_is_shown(field: bytes, text: bytes, message: str) -> None:
    assert _refusal(b'{"%b":%b}' % (field, text)) == (400, f"Bad Request: {message}")


@pytest.mark.parametrize(
    "text",
    [
        b'{"type":"AVRO","data":1}',
        b'{"type":"jsonschema","data":1}',
        b'{"type":"PROTOBUF","schema":"{}","data":1}',
        b'{"schema_id":1,"data":1}',
        b'{"schema_version":1,"data":1}',
        b'{"subject":"t","data":1}',
        b'{"subject_name_strategy":"TOPIC_NAME","data":null}',
    ],
)
def test_schemas_are_not_supported(text: bytes) -> None:
    code, message = _refusal(b'{"value":%b}' % text)
    assert code == 42205
    assert message.startswith("schemas are not supported")


@pytest.mark.parametrize(
    "field", ["subject", "subject_name_strategy", "schema", "schema_id", "schema_version"]
)
@pytest.mark.parametrize("kind", ["BINARY", "json", "STRING"])
def test_what_needs_no_schema_must_not_name_one(kind: str, field: str) -> None:
    text = b'{"value":{"type":"%b","%b":1,"data":"QQ=="}}' % (kind.encode(), field.encode())
    told = f"Bad Request: 'type={kind.upper()}' cannot be used with '{field}'."
    assert _refusal(text) == (400, told)
    assert _value(b'{"type":"%b","%b":null,"data":"QQ=="}' % (kind.encode(), field.encode()))


@pytest.mark.parametrize(
    ("text", "code", "part"),
    [
        (b'{"x":1}', 422, "Unrecognized field: x"),
        (b'{"value":{"date":1}}', 422, "Unrecognized field: date"),
        (b'{"headers":[{"key":"a"}]}', 422, "Unrecognized field: key"),
        (b'{"partition_id":"x"}', 400, 'partition_id="x" is not a number'),
        (b'{"partition_id":""}', 400, "partition_id"),
        (b'{"partition_id":" 1"}', 400, "partition_id"),
        (b'{"partition_id":"\xc2\xb2"}', 400, "partition_id"),
        (b'{"partition_id":"99999999999"}', 400, "partition_id"),
        (b'{"partition_id":"-1"}', 40402, "Partition -1 not found"),
        (b'{"partition_id":true}', 400, "partition_id"),
        (b'{"partition_id":1.5}', 400, "partition_id"),
        (b'{"partition_id":-1}', 40402, "Partition -1 not found"),
        (b'{"partition_id":99999999999999999999}', 40402, "not found"),
        (b'{"value":1}', 400, "value"),
        (b'{"headers":[{"name":"a","value":"!"}]}', 400, "headers"),
        (b'{"headers":[{"value":"QQ=="}]}', 400, "name"),
        (b'{"headers":[%b]}' % b",".join([b'{"name":"h"}'] * 100_001), 400, "headers"),
        (b'{"timestamp":1}', 400, "timestamp"),
        (b'{"timestamp":"yesterday"}', 400, "timestamp"),
        (b'{"timestamp":"1969-12-31T23:59:59Z"}', 400, "1970"),
        (b'{"timestamp":"9999-12-31T23:59:59-01:00"}', 400, "9999"),
        (b'{"timestamp":"9999-12-31T23:59:59.9999Z"}', 400, "9999"),
        (b'{"value":{"type":"STRING","data":"\xff"}}', 400, "utf-8"),
    ],
)
def test_record_that_is_wrong_is_refused_alone(text: bytes, code: int, part: str) -> None:
    told, message = _refusal(text)
    assert told == code
    assert part in message


@pytest.mark.parametrize(
    "text",
    [
        b"{broken}",
        b'{"value":{"type":"JSON","data":[1,}}',
        b'{"partition_id":"x","value":[}',
        b'{"a":1,}',
        b"",
    ],
)
def test_what_is_no_json_is_told_from_what_is_wrong(text: bytes) -> None:
    with pytest.raises(BrokenJsonError, match="Error processing JSON: ") as caught:
        parse_record(text)
    assert caught.value.code == 400


def test_deep_nesting_is_refused_and_not_followed() -> None:
    for levels in (b'{"value":' * 50_000, b'{"value":{"data":' + b"[" * 50_000):
        with pytest.raises(RefusedRecordError):
            parse_record(levels)


def test_batch_has_its_records_by_id() -> None:
    found = parse_batch(_batch({"id": "a-1", "value": {"data": "QQ=="}}, {"id": "B_2"}))
    assert [entry_id for entry_id, _ in found] == ["a-1", "B_2"]
    records = [record_of(body, _NOW).incoming.record.value for _, body in found]
    assert records == [b"A", None]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", (42208, "Request body is empty. Data is required.")),
        (b" \n", (42208, "Request body is empty. Data is required.")),
        (b"{}", (42208, "Empty batch.")),
        (_batch(), (42208, "Empty batch.")),
        (_batch({"id": "a"}, {"id": "a"}), (42208, "Batch entry IDs are not distinct.")),
        (
            _batch(*[{"id": str(number)} for number in range(MAX_ENTRIES + 1)]),
            (42208, "Too many entries in batch."),
        ),
        (_batch({"id": "a", "x": 1}), (422, "Unrecognized field: x")),
        (b'{"entries":[],"x":1}', (422, "Unrecognized field: x")),
    ],
)
def test_batch_that_is_wrong_is_refused_whole(body: bytes, told: tuple[int, str]) -> None:
    assert _batch_refusal(body) == told


@pytest.mark.parametrize("entry_id", [None, 1, "", "a b", "ä", "x" * 81, {"a": 1}])
def test_id_of_an_entry_must_be_a_short_word(entry_id: object) -> None:
    told = _batch_refusal(_batch({"id": "fine"}, {"id": entry_id}))
    assert told == (42208, "Batch entry identifier is not a valid string.")


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"entries":1}', b'{"entries":[1]}', b"\xff"])
def test_batch_that_is_none_is_a_bad_request(body: bytes) -> None:
    code, message = _batch_refusal(body)
    assert code == 400
    assert message.startswith("Bad Request: ")


def test_batch_is_as_large_as_its_entries_may_be_and_no_larger() -> None:
    entries = [{"id": str(number)} for number in range(MAX_ENTRIES)]
    assert len(parse_batch(_batch(*entries))) == MAX_ENTRIES
    with pytest.raises(RequestTooLargeError):
        parse_batch(b'{"entries":[%b]}' % b",".join([b"{}"] * (MAX_OBJECTS + 1)))
