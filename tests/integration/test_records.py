"""Records of any language: every media type in and out, places, keys, and what is refused."""

import base64
import json
from typing import Any

import msgpack
import pytest

from kafkalite.model.compression import Compression
from kafkalite.model.partitioning import partition_for_key
from kafkalite.model.record import Record
from tests.support.topic import BrokerClient, Topic
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

_BINARY = bytes(range(256))


@pytest.fixture
def topic(client: BrokerClient) -> Topic:
    return client.make_topic(partitions=2)


def _records(topic: Topic, partition: int = 0, **params: str) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = topic.page(partition, **params)["records"]
    return records


def test_json_comes_back_as_it_was_sent(topic: Topic) -> None:
    sent: list[dict[str, Any]] = [
        {"key": "carrier", "value": {"flight": 1545, "delay": -2.5, "late": False}},
        {"key": 7, "value": ["é", "\u0000", "\U0001f6eb", 2**70]},
        {"key": None, "value": None},
        {"key": {"a": None}, "value": ""},
    ]
    topic.send(*sent)
    got = [{"key": each["key"], "value": each["value"]} for each in _records(topic)]
    assert got == sent


def test_bytes_of_json_are_kept_as_they_came(topic: Topic) -> None:
    topic.post(b'{"records":[{"value":{"a" :1.50,  "a":1e400}}]}', partition=0)
    assert b'"value":{"a" :1.50,  "a":1e400}' in topic.get().content


def test_headers_and_timestamps_are_kept(topic: Topic) -> None:
    topic.send(
        {
            "value": 1,
            "timestamp": 1_357_016_400_000,
            "headers": [
                {"key": "text", "value": "é"},
                {"key": "text", "value": "again"},
                {
                    "key": "bytes",
                    "value": base64.b64encode(_BINARY).decode(),
                    "value_encoding": "base64",
                },
                {"key": "none", "value": None},
            ],
        },
        {"value": 2, "headers": {"trace": "abc"}},
    )
    first, second = _records(topic)
    assert first["timestamp"] == 1_357_016_400_000
    assert first["headers"] == [
        {"key": "text", "value": "é"},
        {"key": "text", "value": "again"},
        {"key": "bytes", "value": base64.b64encode(_BINARY).decode(), "value_encoding": "base64"},
        {"key": "none", "value": None},
    ]
    assert second["headers"] == [{"key": "trace", "value": "abc"}]
    assert second["timestamp"] > 1_700_000_000_000


def test_records_without_a_timestamp_get_the_brokers(topic: Topic) -> None:
    topic.send({"value": 1}, {"value": 2, "timestamp": 5}, {"value": 3})
    times = [each["timestamp"] for each in _records(topic)]
    assert times[1] == 5
    assert min(times[0], times[2]) > 1_700_000_000_000


def test_bytes_come_back_as_base64_when_they_are_no_json(topic: Topic) -> None:
    encoded = base64.b64encode(_BINARY).decode()
    topic.send({"value": encoded, "value_encoding": "base64", "key": "k y", "key_encoding": "text"})
    (record,) = _records(topic)
    assert record["value"] == encoded
    assert record["value_encoding"] == "base64"
    assert base64.b64decode(record["key"]) == b"k y"
    (as_text,) = _records(topic, text="true")
    assert (as_text["key"], as_text["key_encoding"]) == ("k y", "text")
    assert as_text["value_encoding"] == "base64"


def test_a_page_can_be_sent_in_again(topic: Topic) -> None:
    topic.send(
        {"value": {"a": [1, 2]}, "key": "x", "headers": {"h": "v"}},
        {"value": base64.b64encode(_BINARY).decode(), "value_encoding": "base64"},
        {"value": None},
    )
    page = _records(topic)
    again = [{name: field for name, field in record.items() if name != "offset"} for record in page]
    topic.send(*again, partition=1)
    assert [{**each, "offset": 0} for each in _records(topic, 1)] == [
        {**each, "offset": 0} for each in page
    ]


def test_ndjson_is_one_record_a_line(topic: Topic) -> None:
    body = b'{"value":1}\n{"value":{"two":2},"key":"k"}\n\n{"value":null}'
    taken = topic.post(body, "application/x-ndjson", partition=0)
    assert [place["offset"] for place in taken.json()["offsets"]] == [0, 1, 2]
    answer = topic.get(accept="application/x-ndjson")
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert answer.headers["x-next-offset"] == "3"
    assert [json.loads(line)["value"] for line in answer.text.splitlines()] == [1, {"two": 2}, None]


def test_ndjson_stays_one_line_a_record_when_the_json_has_line_breaks(topic: Topic) -> None:
    topic.post(b'{"records":[{"value":{\n"a":\r\n"x"}}]}', partition=0)
    lines = topic.get(accept="application/x-ndjson").content.splitlines()
    assert [json.loads(line)["value"] for line in lines] == [{"a": "x"}]


def test_msgpack_carries_bytes_as_they_are(topic: Topic) -> None:
    body = msgpack.packb(
        {
            "records": [
                {"key": b"\xff", "value": _BINARY, "headers": [["h", b"\x00"], ["n", None]]},
                {"key": "text", "value": None, "timestamp": 9},
            ]
        }
    )
    assert topic.post(body, "application/msgpack", partition=1).status_code == 200
    answer = topic.get(1, accept="application/msgpack")
    page = msgpack.unpackb(answer.content)
    assert (page["topic"], page["partition"], page["next_offset"]) == (topic.name, 1, 2)
    first, second = page["records"]
    assert (first["key"], first["value"]) == (b"\xff", _BINARY)
    assert first["headers"] == [["h", b"\x00"], ["n", None]]
    assert (second["key"], second["value"], second["timestamp"]) == (b"text", None, 9)


def test_text_is_one_record_a_line(topic: Topic) -> None:
    topic.post("eins\r\nzwei\n\ndrei ü", "text/plain; charset=utf-8", partition=0, key="k")
    records = _records(topic, text="true")
    assert [each["value"] for each in records] == ["eins", "zwei", "", "drei ü"]
    assert {each["key"] for each in records} == {"k"}


def test_any_other_body_is_one_record(topic: Topic) -> None:
    topic.post(_BINARY, "application/octet-stream", partition=0)
    topic.post(b"", "application/octet-stream", partition=0)
    values = [base64.b64decode(each["value"]) for each in _records(topic)]
    assert values == [_BINARY, b""]


def test_body_without_a_content_type_is_json(topic: Topic) -> None:
    answer = topic.client.http.post(topic.records_path(0), content=b'{"records":[{"value":1}]}')
    assert answer.status_code == 200
    assert topic.values() == [1]


def test_keys_choose_partitions_as_kafka_does(client: BrokerClient) -> None:
    topic = client.make_topic(partitions=5)
    keys = [f"key-{number}" for number in range(40)]
    places = topic.send(*({"key": key, "value": 0} for key in keys), partition=None)
    expected = [partition_for_key(json.dumps(key).encode(), 5) for key in keys]
    assert [place["partition"] for place in places] == expected
    assert len(set(expected)) == 5


def test_records_name_their_partition(topic: Topic) -> None:
    places = topic.send(
        {"value": "b", "partition": 1}, {"value": "a", "partition": 0}, partition=None
    )
    assert [place["partition"] for place in places] == [1, 0]
    answer = topic.client.http.post(
        topic.records_path(None), json={"records": [{"value": "c"}]}, params={"partition": 1}
    )
    assert answer.json()["offsets"][0]["partition"] == 1


def test_records_without_a_key_share_a_partition(topic: Topic) -> None:
    places = topic.send(*({"value": number} for number in range(100)), partition=None)
    assert len({place["partition"] for place in places}) == 1
    assert [place["offset"] for place in places] == list(range(100))


@pytest.mark.parametrize("acks", ["0", "1", "all", "-1"])
def test_records_are_stored_whatever_acks_says(topic: Topic, acks: str) -> None:
    answer = topic.post(b'{"records":[{"value":1}]}', partition=0, acks=acks)
    assert answer.status_code == (202 if acks == "0" else 200)
    # One connection: the read comes after the write, and waits until it is durable.
    assert topic.page(timeout_ms=10_000)["records"][0]["value"] == 1


def test_each_record_is_answered_when_some_are_refused(topic: Topic) -> None:
    topic.client.http.patch(
        topic.path, json={"config": {"max.message.bytes": "2000"}}
    ).raise_for_status()
    body = {
        "records": [
            {"value": "small", "partition": 0},
            {"value": "x" * 5000, "partition": 0},
            {"value": "nowhere", "partition": 9},
            {"value": "small too", "partition": 0},
        ]
    }
    answer = topic.client.http.post(topic.records_path(None), json=body)
    assert answer.status_code == 200
    first, large, nowhere, last = answer.json()["offsets"]
    assert (first["offset"], last["offset"]) == (0, 1)
    assert large["error"] == "MESSAGE_TOO_LARGE"
    assert not large["retriable"]
    assert nowhere["error"] == "UNKNOWN_TOPIC_OR_PARTITION"
    assert topic.values() == ["small", "small too"]


def test_request_is_refused_as_the_first_error_says_when_nothing_is_taken(topic: Topic) -> None:
    answer = topic.client.http.post(
        topic.records_path(None), json={"records": [{"value": 1, "partition": 9}] * 2}
    )
    assert answer.status_code == 404
    problem = answer.json()
    assert problem["error"] == "UNKNOWN_TOPIC_OR_PARTITION"
    assert [each["error"] for each in problem["offsets"]] == ["UNKNOWN_TOPIC_OR_PARTITION"] * 2


def test_many_records_in_one_request_are_dense(topic: Topic) -> None:
    places = topic.send(*({"value": f"{n:0100}"} for n in range(20_000)), partition=1)
    assert [place["offset"] for place in places] == list(range(20_000))
    assert topic.values(1) == [f"{n:0100}" for n in range(20_000)]


def test_reads_begin_where_they_are_asked_to(topic: Topic) -> None:
    topic.send(*({"value": n} for n in range(10)))
    assert [each["value"] for each in _records(topic, offset="7")] == [7, 8, 9]
    assert len(_records(topic, offset="earliest")) == 10
    page = topic.page(offset="latest")
    assert (page["records"], page["next_offset"], page["high_watermark"]) == ([], 10, 10)


@pytest.mark.parametrize("offset", [11, 2**62, 2**63 - 1])
def test_reading_beyond_the_end_is_out_of_range(topic: Topic, offset: int) -> None:
    topic.send(*({"value": n} for n in range(10)))
    answer = topic.get(offset=offset)
    assert answer.status_code == 416
    problem = answer.json()
    assert problem["error"] == "OFFSET_OUT_OF_RANGE"
    assert (problem["log_start_offset"], problem["high_watermark"]) == (0, 10)


def test_pages_are_bounded_and_lead_to_each_other(topic: Topic) -> None:
    for start in range(0, 100, 10):
        topic.send(*({"value": "x" * 1000, "key": n} for n in range(start, start + 10)))
    seen: list[int] = []
    offset = 0
    while offset < 100:
        page = topic.page(offset=offset, max_bytes=12_000)
        assert page["next_offset"] > offset
        assert len(page["records"]) <= 20
        seen += [each["key"] for each in page["records"]]
        offset = page["next_offset"]
    assert seen == list(range(100))


def test_reading_goes_on_when_max_bytes_is_smaller_than_a_batch(topic: Topic) -> None:
    topic.send(*({"value": "x" * 1000} for _ in range(10)))
    page = topic.page(max_bytes=1)
    assert (len(page["records"]), page["next_offset"]) == (1, 1)
    page = topic.page(offset=1, max_bytes=2500)
    assert [each["offset"] for each in page["records"]] == [1, 2]


@pytest.mark.parametrize(
    "record", [Record(b"0" * 1000), Record(None, headers=(("0" * 500, b"0" * 500),))]
)
def test_page_is_bounded_by_what_comes_out_when_records_are_compressed(
    topic: Topic, record: Record
) -> None:
    topic.append(*[record] * 5000, codec=Compression.ZSTD)
    page = topic.page(max_bytes=100_000)
    assert 0 < len(page["records"]) < 100
    assert page["next_offset"] == len(page["records"])


def test_records_can_be_read_when_the_bound_on_what_is_taken_was_lowered_since(
    topic: Topic,
) -> None:
    topic.append(*[Record(b"0" * 1000)] * 100, codec=Compression.ZSTD)
    name, path = "message.max.decompressed.bytes", "/v1/brokers/default/config"
    http = topic.client.http
    http.patch(path, json={"config": {name: "1000"}}).raise_for_status()
    try:
        wait_until(
            lambda: topic.append(*[Record(b"0" * 1000)] * 100, codec=Compression.ZSTD).error_code,
            "the lower bound counts",
        )
        assert len(topic.page()["records"]) >= 100
    finally:
        http.patch(path, json={"config": {name: None}}).raise_for_status()


def test_only_a_body_that_is_not_decoded_may_be_large(client: BrokerClient) -> None:
    topic = client.make_topic(config={"max.message.bytes": str(32 << 20)})
    body = b"x" * (17 << 20)
    assert topic.post(body, "application/octet-stream", partition=0).status_code == 200
    refused = topic.post(body, "text/plain", partition=0)
    assert (refused.status_code, refused.json()["error"]) == (413, "REQUEST_TOO_LARGE")
