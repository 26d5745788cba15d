"""Bodies of any media type become records, or a clear refusal."""

import tracemalloc

import msgspec
import pytest

from kafkalite.model.errors import InvalidRequestError, RequestTooLargeError
from kafkalite.model.record import Record
from kafkalite.wire.media import Media
from kafkalite.wire.record_bodies import (
    MAX_OBJECTS,
    MAX_RECORDS,
    IncomingRecord,
    decode_one,
    decode_records,
)
from kafkalite.wire.records import MAX_HEADERS


def _only(media: Media, body: bytes, key: bytes | None = None) -> IncomingRecord:
    (record,) = decode_records(media, body, key=key)
    return record


def test_json_values_are_kept_as_the_bytes_that_came() -> None:
    body = b'{"records":[{"key":"UA","value":{"a": 1e2,  "b":[true]},"partition":3,"timestamp":7}]}'
    assert _only(Media.JSON, body) == IncomingRecord(
        Record(b'{"a": 1e2,  "b":[true]}', b'"UA"', 7), 3
    )


@pytest.mark.parametrize("value", [b"0", b"false", b'""', b"{}", b"[]", b"12345678901234567890123"])
def test_json_values_that_look_empty_or_too_large_are_kept(value: bytes) -> None:
    assert _only(Media.JSON, b'{"records":[{"value":%b}]}' % value).record.value == value


@pytest.mark.parametrize("body", [b'{"records":[{}]}', b'{"records":[{"value":null,"key":null}]}'])
def test_json_null_is_no_value_and_no_key(body: bytes) -> None:
    assert _only(Media.JSON, body) == IncomingRecord(Record(None))


def test_text_and_base64_are_decoded_where_the_record_says_so() -> None:
    body = b"""{"records":[{"key":"UA","key_encoding":"text","value":"AP8=",
                            "value_encoding":"base64"}]}"""
    assert _only(Media.JSON, body).record == Record(b"\x00\xff", b"UA")


def test_headers_come_as_an_object_or_as_a_list() -> None:
    as_object = _only(Media.JSON, b'{"records":[{"value":1,"headers":{"a":"x","b":null}}]}')
    as_list = _only(
        Media.JSON,
        b"""{"records":[{"value":1,"headers":[{"key":"a","value":"x"},{"key":"a","value":"eA==",
            "value_encoding":"base64"},{"key":"b"}]}]}""",
    )
    assert as_object.record.headers == (("a", b"x"), ("b", None))
    assert as_list.record.headers == (("a", b"x"), ("a", b"x"), ("b", None))


def test_ndjson_is_a_record_a_line() -> None:
    records = decode_records(Media.NDJSON, b'{"value":1}\n{"value":2,"key":"k"}\n\n')
    assert [one.record for one in records] == [Record(b"1"), Record(b"2", b'"k"')]


def test_text_is_a_record_a_line_whatever_ends_it() -> None:
    records = decode_records(Media.TEXT, b"one\r\n\ntwo \xff", key=b"k")
    assert [one.record for one in records] == [
        Record(b"one", b"k"),
        Record(b"", b"k"),
        Record(b"two \xff", b"k"),
    ]


def test_any_other_body_is_one_record() -> None:
    assert _only(Media.BYTES, b"\x00\n\xff", b"k").record == Record(b"\x00\n\xff", b"k")


def test_msgpack_takes_bin_str_and_nil() -> None:
    body = msgspec.msgpack.encode(
        {"records": [{"value": b"\xff", "key": "k", "headers": [["h", b"x"], ["i", None]]}]}
    )
    assert _only(Media.MSGPACK, body).record == Record(
        b"\xff", b"k", -1, (("h", b"x"), ("i", None))
    )


@pytest.mark.parametrize(
    ("media", "body"),
    [
        (Media.JSON, b""),
        (Media.JSON, b"[]"),
        (Media.JSON, b"{}"),
        (Media.JSON, b'{"records":[]}'),
        (Media.JSON, b'{"records":[{"vaule":1}]}'),
        (Media.JSON, b'{"records":[{"value":tru}]}'),
        (Media.JSON, b'{"records":[{"value":1}]'),
        (Media.JSON, b'{"records":[{"value":"\xff"}]}'),
        (Media.JSON, b'{"records":[{"value":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}"),
        (Media.JSON, b'{"records":[{"value":"!!","value_encoding":"base64"}]}'),
        (Media.JSON, b'{"records":[{"value":{},"value_encoding":"text"}]}'),
        (Media.JSON, b'{"records":[{"value":1,"value_encoding":"rot13"}]}'),
        (Media.JSON, b'{"records":[{"value":1,"timestamp":-1}]}'),
        (Media.JSON, b'{"records":[{"value":1,"timestamp":9223372036854775808}]}'),
        (Media.JSON, b'{"records":[{"value":1,"partition":"0"}]}'),
        (Media.JSON, b'{"records":[{"value":1,"headers":{"a":1}}]}'),
        (Media.NDJSON, b""),
        (Media.NDJSON, b'{"value":1}\nrubbish\n'),
        (Media.TEXT, b""),
        (Media.MSGPACK, b"\xc1"),
        (Media.MSGPACK, msgspec.msgpack.encode({"records": [{"value": 1}]})),
        (Media.MSGPACK, msgspec.msgpack.encode({"records": [{"value": b"", "key": []}]})),
    ],
)
def test_body_is_refused_when_it_is_not_what_its_media_type_promises(
    media: Media, body: bytes
) -> None:
    with pytest.raises(InvalidRequestError):
        decode_records(media, body)


@pytest.mark.parametrize(
    ("field", "meant"),
    [("vaule", "value"), ("timestmap", "timestamp"), ("nothing_like_it", None), ("v" * 100, None)],
)
def test_field_that_was_meant_is_named_when_one_is_not_known(field: str, meant: str | None) -> None:
    body = msgspec.json.encode({"records": [{field: 1}]})
    with pytest.raises(InvalidRequestError) as raised:
        decode_records(Media.JSON, body)
    hint = raised.value.detail.partition("(did you mean ")[2]
    assert hint == (f"`{meant}`?)" if meant else "")


@pytest.mark.parametrize(
    ("media", "body", "shape"),
    [
        (Media.JSON, b'{"value":1}', '{"records":[{"value":1}'),
        (Media.JSON, b'[{"value":1}]', '{"records":[{"value":1}'),
        (Media.JSON, b'{"records":{"value":1}}', '{"records":[{"value":1}'),
        (Media.JSON, b'{"records":[{"records":[]}]}', '{"records":[{"value":1}'),
        (Media.MSGPACK, msgspec.msgpack.encode({"value": b"1"}), '{"records":[{"value":bin}'),
        (Media.NDJSON, b'{"records":[{"value":1}]}', 'one a line, each as {"value":1}'),
    ],
)
def test_what_a_body_looks_like_is_said_when_records_are_not_where_they_belong(
    media: Media, body: bytes, shape: str
) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        decode_records(media, body)
    assert shape in raised.value.detail
    assert "did you mean" not in raised.value.detail


@pytest.mark.parametrize(
    "body", [b'{"records":[{"value":1,"timestamp":"x"}]}', b'{"records":[{"value":1}']
)
def test_what_a_body_looks_like_is_not_said_when_it_is_a_record_that_is_wrong(body: bytes) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        decode_records(Media.JSON, body)
    assert "records come" not in raised.value.detail


@pytest.mark.parametrize("media", [Media.TEXT, Media.NDJSON])
def test_more_lines_than_records_allowed_are_refused_before_they_are_decoded(media: Media) -> None:
    with pytest.raises(RequestTooLargeError, match=str(MAX_RECORDS)):
        decode_records(media, b"\n" * (MAX_RECORDS + 1))


@pytest.mark.parametrize(
    "body",
    [
        b'{"records":[' + b"{}," * MAX_OBJECTS + b"{}]}",
        b'{"records":[{"headers":[' + b'{"key":""},' * MAX_OBJECTS + b'{"key":""}]}]}',
    ],
)
def test_json_of_more_objects_than_fit_in_memory_is_refused_before_it_is_decoded(
    body: bytes,
) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(RequestTooLargeError, match=str(MAX_OBJECTS)):
            decode_records(Media.JSON, body)
        assert tracemalloc.get_traced_memory()[1] < len(body)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("media", [Media.JSON, Media.MSGPACK])
def test_record_with_more_headers_than_a_batch_may_hold_is_refused(media: Media) -> None:
    headers = [["", None]] * (MAX_HEADERS + 1)
    body = {
        Media.JSON: b'{"records":[{"headers":{%b}}]}'
        % b",".join(b'"%d":""' % number for number in range(MAX_HEADERS + 1)),
        Media.MSGPACK: msgspec.msgpack.encode({"records": [{"headers": headers}]}),
    }
    with pytest.raises(InvalidRequestError, match=str(MAX_HEADERS)):
        decode_records(media, body[media])


def test_more_records_than_allowed_are_refused_while_they_are_decoded() -> None:
    body = b'{"records":[%b]}' % b",".join([b"{}"] * (MAX_RECORDS + 1))
    with pytest.raises(InvalidRequestError, match=str(MAX_RECORDS)):
        decode_records(Media.JSON, body)


@pytest.mark.parametrize(
    ("media", "body"),
    [
        (Media.JSON, b'{"records":[{"key":"k","value":{"a":1},"partition":3,"timestamp":5}]}'),
        (Media.JSON, '{"records":[{"value":"ü","headers":{"a":"b"}}]}'.encode()),
        (Media.JSON, b'{"records":[{"value":"AP8=","value_encoding":"base64"}]}'),
        (Media.BYTES, b"\x00\xff"),
    ],
)
def test_one_record_is_decoded_as_several_are(media: Media, body: bytes) -> None:
    assert [decode_one(media, body)] == decode_records(media, body)


@pytest.mark.parametrize(
    ("media", "body"),
    [
        (Media.JSON, b'{"records":[{"value":1},{"value":2}]}'),
        (Media.JSON, b'{"records":[]}'),
        (Media.JSON, b'{"records":[{"value":"\xff"}]}'),
        (Media.JSON, b'{"records":[{"value":1,"timestamp":-5}]}'),
        (Media.JSON, b'{"records":[{"value":"?","value_encoding":"base64"}]}'),
        (Media.JSON, b"["),
        (Media.TEXT, b"line"),
    ],
)
def test_one_record_is_left_to_others_when_it_is_not_one_or_wrong(
    media: Media, body: bytes
) -> None:
    assert decode_one(media, body) is None
