"""What a tail has to tell, in each of its forms."""

import json

import msgspec
import pytest

from kafkalite.api.streams.tail_forms import OFFERED_TAILS, EventForm, tail_form
from kafkalite.broker.tails.page import TailRecords
from kafkalite.broker.tails.tail import TailNotice
from kafkalite.model.ids import TopicPartition
from kafkalite.model.record import Record
from kafkalite.wire.media import Media

_FOUND = TailRecords(
    [
        (
            TopicPartition("t", 1),
            [Record(b'{"a":\n1}', None, 5, (), 7), Record(b"\xff", b"k", 6, (), 8)],
        ),
        (TopicPartition("t", 0), [Record(None, b'"k"', 9, (("h", b"x"),), 3)]),
    ],
    "m1",
)
_ROWS = [
    {"partition": 1, "offset": 7, "timestamp": 5, "key": None, "value": {"a": 1}, "headers": []},
    {
        "partition": 1,
        "offset": 8,
        "timestamp": 6,
        "key": "aw==",
        "value": "/w==",
        "headers": [],
        "key_encoding": "base64",
        "value_encoding": "base64",
    },
    {
        "partition": 0,
        "offset": 3,
        "timestamp": 9,
        "key": "k",
        "value": None,
        "headers": [{"key": "h", "value": "x"}],
    },
]


def test_records_are_one_event_with_where_to_go_on() -> None:
    event = EventForm(text=False).records(_FOUND).decode()
    head, data = event.split("\ndata: ", 1)
    assert head == "event: records\nid: m1"
    assert data.endswith("\n\n")
    assert json.loads(data) == {"records": _ROWS}


def test_the_first_event_says_when_to_come_back() -> None:
    form = EventForm(text=False)
    start = form.notice(TailNotice("start", {"offsets": {"0": 1}}, "m0"))
    assert start == b'event: start\nid: m0\nretry: 1000\ndata: {"offsets":{"0":1}}\n\n'
    assert form.notice(TailNotice("trouble", {})) == b"event: trouble\ndata: {}\n\n"


def test_lines_have_a_record_each() -> None:
    form = tail_form(Media.NDJSON, text=False)
    assert [json.loads(line) for line in form.records(_FOUND).splitlines()] == _ROWS
    notice = form.notice(TailNotice("moved", {"partition": 1}, "m2"))
    assert json.loads(notice) == {"event": "moved", "partition": 1, "id": "m2"}
    assert json.loads(form.alive) == {"event": "alive"}


def test_text_stands_as_text_where_that_is_asked_for() -> None:
    found = TailRecords([(TopicPartition("t", 0), [Record(b"plain", None, 1, (), 0)])], "m")
    (row,) = tail_form(Media.NDJSON, text=True).records(found).splitlines()
    assert json.loads(row)["value"] == "plain"
    assert json.loads(row)["value_encoding"] == "text"


def test_msgpack_keeps_bytes() -> None:
    form = tail_form(Media.MSGPACK, text=False)
    first = TailRecords([(TopicPartition("t", 4), [Record(b"\xff", b"k", 1, (), 2)])], "m")
    assert msgspec.msgpack.decode(form.records(first)) == {
        "partition": 4,
        "offset": 2,
        "timestamp": 1,
        "key": b"k",
        "value": b"\xff",
        "headers": [],
    }
    assert msgspec.msgpack.decode(form.notice(TailNotice("end", {"error": "E"}))) == {
        "event": "end",
        "error": "E",
    }


@pytest.mark.parametrize("media", OFFERED_TAILS)
def test_each_form_names_its_media_type(media: Media) -> None:
    assert tail_form(media, text=False).media is media
