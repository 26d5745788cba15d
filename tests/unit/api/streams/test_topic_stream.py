"""Tails over HTTP: who reads too slowly is told, and then let go."""

import asyncio

import pytest

from kafkalite.api.streams import event_stream
from kafkalite.api.streams.event_stream import SlowReaderError
from kafkalite.api.streams.topic_stream import TopicStreamEndpoint
from kafkalite.broker.tails.tail import TailWorld
from kafkalite.broker.tails.tails import TopicTails
from kafkalite.model.errors import InvalidRequestError, MethodNotAllowedError, NotAcceptableError
from kafkalite.model.ids import TopicPartition
from kafkalite.model.record import Record
from tests.support.fake_consumers import FakePartitions
from tests.support.stalling_client import StallingClient

_P0 = TopicPartition("t", 0)


async def _listen(client: StallingClient) -> None:
    partitions = FakePartitions(_P0)
    partitions.append(_P0, Record(b"1", None, 1))
    tails = TopicTails(TailWorld(partitions, partitions, partitions.view()), lambda: 1)
    try:
        await asyncio.wait_for(TopicStreamEndpoint(tails).listen(client.exchange, "GET", "t"), 10)
    finally:
        assert len(tails) == 0


def test_who_takes_nothing_is_told_once_it_reads_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "WRITE_PATIENCE_S", 0.01)
    client = StallingClient(takes=2, refuses=1, query="from=earliest")
    asyncio.run(_listen(client))
    head, start, closed, end = client.sent
    assert head == b"head"
    assert start.startswith(b"event: start\nid: ")
    assert closed.startswith(b"event: closed\ndata: ")
    assert end == b""


def test_who_never_reads_again_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "WRITE_PATIENCE_S", 0.01)
    client = StallingClient(takes=2, refuses=9, query="from=earliest")
    with pytest.raises(SlowReaderError):
        asyncio.run(_listen(client))
    assert len(client.sent) == 2


@pytest.mark.parametrize(
    "query",
    [
        "from=1",
        "from=0:x",
        "from=0",
        "from=-1:2",
        "partitions=x",
        "at=soon",
        "at=1&from=latest",
        "max_records=0",
        "last.event.id=%21",
        "other=1",
        "from=" + ",".join(f"{number}:1" for number in range(1_001)),
    ],
)
def test_what_cannot_be_read_is_refused(query: str) -> None:
    client = StallingClient(9, 0, query)
    with pytest.raises(InvalidRequestError):
        asyncio.run(_listen(client))
    assert client.sent == []


def test_only_what_is_offered_is_sent_and_only_to_get() -> None:
    partitions = FakePartitions(_P0)
    tails = TopicTails(TailWorld(partitions, partitions, partitions.view()), lambda: 1)
    endpoint = TopicStreamEndpoint(tails)
    with pytest.raises(MethodNotAllowedError):
        asyncio.run(endpoint.listen(StallingClient(9, 0, "from=earliest").exchange, "POST", "t"))
    exchange = StallingClient(9, 0, "from=earliest").exchange
    exchange._scope["headers"] = [(b"accept", b"image/png")]
    with pytest.raises(NotAcceptableError):
        asyncio.run(endpoint.listen(exchange, "GET", "t"))
