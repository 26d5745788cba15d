"""Bodies of REST Proxy that bring records: what is kept of them, and how wrong ones are told."""

import json

import pytest

from kafkalite.model.errors import RequestTooLargeError
from kafkalite.model.record import Record
from kafkalite.wire.record_bodies import MAX_RECORDS, IncomingRecord
from kafkalite.wire.rest_produce import (
    RefusedBodyError,
    decode_one_produced,
    decode_produce,
    decode_values,
)
from kafkalite.wire.rest_records import EmbeddedFormat

_JSON = EmbeddedFormat.JSON
_BINARY = EmbeddedFormat.BINARY
_TEXT = EmbeddedFormat.TEXT


def _values(wanted: EmbeddedFormat, body: bytes) -> list[bytes | None]:
    return [incoming.record.value for incoming in decode_produce(wanted, body)]


def _refusal(wanted: EmbeddedFormat, body: bytes) -> tuple[int, str]:
    with pytest.raises(RefusedBodyError) as caught:
        decode_produce(wanted, body)
    assert decode_one_produced(wanted, body) is None
    return caught.value.code, caught.value.message


def test_all_fields_of_a_record_are_kept() -> None:
    body = (
        b'{"records":[{"key":"QQ==","value":"Qg==","partition":3,"timestamp":7,'
        b'"headers":[{"key":"h","value":"Qw=="},{"key":"n","value":null},{"key":"m"}]}]}'
    )
    record = Record(b"B", b"A", 7, (("h", b"C"), ("n", None), ("m", None)))
    assert decode_produce(_BINARY, body) == [IncomingRecord(record, 3)]
    assert decode_one_produced(_BINARY, body) == IncomingRecord(record, 3)


def test_header_may_have_its_name_as_a_name_as_in_version_3() -> None:
    body = (
        b'{"records":[{"headers":[{"name":"h","value":"Qw=="},{"key":"k"},'
        b'{"name":"n","key":null,"value":null},{"key":"","name":null}]}]}'
    )
    headers = (("h", b"C"), ("k", None), ("n", None), ("", None))
    for wanted in (_JSON, _BINARY, _TEXT):
        assert decode_produce(wanted, body)[0].record.headers == headers


@pytest.mark.parametrize("header", [b"{}", b'{"value":"QQ=="}', b'{"key":"a","name":"a"}'])
def test_header_must_have_one_name(header: bytes) -> None:
    code, message = _refusal(_JSON, b'{"records":[{"headers":[%b]}]}' % header)
    assert code == 422
    assert message.endswith('headers are [{"key": text, "value": base64 or null}, ...]')


def test_record_with_nothing_else_is_the_same_as_one_that_leaves_it_to_defaults() -> None:
    plain = decode_produce(_JSON, b'{"records":[{"value":1}]}')[0]
    assert plain == IncomingRecord(Record(b"1"))
    assert isinstance(plain, IncomingRecord)
    assert isinstance(plain.record, Record)


@pytest.mark.parametrize(
    "text", ["0", "false", '""', "{}", "[]", "1.0", "1e5", "12345678901234567890", r'"\u00e4\n"']
)
def test_json_is_kept_as_it_came(text: str) -> None:
    body = f'{{"records":[{{"value":{text},"key":{text}}}]}}'.encode()
    assert [one.record for one in decode_produce(_JSON, body)] == [
        Record(text.encode(), text.encode())
    ]


def test_blanks_between_tokens_are_not_kept_but_those_in_strings_are() -> None:
    value = {"a b": [1, "x\ty", {"c": "d  e"}]}
    for indent in (None, 1, "\t"):
        body = json.dumps({"records": [{"value": value}]}, indent=indent).encode()
        assert _values(_JSON, body) == [b'{"a b":[1,"x\\ty",{"c":"d  e"}]}']


@pytest.mark.parametrize("wanted", [_JSON, _BINARY, _TEXT])
def test_null_and_nothing_are_no_value_and_no_key(wanted: EmbeddedFormat) -> None:
    body = b'{"records":[{"key":null,"value":null},{}]}'
    assert decode_produce(wanted, body) == [IncomingRecord(Record(None))] * 2


def test_text_is_kept_as_utf8() -> None:
    body = '{"records":[{"value":"ä€","key":""},{"value":"\\u00e4"}]}'.encode()
    assert _values(_TEXT, body) == ["ä€".encode(), "ä".encode()]
    assert decode_produce(_TEXT, body)[0].record.key == b""


@pytest.mark.parametrize("given", [2, "2", "0002"])
def test_partition_may_be_a_string(given: object) -> None:
    body = json.dumps({"records": [{"value": 1, "partition": given}]}).encode()
    assert decode_produce(_JSON, body)[0].partition == 2


@pytest.mark.parametrize("given", [-1, "-1", "", "x", "²", 2**31, "99999999999"])
def test_partition_that_is_none_is_refused(given: object) -> None:
    body = json.dumps({"records": [{"value": 1, "partition": given}]}).encode()
    code, message = _refusal(_JSON, body)
    assert code == 422
    assert message.startswith("partition must be a number")


@pytest.mark.parametrize("given", [-1, 2**63, 10**30])
def test_timestamp_out_of_bounds_is_refused(given: int) -> None:
    body = b'{"records":[{"value":1,"timestamp":%d}]}' % given
    assert _refusal(_JSON, body)[0] == 422


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b"", 422, "The body is empty; records must not be empty"),
        (b" \n", 422, "The body is empty; records must not be empty"),
        (b"{}", 422, "records must not be empty"),
        (b'{"records":null}', 422, "records must not be empty"),
        (b'{"records":[]}', 422, "records must not be empty"),
        (b'{"records":[{"vaule":1}]}', 422, "Unrecognized field: vaule"),
        (b'{"record":[]}', 422, "Unrecognized field: record"),
        (b'{"records":[{"headers":[{"names":"a"}]}]}', 422, "Unrecognized field: names"),
    ],
)
def test_bodies_without_what_is_needed_are_unprocessable(
    body: bytes, code: int, message: str
) -> None:
    assert _refusal(_JSON, body) == (code, message)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"records":[1]}',
        b'{"records":{}}',
        b'{"records":[{"value":1}]} x',
        b'{"records":[{"value":01}]}',
        b'{"records":[{"value":"\xff"}]}',
        b'{"records": [{"value":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}",
        b'{"records":[{"value":1,"timestamp":true}]}',
    ],
)
@pytest.mark.parametrize("wanted", [_JSON, _BINARY, _TEXT, EmbeddedFormat.AVRO])
def test_malformed_bodies_are_bad_requests(wanted: EmbeddedFormat, body: bytes) -> None:
    code, message = _refusal(wanted, body)
    if wanted is _TEXT and b"value" in body and code == 422:
        assert "must be a string" in message  # what comes first is told
    else:
        assert code == 400
        assert message.startswith("Bad Request: ")


def test_what_is_not_base64_is_shown_cut_short() -> None:
    code, message = _refusal(_BINARY, b'{"records":[{"value":"QQ=="},{"value":"!!"}]}')
    assert (code, message) == (400, 'Bad Request: data="!!" is not a valid base64 string.')
    _, message = _refusal(_BINARY, b'{"records":[{"key":"%b"}]}' % (b"!" * 1000))
    assert len(message) < 150


def test_key_given_twice_is_refused_all_the_same() -> None:
    body = b'{"records":[{"value":"QQ=="},{"value":"!!"}],"records":[]}'
    assert _refusal(_BINARY, body)[0] == 400


def test_headers_that_are_wrong_are_unprocessable() -> None:
    code, message = _refusal(_JSON, b'{"records":[{"headers":[{"key":"a","value":"!"}]}]}')
    assert code == 422
    assert "headers are [" in message


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"records":[{"value":1}]}', 42202),
        (b'{"records":[{"key":1,"value":1}]}', 42201),
        (b'{"value_schema":"x","records":[{"value":1}]}', 42205),
        (b'{"records":[{"key":null}]}', 42205),
        (b'{"records":[]}', 422),
    ],
)
@pytest.mark.parametrize(
    "wanted", [EmbeddedFormat.AVRO, EmbeddedFormat.JSONSCHEMA, EmbeddedFormat.PROTOBUF]
)
def test_schema_formats_say_what_is_missing(wanted: EmbeddedFormat, body: bytes, code: int) -> None:
    assert _refusal(wanted, body)[0] == code


def test_more_records_than_a_request_may_bring_are_too_many() -> None:
    body = b'{"records":[' + b",".join([b"{}"] * (MAX_RECORDS + 1)) + b"]}"
    with pytest.raises(RequestTooLargeError):
        decode_produce(_JSON, body)


@pytest.mark.parametrize(
    ("wanted", "body", "expected"),
    [
        (_JSON, b'{"records":[{"value":1},{"value": [2, 3]}]}', [b"1", b"[2,3]"]),
        (_JSON, b'{"records":[{"value":null},{},{"value":"null"}]}', [None, None, b'"null"']),
        (_BINARY, b'{"records":[{"value":"QQ=="},{"value":null},{}]}', [b"A", None, None]),
        (_BINARY, b'{"records":[{"value":"QQ=="},{"value":""}]}', [b"A", b""]),
    ],
)
def test_values_that_come_alone_are_taken_without_records(
    wanted: EmbeddedFormat, body: bytes, expected: list[bytes | None]
) -> None:
    assert decode_values(wanted, body) == expected
    assert _values(wanted, body) == expected


@pytest.mark.parametrize(
    "body",
    [
        b'{"records":[{"value":"QQ=="},{"value":"QQ==","key":"QQ=="}]}',
        b'{"records":[{"value":"QQ=="},{"value":"QQ==","partition":1}]}',
        b'{"records":[{"value":"QQ=="},{"value":"QQ=="}],"value_schema_id":1}',
        b'{"records":[]}',
        b"{}",
        b"",
        b'{"records":[{"value":"\xff"},{}]}',
        b'{"records":[{},{}]} x',
    ],
)
def test_what_is_more_than_values_is_left_to_records(body: bytes) -> None:
    assert decode_values(_JSON, body) is None
    assert decode_values(_BINARY, body) is None
    assert decode_values(_TEXT, body) is None


def test_one_record_is_taken_alone_only_where_there_is_one() -> None:
    assert decode_one_produced(_JSON, b'{"records":[{"value":1},{"value":2}]}') is None
    assert decode_one_produced(_JSON, b'{"records":[{"value":1}]}') == IncomingRecord(Record(b"1"))
