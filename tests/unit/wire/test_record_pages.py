"""Pages of records are never lossy, and can be sent in again."""

import json

import msgspec
import pytest

from kafkalite.model.record import Record
from kafkalite.wire.media import Media
from kafkalite.wire.record_bodies import decode_records
from kafkalite.wire.record_pages import RecordsPage, encode_page


def _page(*records: Record) -> RecordsPage:
    return RecordsPage("flights", 1, records, 9, 12, 3)


def _rows(*records: Record, text: bool = False) -> list[dict[str, object]]:
    document = json.loads(encode_page(Media.JSON, _page(*records), text=text))
    rows: list[dict[str, object]] = document["records"]
    return rows


def test_page_says_where_it_stands_when_it_is_empty() -> None:
    assert json.loads(encode_page(Media.JSON, _page(), text=False)) == {
        "topic": "flights",
        "partition": 1,
        "records": [],
        "next_offset": 9,
        "high_watermark": 12,
        "log_start_offset": 3,
    }


def test_json_goes_out_as_it_is() -> None:
    body = encode_page(Media.JSON, _page(Record(b'{"a": 1e2}', b'"UA"', 5, (), 8)), text=False)
    assert b'{"offset":8,"timestamp":5,"key":"UA","value":{"a": 1e2},"headers":[]}' in body


@pytest.mark.parametrize(
    "data", [b"UA", b"", b"null", b"\xff\x00", b"NaN", b"{", b'"\xff"', b"[" * 100_000, b"1 2"]
)
def test_bytes_go_out_in_base64_and_say_so_when_they_are_not_json(data: bytes) -> None:
    (row,) = _rows(Record(data, data))
    assert row["value_encoding"] == row["key_encoding"] == "base64"
    body = json.dumps(
        {"records": [{k: row[k] for k in row if k not in {"offset", "timestamp"}}]}
    ).encode()
    assert decode_records(Media.JSON, body)[0].record == Record(data, data)


def test_no_value_and_no_key_are_null() -> None:
    (row,) = _rows(Record(None))
    assert row["key"] is None
    assert row["value"] is None
    assert "value_encoding" not in row


def test_text_goes_out_as_a_string_when_asked_for() -> None:
    plain, binary = _rows(Record(b"UA \xc3\xa9"), Record(b"\xff"), text=True)
    assert (plain["value"], plain["value_encoding"]) == ("UA é", "text")
    assert (binary["value"], binary["value_encoding"]) == ("/w==", "base64")


def test_headers_are_text_unless_they_cannot_be() -> None:
    (row,) = _rows(Record(b"1", headers=(("a", b"x"), ("b", b"\xff"), ("c", None))))
    assert row["headers"] == [
        {"key": "a", "value": "x"},
        {"key": "b", "value": "/w==", "value_encoding": "base64"},
        {"key": "c", "value": None},
    ]


def test_ndjson_has_one_line_a_record_when_the_json_has_line_breaks() -> None:
    page = _page(Record(b'{"a":\n [1,\r\n2]}', offset=7), Record(b"2", offset=8))
    first, second, rest = encode_page(Media.NDJSON, page, text=False).split(b"\n")
    assert json.loads(first)["value"] == {"a": [1, 2]}
    assert json.loads(second)["offset"] == 8
    assert rest == b""


def test_msgpack_carries_bytes_as_they_are() -> None:
    page = _page(Record(b"\xff", None, 5, (("h", b"x"),), 8))
    document = msgspec.msgpack.decode(encode_page(Media.MSGPACK, page, text=False))
    assert document["records"] == [
        {"offset": 8, "timestamp": 5, "key": None, "value": b"\xff", "headers": [["h", b"x"]]}
    ]
    assert document["next_offset"] == 9
