"""`/v1/topics/T/stream` of one real broker: resumed exactly, bounded, told how it ends."""

import itertools
import json
import socket
from collections.abc import Iterator
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest

from tests.support.broker import BrokerProcess
from tests.support.event_source import EventSource
from tests.support.resident import resident_bytes
from tests.support.standalone_broker import standalone_broker
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

_numbers = itertools.count()
_MAX_STREAMS: Final = 3
_PARTITIONS: Final = 3


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    settings = {"topic.max.streams": str(_MAX_STREAMS)}
    with standalone_broker(tmp_path_factory.mktemp("stream"), settings) as running:
        yield running


@pytest.fixture
def topic(broker: BrokerProcess) -> str:
    name = f"t{next(_numbers)}"
    created = httpx.post(f"{broker.url}/v1/topics", json={"name": name, "partitions": _PARTITIONS})
    assert created.status_code == 201, created.text
    return name


def _produce(broker: BrokerProcess, topic: str, *values: object) -> None:
    records = [{"value": value, "partition": n % _PARTITIONS} for n, value in enumerate(values)]
    sent = httpx.post(f"{broker.url}/v1/topics/{topic}/records", json={"records": records})
    assert sent.status_code == 200, sent.text


def _values(source: EventSource) -> list[Any]:
    return [
        record["value"] for event in source.named("records") for record in event.data["records"]
    ]


def _has(source: EventSource, count: int) -> bool:
    return len(_values(source)) >= count


def _streams(broker: BrokerProcess) -> int:
    for line in httpx.get(f"{broker.url}/metrics").text.splitlines():
        if line.startswith('kafkalite_streams{of="topic"}'):
            return int(float(line.split()[-1]))
    raise AssertionError("no such metric")


def test_nothing_comes_twice_or_is_left_out_over_many_connections(
    broker: BrokerProcess, topic: str
) -> None:
    path = f"/v1/topics/{topic}/stream?from=earliest&max_records=7"
    source = EventSource([broker.url], path)
    source.start()
    sent = range(600)
    try:
        for begin in sent[::100]:
            _produce(broker, topic, *range(begin, begin + 100))
            wait_until(partial(_has, source, begin + 40), "some came")
            source.drop()
        wait_until(partial(_has, source, len(sent)), "all came")
    finally:
        source.close()
    assert sorted(_values(source)) == list(sent)
    assert source.events[-1].connection >= 3
    wait_until(lambda: _streams(broker) == 0, "nothing of it stays")


def test_a_tail_from_the_end_misses_nothing_once_it_has_started(
    broker: BrokerProcess, topic: str
) -> None:
    _produce(broker, topic, "before")
    source = EventSource([broker.url], f"/v1/topics/{topic}/stream")
    source.start()
    try:
        wait_until(partial(source.named, "start"), "it listens")
        assert source.events[0].data["offsets"] == {"0": 1, "1": 0, "2": 0}
        source.drop()
        _produce(broker, topic, "a", "b", "c")
        wait_until(lambda: len(_values(source)) == 3, "what came while it was away came")
    finally:
        source.close()
    assert sorted(_values(source)) == ["a", "b", "c"]


def test_the_end_of_the_topic_ends_the_stream(broker: BrokerProcess, topic: str) -> None:
    source = EventSource([broker.url], f"/v1/topics/{topic}/stream")
    source.start()
    try:
        wait_until(partial(source.named, "start"), "it listens")
        httpx.delete(f"{broker.url}/v1/topics/{topic}")
        wait_until(partial(source.named, "end"), "it is told")
        assert source.named("end")[0].data["error"] == "UNKNOWN_TOPIC_OR_PARTITION"
        wait_until(lambda: bool(source.refusals), "it does not begin again")
        assert source.refusals[0][0] == 404
    finally:
        source.close()


def test_lines_and_msgpack_say_where_to_go_on(broker: BrokerProcess, topic: str) -> None:
    _produce(broker, topic, {"n": 1}, {"n": 2}, {"n": 3}, {"n": 4})
    url = f"{broker.url}/v1/topics/{topic}/stream"
    query = {"from": "0:1,1:0,2:1"}
    with httpx.stream(
        "GET", url, params=query, headers={"accept": "application/x-ndjson"}
    ) as answer:
        assert answer.headers["content-type"] == "application/x-ndjson"
        lines = answer.iter_lines()
        start = json.loads(next(lines))
        assert start["event"] == "start"
        assert start["offsets"] == {"0": 1, "1": 0, "2": 1}
        got = [json.loads(next(lines)) for _ in range(2)]
        assert [(each["partition"], each["offset"], each["value"]) for each in got] == [
            (0, 1, {"n": 4}),
            (1, 0, {"n": 2}),
        ]
    headers = {"accept": "application/msgpack", "last-event-id": start["id"]}
    with httpx.stream("GET", url, headers=headers) as answer:
        data = b""
        for chunk in answer.iter_bytes():
            data += chunk
            if data.count(b"headers") == 2:
                break
        first = msgspec.msgpack.encode(start)
        assert data.startswith(first)
        assert b'{"n":4}' in data[len(first) :]


def test_a_stream_begins_at_a_time_or_at_the_partitions_that_are_named(
    broker: BrokerProcess, topic: str
) -> None:
    records = [{"value": n, "timestamp": 1_700_000_000_000 + n, "partition": 1} for n in range(5)]
    httpx.post(f"{broker.url}/v1/topics/{topic}/records", json={"records": records})
    url = f"{broker.url}/v1/topics/{topic}/stream"
    for query in ({"at": "1700000000003"}, {"from": "3", "partitions": "1"}):
        with httpx.stream(
            "GET", url, params=query, headers={"accept": "application/x-ndjson"}
        ) as answer:
            lines = answer.iter_lines()
            next(lines)
            assert json.loads(next(lines))["value"] == 3


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"from": "now"}, 400),
        ({"from": "latest", "at": "1"}, 400),
        ({"partitions": "9"}, 404),
        ({"last.event.id": "nonsense"}, 400),
        ({"max_bytes": "0"}, 400),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(
    broker: BrokerProcess, topic: str, query: dict[str, str], status: int
) -> None:
    refused = httpx.get(f"{broker.url}/v1/topics/{topic}/stream", params=query)
    assert refused.status_code == status, refused.text
    assert refused.json()["detail"]


def test_one_more_than_may_be_is_told_when_to_come_back(broker: BrokerProcess, topic: str) -> None:
    sources = [EventSource([broker.url], f"/v1/topics/{topic}/stream") for _ in range(_MAX_STREAMS)]
    try:
        for source in sources:
            source.start()
            wait_until(partial(source.named, "start"), "it listens")
        refused = httpx.get(f"{broker.url}/v1/topics/{topic}/stream")
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert _streams(broker) == _MAX_STREAMS
    finally:
        for source in sources:
            source.close()


def test_who_does_not_read_costs_no_more_than_a_buffer(broker: BrokerProcess, topic: str) -> None:
    address = urlsplit(broker.url)
    sleeper = socket.create_connection((address.hostname, address.port))
    try:
        sleeper.sendall(f"GET /v1/topics/{topic}/stream HTTP/1.1\r\nhost: h\r\n\r\n".encode())
        assert sleeper.recv(4096)
        value = "x" * 1_000_000
        _produce(broker, topic, *[value] * 3)
        before = resident_bytes(broker.pid)
        for _ in range(30):
            _produce(broker, topic, *[value] * 3)
        assert resident_bytes(broker.pid) - before < 60_000_000, "90 MB were produced"
        wait_until(lambda: _streams(broker) == 1, "it is still served")
    finally:
        sleeper.close()
    wait_until(lambda: _streams(broker) == 0, "it is let go")
