"""Records in the embedded formats of REST Proxy."""

import base64
import json
from typing import Any

import pytest

from kafkalite.model.ids import TopicPartition
from kafkalite.model.record import Record
from kafkalite.wire.rest_records import EmbeddedFormat, OnError, encode_rows

_PLACE = TopicPartition("t", 3)


def _rows(
    wanted: EmbeddedFormat, *records: Record, on_error: OnError = OnError.FAIL
) -> list[dict[str, Any]]:
    found = encode_rows(wanted, _PLACE, records, 0, 1 << 20, on_error)
    rows: list[dict[str, Any]] = json.loads(b"[%b]" % b",".join(found.rows))
    assert len(rows) == found.row_count
    return rows


def test_row_has_the_fields_that_clients_know() -> None:
    record = Record(b"v", b"k", 7, (("h", b"x"), ('"', None)), 12)
    assert _rows(EmbeddedFormat.BINARY, record) == [
        {
            "topic": "t",
            "key": "aw==",
            "value": "dg==",
            "partition": 3,
            "offset": 12,
            "timestamp": 7,
            "headers": [{"key": "h", "value": "eA=="}, {"key": '"', "value": None}],
        }
    ]
    (bare,) = _rows(EmbeddedFormat.BINARY, Record(None, None, 7, (), 12))
    assert (bare["key"], bare["value"]) == (None, None)
    assert "headers" not in bare


def test_json_is_sent_byte_for_byte() -> None:
    value = b'{"a": 12345678901234567890, "b":1.0, "c":"\xc3\xa4"}'
    rows = encode_rows(EmbeddedFormat.JSON, _PLACE, [Record(value)], 0, 1000).rows
    assert value in rows[0]


@pytest.mark.parametrize("value", [b"", b"{", b"NaN", b"\xff", b'"\xff"', b"1 2", b"[" * 100_000])
def test_json_that_is_none_is_poison(value: bytes) -> None:
    good = Record(b"1", offset=4)
    bad = Record(value, offset=5)
    found = encode_rows(EmbeddedFormat.JSON, _PLACE, [good, bad, good], 0, 1 << 20)
    assert (len(found.rows), found.taken) == (1, 1)
    assert found.poison is not None
    assert found.poison.offset == 5
    assert str(found.poison).startswith("value deserialization error for format json: ")
    found = encode_rows(EmbeddedFormat.JSON, _PLACE, [good, bad, good], 0, 1 << 20, OnError.SKIP)
    assert (len(found.rows), found.taken) == (2, 3)
    rows = _rows(EmbeddedFormat.JSON, good, bad, good, on_error=OnError.BINARY)
    assert ["value_encoding" in row for row in rows] == [False, True, False]


def test_key_that_is_no_json_is_named_as_what_is_wrong() -> None:
    found = encode_rows(EmbeddedFormat.JSON, _PLACE, [Record(b"1", b"{")], 0, 1000)
    assert str(found.poison).startswith("key deserialization error for format json: ")


def test_text_is_sent_with_what_is_no_utf_8_replaced() -> None:
    (row,) = _rows(EmbeddedFormat.TEXT, Record(b"a\xff\n", b"\xc3\xa4"))
    assert (row["key"], row["value"]) == ("ä", "a�\n")


@pytest.mark.parametrize(
    "wanted", [EmbeddedFormat.AVRO, EmbeddedFormat.JSONSCHEMA, EmbeddedFormat.PROTOBUF]
)
def test_schema_formats_send_keys_beside_empty_values_only(wanted: EmbeddedFormat) -> None:
    rows = _rows(wanted, Record(None, b"k"), Record(b"", b"k"))
    assert [(row["key"], row["value"]) for row in rows] == [("aw==", None)] * 2
    assert encode_rows(wanted, _PLACE, [Record(b"x")], 0, 100).poison is not None


def test_many_rows_in_base64_are_those_of_each_record() -> None:
    records = [Record(b"v%d" % n, None, n, (("h", b"x"),) * (n % 2), n) for n in range(1_234)]
    found = encode_rows(EmbeddedFormat.BINARY, _PLACE, records, 17, 1 << 20)
    rows = json.loads(b"[%b]" % b",".join(found.rows))
    assert [row["offset"] for row in rows] == list(range(17, 1_234))
    assert all(base64.b64decode(row["value"]) == b"v%d" % row["offset"] for row in rows)
    assert all(("headers" in row) == bool(row["offset"] % 2) for row in rows)


@pytest.mark.parametrize(
    ("begin", "max_bytes", "count"), [(0, 100, 5), (2, 100, 3), (0, 25, 2), (0, 1, 1), (0, 0, 0)]
)
def test_bytes_of_keys_and_values_are_bounded(begin: int, max_bytes: int, count: int) -> None:
    records = [Record(b"x" * 6, b"y" * 4)] * 5
    found = encode_rows(EmbeddedFormat.BINARY, _PLACE, records, begin, max_bytes)
    assert (found.row_count, found.taken, found.size) == (count, count, 10 * count)


@pytest.mark.parametrize("wanted", [EmbeddedFormat.BINARY, EmbeddedFormat.JSON])
def test_bytes_of_headers_count_too(wanted: EmbeddedFormat) -> None:
    headers = (("name", b"z" * 90), ("none", None))
    records = [Record(b"12", headers=headers)] * 5
    found = encode_rows(wanted, _PLACE, records, 0, 250)
    assert (found.row_count, found.taken, found.size) == (2, 2, 200)
