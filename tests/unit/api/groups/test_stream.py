"""Streams of groups over HTTP: who reads too slowly is told, and then let go."""

import asyncio
from typing import Final

import pytest

from kafkalite.api.groups.stream import GroupStreamEndpoint
from kafkalite.api.streams import event_stream
from kafkalite.api.streams.event_stream import SlowReaderError
from kafkalite.broker.consumers.stream import StreamWorld
from kafkalite.broker.consumers.streams import GroupStreams
from kafkalite.model.ids import BrokerId, TopicPartition
from kafkalite.model.record import Record
from tests.support.fake_consumers import FakeGroups, FakePartitions
from tests.support.fake_peers import SilentPeers
from tests.support.stalling_client import StallingClient

_P0: Final = TopicPartition("t", 0)
_QUERY: Final = "topics=t&auto.offset.reset=earliest"


async def _listen(client: StallingClient) -> None:
    groups, partitions = FakeGroups(), FakePartitions(_P0)
    groups.assign(_P0)
    partitions.append(_P0, Record(b"1", None, 1))
    view = partitions.view()
    world = StreamWorld(groups, partitions, partitions, view, lambda: BrokerId(0), 45_000)
    streams = GroupStreams(world, lambda: 1)
    try:
        endpoint = GroupStreamEndpoint(streams, view, SilentPeers())
        await asyncio.wait_for(endpoint.listen(client.exchange, "GET", "g"), 10)
    finally:
        assert len(streams) == 0
        await streams.stop()


def test_who_takes_nothing_is_told_once_it_reads_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "WRITE_PATIENCE_S", 0.01)
    client = StallingClient(takes=2, refuses=1, query=_QUERY)
    asyncio.run(_listen(client))
    head, member, closed, end = client.sent
    assert head == b"head"
    assert member.startswith(b"event: member\nid: ")
    assert closed.startswith(b'event: closed\ndata: {"reason":')
    assert end == b""


def test_who_never_reads_again_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "WRITE_PATIENCE_S", 0.01)
    client = StallingClient(takes=2, refuses=9, query=_QUERY)
    with pytest.raises(SlowReaderError):
        asyncio.run(_listen(client))
    assert len(client.sent) == 2
