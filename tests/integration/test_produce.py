"""Native produce: batches as they come, acknowledgements, and batches that are refused."""

import json

import httpx
import msgpack
import pytest

from kafkalite.model.compression import Compression
from kafkalite.model.record import Record
from kafkalite.wire.batch import CONTROL_BIT, TRANSACTIONAL_BIT, read_headers
from kafkalite.wire.records import encode_batch
from tests.support.batches import forge
from tests.support.topic import MSGPACK, BrokerClient, Topic
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

_NOW = 1_700_000_000_000
_CODECS = [codec for codec in Compression if codec is not Compression.NONE]


@pytest.fixture
def topic(client: BrokerClient) -> Topic:
    return client.make_topic(partitions=2)


def _batch(*values: bytes, codec: Compression = Compression.NONE) -> bytes:
    return encode_batch([Record(value) for value in values], now_ms=_NOW, compression=codec)


@pytest.mark.parametrize("acks", [-1, 0, 1])
def test_batches_get_dense_offsets(topic: Topic, acks: int) -> None:
    entries = [(topic.name, 0, _batch(b"a", b"b") + _batch(b"c")), (topic.name, 1, _batch(b"d"))]
    first, second = topic.client.produce(entries, acks=acks)
    again = topic.client.produce([(topic.name, 0, _batch(b"e"))])[0]
    assert (first.error_code, first.base_offset, first.log_start_offset) == (0, 0, 0)
    assert (second.error_code, second.base_offset) == (0, 0)
    assert again.base_offset == 3
    read = topic.read_all()
    assert [(each.offset, each.value) for each in read] == [
        (0, b"a"), (1, b"b"), (2, b"c"), (3, b"e"),
    ]  # fmt: skip


@pytest.mark.parametrize("codec", _CODECS)
def test_compressed_batches_are_kept_and_read_back_as_json(
    topic: Topic, codec: Compression
) -> None:
    values = [json.dumps({"n": n, "text": "x" * 50}).encode() for n in range(100)]
    result = topic.append(*(Record(value, b'"k"') for value in values), codec=codec)
    assert result.error_code == 0
    assert [header.compression for header in read_headers(topic.fetch().batches)] == [codec]
    assert topic.values() == [json.loads(value) for value in values]


def test_one_refused_batch_does_not_touch_the_others(topic: Topic) -> None:
    broken = bytearray(_batch(b"b"))
    broken[-1] ^= 1
    results = topic.client.produce(
        [
            (topic.name, 0, _batch(b"a")),
            (topic.name, 1, bytes(broken)),
            ("no such topic!", 0, _batch(b"c")),
            (topic.name, 7, _batch(b"d")),
            (topic.name, -1, _batch(b"d")),
            (topic.name, 1, _batch(b"e")),
        ]
    )
    assert [each.error for each in results] == [
        "",
        "CORRUPT_MESSAGE",
        "INVALID_TOPIC_EXCEPTION",
        "UNKNOWN_TOPIC_OR_PARTITION",
        "UNKNOWN_TOPIC_OR_PARTITION",
        "",
    ]
    assert all(bool(each.message) == bool(each.error_code) for each in results)
    assert [each.value for each in topic.read_all(1)] == [b"e"]


@pytest.mark.parametrize(
    ("batch", "error"),
    [
        (forge(attributes=TRANSACTIONAL_BIT), "INVALID_REQUEST"),
        (forge(attributes=CONTROL_BIT), "INVALID_REQUEST"),
        (forge(producer_id=5, producer_epoch=0), "INVALID_REQUEST"),
        (forge(producer_id=5, producer_epoch=0, base_sequence=1), "UNKNOWN_PRODUCER_ID"),
        (forge(magic=3), "UNSUPPORTED_VERSION"),
        (forge(attributes=7), "UNSUPPORTED_COMPRESSION_TYPE"),
        (forge(record_count=2), "CORRUPT_MESSAGE"),
        (forge(payload=b"\xc1"), "CORRUPT_MESSAGE"),
        (forge()[:-1], "CORRUPT_MESSAGE"),
        (forge() + b"\x00", "CORRUPT_MESSAGE"),
        (b"", "INVALID_RECORD"),
        (_batch(b"x" * 2_000_000), "MESSAGE_TOO_LARGE"),
        (_batch(b"\x00" * 400_000_000, codec=Compression.ZSTD), "MESSAGE_TOO_LARGE"),
    ],
    ids=[
        "transactional", "control", "half-idempotent", "unknown-producer", "magic", "codec",
        "count", "payload", "truncated", "trailing", "empty", "too-large", "bomb",
    ],
)  # fmt: skip
def test_batch_is_refused_and_reaches_no_log(topic: Topic, batch: bytes, error: str) -> None:
    (result,) = topic.client.produce([(topic.name, 0, batch)])
    assert result.error == error
    assert result.base_offset == -1
    assert topic.offsets()["log_end_offset"] == 0


@pytest.mark.parametrize("acks", [2, -2, 2**40])
def test_request_is_refused_when_acks_is_illegal(topic: Topic, acks: int) -> None:
    body = msgpack.packb({"acks": acks, "partitions": []})
    answer = topic.client.http.post("/v1/produce", content=body, headers=MSGPACK)
    assert answer.status_code == 400
    assert answer.json()["error"] == "INVALID_REQUIRED_ACKS"


def test_request_without_partitions_is_answered_without_results(client: BrokerClient) -> None:
    assert client.produce([]) == []


def test_acks_all_is_refused_when_too_few_replicas_are_in_sync(client: BrokerClient) -> None:
    topic = client.make_topic(config={"min.insync.replicas": "2"})
    refused = topic.append(Record(b"a"))
    taken = client.produce([(topic.name, 0, _batch(b"b"))], acks=1)[0]
    assert (refused.error, taken.error) == ("NOT_ENOUGH_REPLICAS", "")
    wait_until(lambda: topic.offsets()["high_watermark"] == 1, "the record is durable")
    assert [each.value for each in topic.read_all()] == [b"b"]


def test_size_limit_of_a_topic_follows_its_config(topic: Topic) -> None:
    def limit(value: str | None) -> None:
        changed = topic.client.http.patch(topic.path, json={"config": {"max.message.bytes": value}})
        assert changed.status_code == 200, changed.text

    record = Record(b"x" * 5_000)
    assert topic.append(record).error == ""
    limit("1000")
    assert topic.append(record).error == "MESSAGE_TOO_LARGE"
    assert topic.append(record, codec=Compression.GZIP).error == ""
    limit(None)
    assert topic.append(record).error == ""


@pytest.mark.parametrize("codec", [codec.name.lower() for codec in _CODECS])
def test_topic_compresses_what_comes_otherwise(client: BrokerClient, codec: str) -> None:
    topic = client.make_topic(config={"compression.type": codec})
    topic.append(Record(b'"plain"'), Record(b"2"))
    topic.append(Record(b'"gzip"'), codec=Compression.GZIP)
    topic.send({"value": "json"})
    headers = read_headers(topic.fetch().batches)
    assert {Compression(header.compression).name.lower() for header in headers} == {codec}
    assert topic.values() == ["plain", 2, "gzip", "json"]
    assert [each.offset for each in topic.read_all()] == [0, 1, 2, 3]


def test_topic_decompresses_when_its_type_is_uncompressed(client: BrokerClient) -> None:
    topic = client.make_topic(config={"compression.type": "uncompressed"})
    topic.append(Record(b'"a"'), Record(b'"b"'), codec=Compression.LZ4)
    (header,) = read_headers(topic.fetch().batches)
    assert header.compression == Compression.NONE
    assert topic.values() == ["a", "b"]


def test_topic_stamps_append_time_from_the_moment_it_is_asked_to(topic: Topic) -> None:
    topic.append(Record(b"1", timestamp=5))
    topic.client.http.patch(
        topic.path, json={"config": {"message.timestamp.type": "LogAppendTime"}}
    ).raise_for_status()
    natively = topic.append(Record(b"2", timestamp=5), Record(b"3", timestamp=6))
    topic.send({"value": 4, "timestamp": 7})
    assert natively.log_append_time > _NOW
    first, *others = topic.page()["records"]
    assert first["timestamp"] == 5
    assert [each["timestamp"] for each in others[:2]] == [natively.log_append_time] * 2
    assert others[2]["timestamp"] >= natively.log_append_time


def test_timestamps_are_refused_outside_of_what_the_topic_takes(client: BrokerClient) -> None:
    topic = client.make_topic(config={"message.timestamp.before.max.ms": "60000"})
    assert topic.append(Record(b"old", timestamp=_NOW)).error == "INVALID_TIMESTAMP"
    answer = topic.post(b'{"records":[{"value":1,"timestamp":5}]}', partition=0)
    assert answer.json()["error"] == "INVALID_TIMESTAMP"
    topic.send({"value": 2})


def test_url_answers_other_methods_with_what_it_takes(client: BrokerClient) -> None:
    for path in ("/v1/produce", "/v1/fetch"):
        answer: httpx.Response = client.http.get(path)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST, OPTIONS")
