"""Streams of records: read no faster than they are reported, and ended with the broker."""

import asyncio
import json
from collections.abc import MutableMapping, Sequence
from typing import Any, cast

import pytest

from kafkalite.api.data_plane.exchange import Exchange
from kafkalite.api.streams.record_stream import RecordStreamEndpoint
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.broker.record_append import RecordAppendPath
from kafkalite.broker.record_place import RecordPlace
from kafkalite.broker.record_streams import RecordStreams
from kafkalite.model.errors import LogError, NotEnoughReplicasError, UnsupportedMediaTypeError
from kafkalite.wire.record_bodies import IncomingRecord


class _Broker:
    """Stands for partitions and the append path: appends once the test lets it."""

    def __init__(self) -> None:
        self.values: list[bytes | None] = []
        self.error: LogError | None = None
        self.may_append = asyncio.Event()
        self.may_append.set()

    async def partition_count(self, _topic: str) -> int:
        return 1

    async def append(
        self, _topic: str, incoming: Sequence[IncomingRecord], **_options: int
    ) -> list[RecordPlace]:
        await self.may_append.wait()
        if self.error is not None:
            raise self.error
        base = len(self.values)
        self.values += [each.record.value for each in incoming]
        return [RecordPlace(0, base + number) for number in range(len(incoming))]


class _Client:
    """Sends the parts that a test puts; notes how many were taken."""

    def __init__(self, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        self.parts: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.taken = 0
        self.began_at: int | None = None
        """How many parts were taken when the answer began."""
        self.answer = b""
        scope = {"headers": list(headers), "query_string": b""}
        self.exchange = Exchange(scope, self._receive, self._send)

    @property
    def reports(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.answer.splitlines()]

    async def _receive(self) -> MutableMapping[str, Any]:
        part = await self.parts.get()
        self.taken += 1
        return {"type": "http.request", "body": part or b"", "more_body": part is not None}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.began_at = self.taken
        self.answer += message.get("body", b"")


def _endpoint(broker: _Broker, streams: RecordStreams) -> RecordStreamEndpoint:
    return RecordStreamEndpoint(
        cast("PartitionTable", broker), cast("RecordAppendPath", broker), streams, 1_000
    )


async def _turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_no_more_is_read_than_is_reported() -> None:
    async def scenario() -> None:
        broker, client = _Broker(), _Client()
        broker.may_append.clear()
        for number in range(3):
            client.parts.put_nowait(b'{"value":%d}\n' % number)
        client.parts.put_nowait(None)
        endpoint = _endpoint(broker, RecordStreams(lambda: 1))
        serving = asyncio.ensure_future(endpoint.post(client.exchange, "POST", "t"))
        await _turns()
        assert client.taken == 1
        broker.may_append.set()
        await asyncio.wait_for(serving, 10)
        assert [each.get("offset") for each in client.reports] == [0, 1, 2, None]
        assert broker.values == [b"0", b"1", b"2"]

    asyncio.run(scenario())


def test_the_broker_does_not_wait_for_a_body_that_goes_on() -> None:
    async def scenario() -> None:
        broker, client, streams = _Broker(), _Client(), RecordStreams(lambda: 1)
        serving = asyncio.ensure_future(
            _endpoint(broker, streams).post(client.exchange, "POST", "t")
        )
        client.parts.put_nowait(b'{"value":1}\n{"value":')
        await _turns()
        assert not serving.done()
        streams.stop_waiting()
        await asyncio.wait_for(serving, 10)
        assert len(streams) == 0
        assert client.reports[-1]["error"] == "BROKER_NOT_AVAILABLE"
        assert client.reports[-1]["lines"] == 1
        assert broker.values == [b"1"]

    asyncio.run(scenario())


def test_what_fails_as_a_whole_is_reported_of_each_line_and_the_stream_goes_on() -> None:
    async def scenario() -> None:
        broker, client = _Broker(), _Client()
        broker.error = NotEnoughReplicasError("too few")
        client.parts.put_nowait(b"{}\n{}\n")
        endpoint = _endpoint(broker, RecordStreams(lambda: 1))
        serving = asyncio.ensure_future(endpoint.post(client.exchange, "POST", "t"))
        await _turns()
        broker.error = None
        client.parts.put_nowait(b"{}\n")
        client.parts.put_nowait(None)
        await asyncio.wait_for(serving, 10)
        errors = [each.get("error") for each in client.reports]
        assert errors == ["NOT_ENOUGH_REPLICAS", "NOT_ENOUGH_REPLICAS", None, None]

    asyncio.run(scenario())


def test_the_answer_begins_at_once_unless_the_client_waits_to_be_asked() -> None:
    async def scenario(client: _Client) -> int | None:
        client.parts.put_nowait(b"{}\n")
        client.parts.put_nowait(None)
        await _endpoint(_Broker(), RecordStreams(lambda: 1)).post(client.exchange, "POST", "t")
        return client.began_at

    assert asyncio.run(scenario(_Client())) == 0
    assert asyncio.run(scenario(_Client([(b"expect", b"100-continue")]))) == 1


@pytest.mark.parametrize("coding", [b"zstd", b"br"])
def test_a_coding_that_cannot_be_read_is_refused_before_the_answer_begins(coding: bytes) -> None:
    async def scenario() -> None:
        client = _Client([(b"content-encoding", coding)])
        client.parts.put_nowait(None)
        with pytest.raises(UnsupportedMediaTypeError):
            await _endpoint(_Broker(), RecordStreams(lambda: 1)).post(client.exchange, "POST", "t")
        assert client.began_at is None

    asyncio.run(scenario())
