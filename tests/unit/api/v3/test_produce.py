"""Produce of version 3 of REST Proxy: read no faster than reported, in order, ended in words."""

import asyncio
import gzip
import json
from collections.abc import MutableMapping, Sequence
from typing import Any, cast

import pytest

from kafkalite.api.data_plane.exchange import Exchange
from kafkalite.api.data_plane.produce_slots import ProduceSlots
from kafkalite.api.rest.errors import RestAnswer, RestError
from kafkalite.api.v3.produce import V3Produce
from kafkalite.broker.gathering import Then
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.broker.record_append import RecordAppendPath
from kafkalite.broker.record_place import RecordPlace
from kafkalite.broker.record_streams import RecordStreams
from kafkalite.model.errors import (
    BrokerNotAvailableError,
    LogError,
    NotEnoughReplicasError,
    ThrottlingQuotaExceededError,
    UnknownTopicOrPartitionError,
    UnsupportedMediaTypeError,
)
from kafkalite.wire.messages import ACKS_ALL
from kafkalite.wire.record_bodies import IncomingRecord
from kafkalite.wire.v3_records import RefusedRecordError
from tests.support.whole_requests import Received

_CHUNKED = (b"transfer-encoding", b"chunked")
_ENDS = [200, 200, 400]


class _Broker:
    """Stands for partitions and the append path: appends once the test lets it."""

    def __init__(self) -> None:
        self.values: list[bytes | None] = []
        self.error: LogError | None = None
        self.bad_partition: int | None = None
        self.may_append = asyncio.Event()
        self.may_append.set()
        self.streams = RecordStreams(lambda: 1)
        self.stamps_append_time = False

    async def partition_count(self, topic: str) -> int:
        if topic != "t":
            raise UnknownTopicOrPartitionError("no such topic")
        return 1

    async def append(
        self, _topic: str, incoming: Sequence[IncomingRecord], *, acks: int, timeout_ms: int
    ) -> list[RecordPlace]:
        assert (acks, timeout_ms > 0) == (ACKS_ALL, True)
        await self.may_append.wait()
        if self.error is not None:
            raise self.error
        places = []
        for each in incoming:
            if each.partition is not None and each.partition == self.bad_partition:
                error = UnknownTopicOrPartitionError("no such partition")
                places.append(RecordPlace(each.partition, -1, error))
            else:
                places.append(RecordPlace(0, len(self.values)))
                self.values.append(each.record.value)
        return places

    def produce(self, slots: int = 1) -> V3Produce:
        return V3Produce(
            cast("PartitionTable", self),
            cast("RecordAppendPath", self),
            self.streams,
            ProduceSlots(slots),
            stamps_append_time=lambda _topic: self.stamps_append_time,
            max_object_bytes=1_000,
            max_body_bytes=100_000,
        )


class _Client:
    """Sends the parts that a test puts; notes how many were taken."""

    def __init__(self, *headers: tuple[bytes, bytes]) -> None:
        self.parts: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.taken = 0
        self.began_at: int | None = None
        """How many parts were taken when the answer began."""
        self.body = b""
        scope = {"headers": list(headers), "query_string": b""}
        self.exchange = Exchange(scope, self._receive, self._send)

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.parts.put_nowait(part)

    def end(self) -> None:
        self.parts.put_nowait(None)

    @property
    def reports(self) -> list[dict[str, Any]]:
        assert not self.body or self.body.endswith(b"\r\n")
        return [json.loads(line) for line in self.body.splitlines()]

    @property
    def codes(self) -> list[int]:
        return [report["error_code"] for report in self.reports]

    async def post(self, broker: _Broker, topic: str = "t") -> RestAnswer | None:
        answer = await broker.produce().post(self.exchange, "c", topic)
        if answer is not None:
            self.body = answer.body
        return answer

    async def _receive(self) -> MutableMapping[str, Any]:
        part = await self.parts.get()
        self.taken += 1
        return {"type": "http.request", "body": part or b"", "more_body": part is not None}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200
            self.began_at = self.taken
        self.body += message.get("body", b"")


async def _turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def _posted(body: bytes, broker: _Broker | None = None) -> list[dict[str, Any]]:
    """What is reported of a body that comes whole."""

    async def scenario() -> list[dict[str, Any]]:
        client = _Client()
        client.send(body)
        client.end()
        answer = await client.post(broker or _Broker())
        assert answer is not None
        assert (answer.status, answer.media) == (200, b"application/json")
        return client.reports

    return asyncio.run(scenario())


def _refused(body: bytes) -> RestError:
    with pytest.raises(RestError) as caught:
        _posted(body)
    return caught.value


def test_report_says_where_the_record_is() -> None:
    record = {
        "key": {"type": "STRING", "data": "ä"},
        "value": {"type": "JSON", "data": {"a": 1}},
        "timestamp": "2023-03-09T14:07:23.592Z",
    }
    reports = _posted(json.dumps(record).encode())
    assert reports == [
        {
            "error_code": 200,
            "cluster_id": "c",
            "topic_name": "t",
            "partition_id": 0,
            "offset": 0,
            "timestamp": "2023-03-09T14:07:23.592Z",
            "key": {"type": "STRING", "size": 2},
            "value": {"type": "JSON", "size": 7},
        }
    ]
    assert next(iter(reports[0])) == "error_code"


def test_report_has_only_what_was_given() -> None:
    first, second = _posted(b'{}{"value":{"data":null}}')
    assert "key" not in first
    assert "value" not in first
    assert second["value"] == {"type": "BINARY", "size": 0}


def test_each_report_has_the_time_of_its_record() -> None:
    times = [f"2023-03-09T14:07:23.{millis:03}Z" for millis in (1, 1, 2, 1)]
    reports = _posted(b"".join(b'{"timestamp":"%b"}' % each.encode() for each in times))
    assert [report["timestamp"] for report in reports] == times


def test_time_that_the_broker_replaces_is_not_made_up() -> None:
    broker = _Broker()
    broker.stamps_append_time = True
    assert _posted(b"{}", broker)[0]["timestamp"] is None


def test_record_that_is_refused_ends_nothing() -> None:
    broker = _Broker()
    broker.bad_partition = 7
    reports = _posted(
        b'{"value":{"data":"QQ=="}}{"value":{"type":"AVRO","data":1}}{"x":1}'
        b'{"partition_id":7}{"value":{"data":1}}{"value":{"type":"STRING","data":"%b"}}'
        b'{"value":{"data":"Qg=="}}' % (b"x" * 1_000),
        broker,
    )
    codes = [report["error_code"] for report in reports]
    assert codes == [200, 42205, 422, 40402, 400, 413, 200]
    assert all(set(report) == {"error_code", "message"} for report in reports[1:-1])
    assert [reports[0]["offset"], reports[-1]["offset"]] == [0, 1]
    assert broker.values == [b"A", b"B"]


@pytest.mark.parametrize("broken", [b"{broken}", b",", b'{"value":', b"5", b'{"a":[}'])
def test_what_is_no_json_ends_the_stream_behind_what_was_before_it(broken: bytes) -> None:
    broker = _Broker()
    reports = _posted(b'{"value":{"data":"QQ=="}}{}' + broken + b"{}", broker)
    assert [report["error_code"] for report in reports] == _ENDS
    assert reports[-1]["message"].startswith("Error processing JSON: ")
    assert broker.values == [b"A", None]


@pytest.mark.parametrize("body", [b"", b" \r\n"])
def test_empty_body_is_refused(body: bytes) -> None:
    refused = _refused(body)
    assert (refused.status, refused.code) == (422, 42206)


def test_what_fails_as_a_whole_is_reported_of_each_record() -> None:
    broker = _Broker()
    broker.error = NotEnoughReplicasError("too few")
    reports = _posted(b'{}{"x":1}{}', broker)
    assert [report["error_code"] for report in reports] == [50003, 422, 50003]


def test_unknown_topic_is_told_before_the_body_is_looked_at() -> None:
    client = _Client()
    with pytest.raises(UnknownTopicOrPartitionError):
        asyncio.run(client.post(_Broker(), "none"))
    assert client.taken == 0


def test_no_more_is_read_than_is_reported() -> None:
    async def scenario() -> None:
        broker, client = _Broker(), _Client(_CHUNKED)
        broker.may_append.clear()
        client.send(*[b'{"value":{"data":"QQ=="}}'] * 3)
        client.end()
        serving = asyncio.ensure_future(client.post(broker))
        await _turns()
        assert client.taken == 1
        broker.may_append.set()
        assert await asyncio.wait_for(serving, 10) is None
        assert [report["offset"] for report in client.reports] == [0, 1, 2]

    asyncio.run(scenario())


def test_each_record_is_reported_while_the_body_goes_on() -> None:
    async def scenario() -> None:
        broker, client = _Broker(), _Client(_CHUNKED)
        serving = asyncio.ensure_future(client.post(broker))
        await _turns()
        assert client.began_at == 0, "the answer begins before the body"
        for number in range(3):
            client.send(b'{"value"', b":null}")
            await _turns()
            assert client.codes == [200] * (number + 1)
        client.send(b'{"x":1}', b"{}")
        client.end()
        await asyncio.wait_for(serving, 10)
        assert client.codes == [200, 200, 200, 422, 200]
        assert len(broker.streams) == 0

    asyncio.run(scenario())


def test_large_body_of_known_size_is_answered_as_a_stream() -> None:
    async def scenario() -> None:
        broker, client = _Broker(), _Client((b"content-length", b"90000"))
        client.send(b"{}" * 20_000, b"{}" * 15_000, b"{}" * 10_000)
        client.end()
        assert await client.post(broker) is None
        assert client.codes == [200] * 45_000
        assert client.began_at == 2

    asyncio.run(scenario())


def test_answer_begins_at_once_unless_the_client_waits_to_be_asked() -> None:
    async def scenario(*headers: tuple[bytes, bytes]) -> int | None:
        client = _Client(_CHUNKED, *headers)
        client.send(b"{}")
        client.end()
        await client.post(_Broker())
        return client.began_at

    assert asyncio.run(scenario()) == 0
    assert asyncio.run(scenario((b"expect", b"100-continue"))) == 1


def test_stream_without_a_record_is_told_so() -> None:
    async def scenario() -> None:
        client = _Client(_CHUNKED)
        client.send(b" ")
        client.end()
        await client.post(_Broker())
        assert client.codes == [42206]

    asyncio.run(scenario())


def test_stream_that_is_broken_is_read_no_further() -> None:
    async def scenario() -> None:
        broker, client = _Broker(), _Client(_CHUNKED)
        client.send(b"{}{}", b"{broken}", b"{}")
        await asyncio.wait_for(client.post(broker), 10)
        assert client.codes == _ENDS
        assert client.taken == 2

    asyncio.run(scenario())


@pytest.mark.parametrize("coding", [b"zstd", b"br"])
def test_stream_in_a_coding_that_cannot_be_read_is_refused_before_it_begins(coding: bytes) -> None:
    async def scenario() -> None:
        client = _Client(_CHUNKED, (b"content-encoding", coding))
        client.end()
        with pytest.raises(UnsupportedMediaTypeError):
            await client.post(_Broker())
        assert client.began_at is None

    asyncio.run(scenario())


def test_stream_that_is_no_whole_gzip_ends_in_words() -> None:
    async def scenario() -> None:
        broker, client = _Broker(), _Client(_CHUNKED, (b"content-encoding", b"gzip"))
        client.send(gzip.compress(b"{}{}"), b"no gzip")
        await asyncio.wait_for(client.post(broker), 10)
        assert client.codes == _ENDS
        assert "gzip" in client.reports[-1]["message"]

    asyncio.run(scenario())


def test_broker_does_not_wait_for_a_body_that_goes_on() -> None:
    async def scenario() -> None:
        broker, client = _Broker(), _Client(_CHUNKED)
        serving = asyncio.ensure_future(client.post(broker))
        client.send(b'{}{"value":')
        await _turns()
        assert not serving.done()
        broker.streams.stop_waiting()
        await asyncio.wait_for(serving, 10)
        assert client.codes == [200, 50302]
        assert len(broker.streams) == 0

    asyncio.run(scenario())


def test_streams_are_bounded_in_number() -> None:
    async def scenario() -> None:
        broker, first, second = _Broker(), _Client(_CHUNKED), _Client(_CHUNKED)
        serving = asyncio.ensure_future(first.post(broker))
        await _turns()
        with pytest.raises(BrokerNotAvailableError):
            await second.post(broker)
        first.end()
        await asyncio.wait_for(serving, 10)

    asyncio.run(scenario())


def test_requests_in_work_are_bounded_in_number() -> None:
    async def scenario() -> None:
        broker = _Broker()
        client, other = _Client(), _Client()
        for each in (client, other):
            each.send(b'{"entries":[{"id":"a"}]}')
            each.end()
        produce = broker.produce(slots=0)
        with pytest.raises(ThrottlingQuotaExceededError):
            await produce.post(client.exchange, "c", "t")
        with pytest.raises(ThrottlingQuotaExceededError):
            await produce.post_batch(other.exchange, "c", "t")

    asyncio.run(scenario())


def _batch(*entries: dict[str, Any], broker: _Broker | None = None) -> dict[str, Any]:
    async def scenario() -> dict[str, Any]:
        client = _Client()
        client.send(json.dumps({"entries": entries}).encode())
        client.end()
        answer = await (broker or _Broker()).produce().post_batch(client.exchange, "c", "t")
        assert (answer.status, answer.media) == (207, b"application/json")
        found: dict[str, Any] = json.loads(answer.body)
        return found

    return asyncio.run(scenario())


def test_batch_tells_of_each_entry_by_its_id() -> None:
    broker = _Broker()
    broker.bad_partition = 7
    found = _batch(
        {"id": "a", "value": {"data": "QQ=="}, "timestamp": "2023-03-09T14:07:23Z"},
        {"id": "b", "value": {"data": 1}},
        {"id": "c", "partition_id": 7},
        {"id": "d"},
        broker=broker,
    )
    assert [each["id"] for each in found["successes"]] == ["a", "d"]
    assert found["successes"][0] == {
        "id": "a",
        "cluster_id": "c",
        "topic_name": "t",
        "partition_id": 0,
        "offset": 0,
        "timestamp": "2023-03-09T14:07:23.000Z",
        "value": {"type": "BINARY", "size": 1},
    }
    assert [(each["id"], each["error_code"]) for each in found["failures"]] == [
        ("b", 400),
        ("c", 40402),
    ]
    assert broker.values == [b"A", None]


def test_batch_that_is_wrong_stores_nothing() -> None:
    broker = _Broker()
    with pytest.raises(RefusedRecordError):
        _batch({"id": "a"}, {"id": "a"}, broker=broker)
    assert broker.values == []


class _Gathering:
    """Keeps what it is asked to append until the test says what became of it."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, IncomingRecord, int]] = []
        self.thens: list[Then] = []
        self.may_begin = True
        self.slots = ProduceSlots(1)

    def begin(
        self, topic: str, incoming: IncomingRecord, *, acks: int, timeout_ms: int, then: Then
    ) -> bool:
        if self.may_begin:
            assert timeout_ms > 0
            self.begun.append((topic, incoming, acks))
            self.thens.append(then)
        return self.may_begin

    def post(self, received: Received) -> bool:
        """Whether a request was taken."""
        produce = V3Produce(
            cast("PartitionTable", None),
            cast("RecordAppendPath", self),
            RecordStreams(lambda: 1),
            self.slots,
            stamps_append_time=lambda _topic: False,
            max_object_bytes=1_000,
            max_body_bytes=1_000,
        )
        try:
            return produce.post_whole(received.request, "c", "t")
        except RefusedRecordError:
            return False

    @property
    def is_free(self) -> bool:
        is_free = self.slots.try_take()
        if is_free:
            self.slots.give_back()
        return is_free


_ONE = b' {"value":{"type":"STRING","data":"x"},"timestamp":"2023-03-09T14:07:23.592Z"}\n'


def test_one_record_is_answered_without_a_task_as_with_one() -> None:
    with_a_task = _posted(_ONE)

    async def scenario() -> None:
        gathering, received = _Gathering(), Received(_ONE)
        assert gathering.post(received)
        assert not gathering.is_free
        ((topic, incoming, acks),) = gathering.begun
        assert (topic, incoming.record.value, acks) == ("t", b"x", ACKS_ALL)
        gathering.thens[0](RecordPlace(0, 0))
        status, body = received.answer
        assert (status, [json.loads(body)]) == (200, with_a_task)
        assert gathering.is_free

    asyncio.run(scenario())


def test_one_record_that_fails_is_reported_and_what_nobody_foresaw_is_an_error() -> None:
    async def scenario() -> None:
        gathering, received = _Gathering(), Received(_ONE)
        assert gathering.post(received)
        gathering.thens[0](RecordPlace(0, -1, NotEnoughReplicasError("too few")))
        status, body = received.answer
        assert (status, json.loads(body)["error_code"]) == (200, 50003)
        received = Received(_ONE)
        assert gathering.post(received)
        gathering.thens[1](ValueError("secret"))
        status, body = received.answer
        assert (status, json.loads(body)["error_code"]) == (500, 50002)
        assert b"secret" not in body
        assert gathering.is_free

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        _ONE + b"{}",
        b"{broken}",
        b'{"x":1}',
        b'{"value":{"data":1}}',
        b'{"value":{"type":"STRING","data":"%b"}}' % (b"x" * 9_000),
    ],
)
def test_what_is_more_or_less_than_a_record_is_left_to_a_task(body: bytes) -> None:
    async def scenario() -> None:
        gathering, received = _Gathering(), Received(body)
        assert not gathering.post(received)
        assert (gathering.begun, received.answer, gathering.is_free) == ([], (0, b""), True)

    asyncio.run(scenario())


def test_record_that_must_wait_is_left_to_a_task() -> None:
    async def scenario() -> None:
        gathering, received = _Gathering(), Received(_ONE)
        gathering.may_begin = False
        assert not gathering.post(received)
        assert gathering.is_free
        gathering.may_begin = True
        gathering.slots = ProduceSlots(0)
        assert not gathering.post(received)
        assert (gathering.begun, received.answer) == ([], (0, b""))

    asyncio.run(scenario())
