"""Reading: budgets, long polls, segments, and logs whose beginning moves."""

import threading
import time
from collections.abc import Callable
from typing import Any

import msgpack
import pytest

from kafkalite.model.record import Record
from kafkalite.wire.batch import read_headers
from kafkalite.wire.messages import FetchPartition
from tests.support.broker import BrokerProcess
from tests.support.raw_http import RawConnection
from tests.support.topic import MSGPACK, BrokerClient, Topic
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

_LONG_MS = 60_000


@pytest.fixture
def topic(client: BrokerClient) -> Topic:
    return client.make_topic(partitions=2)


class _InBackground:
    """A blocking call in a thread of its own; `result()` raises what it raised."""

    def __init__(self, call: Callable[[BrokerClient], Any], broker: BrokerProcess) -> None:
        self._call = call
        self._url = broker.url
        self._result: Any = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with BrokerClient(self._url) as client:
            try:
                self._result = self._call(client)
            except Exception as error:  # noqa: BLE001 - handed to the test
                self._result = error

    def result(self) -> Any:
        self._thread.join(_LONG_MS / 1000 / 2)
        assert not self._thread.is_alive(), "it still waits"
        if isinstance(self._result, Exception):
            raise self._result
        return self._result


def _waiting_fetches(client: BrokerClient) -> int:
    """Requests in work beside our own, as the metrics count them."""
    for line in client.http.get("/metrics").text.splitlines():
        if line.startswith("kafkalite_waiting_fetches "):
            return int(float(line.split()[1]))
    raise AssertionError("the metric is missing")


def test_long_poll_over_json_returns_as_soon_as_there_is_a_record(
    broker: BrokerProcess, topic: Topic
) -> None:
    waiting = _waiting_fetches(topic.client)
    path = topic.partition_path(0)
    poll = _InBackground(
        lambda client: client.http.get(path, params={"timeout_ms": _LONG_MS}).json(), broker
    )
    wait_until(lambda: _waiting_fetches(topic.client) > waiting, "the poll waits")
    topic.send({"value": "news"})
    assert [each["value"] for each in poll.result()["records"]] == ["news"]


def test_long_poll_of_many_partitions_returns_when_one_has_news(
    broker: BrokerProcess, topic: Topic
) -> None:
    waiting = _waiting_fetches(topic.client)
    wanted = [FetchPartition(topic.name, number, 0) for number in (0, 1)]
    poll = _InBackground(lambda client: client.fetch(*wanted, max_wait_ms=_LONG_MS), broker)
    wait_until(lambda: _waiting_fetches(topic.client) > waiting, "the poll waits")
    topic.append(Record(b"news"), partition=1)
    empty, full = poll.result()
    assert (empty.batches, empty.high_watermark) == (b"", 0)
    assert read_headers(full.batches)[0].record_count == 1


def test_long_poll_waits_for_min_bytes(broker: BrokerProcess, topic: Topic) -> None:
    topic.append(Record(b"small"))
    waiting = _waiting_fetches(topic.client)
    poll = _InBackground(
        lambda client: client.fetch(
            FetchPartition(topic.name, 0, 0), max_wait_ms=_LONG_MS, min_bytes=10_000
        ),
        broker,
    )
    wait_until(lambda: _waiting_fetches(topic.client) > waiting, "the poll waits")
    topic.append(Record(b"x" * 20_000))
    assert len(poll.result()[0].batches) > 20_000


def test_long_poll_gives_what_there_is_when_its_time_is_up(topic: Topic) -> None:
    topic.append(Record(b"small"))
    result = topic.fetch(min_bytes=10_000, max_wait_ms=50)
    assert len(read_headers(result.batches)) == 1
    page = topic.page(offset=1, timeout_ms=50)
    assert (page["records"], page["next_offset"]) == ([], 1)


@pytest.mark.parametrize("native", [False, True])
def test_client_that_goes_away_leaves_nothing_behind(
    broker: BrokerProcess, topic: Topic, *, native: bool
) -> None:
    before = _waiting_fetches(topic.client)
    if native:
        wanted = {"topic": topic.name, "partition": 0, "offset": 0}
        body = msgpack.packb({"partitions": [wanted], "max_wait_ms": _LONG_MS})
        request = RawConnection.request("POST", "/v1/fetch", body, MSGPACK)
    else:
        path = f"{topic.partition_path(0)}?timeout_ms={_LONG_MS}"
        request = RawConnection.request("GET", path)
    gone = [RawConnection(broker.port) for _ in range(20)]
    for each in gone:
        each.send(request)
    wait_until(lambda: _waiting_fetches(topic.client) == before + 20, "all wait")
    for each in gone:
        each.close()
    wait_until(lambda: _waiting_fetches(topic.client) == before, "none waits any more")


def test_long_poll_ends_when_the_topic_is_deleted(broker: BrokerProcess, topic: Topic) -> None:
    waiting = _waiting_fetches(topic.client)
    path = topic.partition_path(0)
    poll = _InBackground(
        lambda client: client.http.get(path, params={"timeout_ms": _LONG_MS}), broker
    )
    wait_until(lambda: _waiting_fetches(topic.client) > waiting, "the poll waits")
    assert topic.client.http.delete(topic.path).status_code == 204
    assert poll.result().json()["error"] == "UNKNOWN_TOPIC_OR_PARTITION"


def test_budget_of_a_fetch_is_shared_by_its_partitions(client: BrokerClient) -> None:
    topic = client.make_topic(partitions=4)
    for number in range(4):
        for _ in range(10):
            topic.append(Record(b"x" * 1000), partition=number)
    wanted = [FetchPartition(topic.name, number, 0, 5_000) for number in range(4)]
    results = client.fetch(*wanted, max_bytes=7_000)
    batches = [len(read_headers(each.batches)) for each in results]
    # 4 fill a partition's own limit, 2 more fit in; one may pass the budget, then it is used up.
    assert batches == [4, 2, 1, 0]
    assert [each.high_watermark for each in results] == [10] * 4


@pytest.mark.parametrize("limit", [0, 1, 500])
def test_fetch_goes_on_when_a_limit_is_smaller_than_a_batch(topic: Topic, limit: int) -> None:
    for _ in range(3):
        topic.append(Record(b"x" * 1000))
    seen = 0
    while seen < 3:
        (result,) = topic.client.fetch(
            FetchPartition(topic.name, 0, seen, limit), max_bytes=max(limit, 1)
        )
        (header,) = read_headers(result.batches)
        seen = header.next_offset


def test_batch_is_given_whole_when_its_middle_is_asked_for(topic: Topic) -> None:
    topic.append(*(Record(b"%d" % n) for n in range(10)))
    (header,) = read_headers(topic.fetch(5).batches)
    assert (header.base_offset, header.next_offset) == (0, 10)
    assert [each["offset"] for each in topic.page(offset=5)["records"]] == [5, 6, 7, 8, 9]


def test_each_partition_has_its_own_error(topic: Topic) -> None:
    topic.append(Record(b"a"))
    results = topic.client.fetch(
        FetchPartition(topic.name, 0, 0),
        FetchPartition(topic.name, 0, 99),
        FetchPartition(topic.name, 9, 0),
        FetchPartition("nowhere", 0, 0),
        FetchPartition(topic.name, 0, 0, leader_epoch=99),
        max_wait_ms=_LONG_MS,
        min_bytes=1 << 30,
    )
    assert [each.error for each in results] == [
        "",
        "OFFSET_OUT_OF_RANGE",
        "UNKNOWN_TOPIC_OR_PARTITION",
        "UNKNOWN_TOPIC_OR_PARTITION",
        "UNKNOWN_LEADER_EPOCH",
    ]
    assert (results[1].log_start_offset, results[1].high_watermark) == (0, 1)
    assert results[0].batches


def test_reading_goes_across_segments(client: BrokerClient) -> None:
    topic = client.make_topic(config={"segment.bytes": "16384"})
    for start in range(0, 400, 10):
        topic.send(*({"value": f"{n:0500}"} for n in range(start, start + 10)))
    assert topic.values() == [f"{n:0500}" for n in range(400)]
    assert topic.values(offset=123) == [f"{n:0500}" for n in range(123, 400)]
    assert [each.offset for each in topic.read_all(offset=7)] == list(range(7, 400))


def test_large_fetch_comes_whole(client: BrokerClient) -> None:
    topic = client.make_topic(config={"segment.bytes": str(2 << 20)})
    block = [Record(bytes([n % 256]) * 100_000) for n in range(8)]
    for _ in range(10):
        topic.append(*block)
    result = topic.fetch(max_bytes=64 << 20)
    one = topic.client.fetch(FetchPartition(topic.name, 0, 0, 64 << 20), max_bytes=64 << 20)[0]
    assert len(result.batches) < len(one.batches)
    assert len(one.batches) > 8_000_000
    assert read_headers(one.batches)[-1].next_offset == 80


def test_records_are_deleted_up_to_an_offset(topic: Topic) -> None:
    topic.send(*({"value": n} for n in range(10)))
    path = topic.partition_path(0, "delete-records")
    deleted = topic.client.http.post(path, json={"before_offset": 4})
    assert deleted.json()["low_watermark"] == 4
    answer = topic.get(offset=3)
    assert answer.status_code == 416
    assert answer.json()["log_start_offset"] == 4
    assert topic.fetch(3).error == "OFFSET_OUT_OF_RANGE"
    assert [each["value"] for each in topic.page()["records"]] == [4, 5, 6, 7, 8, 9]
    deleted = topic.client.http.post(path, json={"before_offset": -1})
    assert deleted.json()["low_watermark"] == 10
    assert topic.page()["records"] == []
    assert topic.send({"value": "next"})[0]["offset"] == 10
    assert topic.client.http.post(path, json={"before_offset": 99}).status_code == 416


def test_last_records_stay_readable_while_their_topic_is_written(
    broker: BrokerProcess, topic: Topic
) -> None:
    def write(client: BrokerClient) -> None:
        writer = Topic(client, topic.name)
        for start in range(0, 2_000, 20):
            writer.send(*({"value": n} for n in range(start, start + 20)))

    writing = _InBackground(write, broker)
    seen: list[int] = []
    deadline = time.monotonic() + 30
    while len(seen) < 2_000 and time.monotonic() < deadline:
        page = topic.page(offset=len(seen), timeout_ms=1_000, max_bytes=3_000)
        assert page["next_offset"] <= page["high_watermark"]
        seen += [each["value"] for each in page["records"]]
    writing.result()
    assert seen == list(range(2_000))
