"""What a consumer asks about its group, of brokers that are calls."""

import asyncio

import pytest

from kafkalite.client.consumer.group_requests import GroupRequests
from kafkalite.model.errors import NetworkError
from kafkalite.transport.peer_reply import PeerReply
from tests.support.memory_brokers import MemoryBrokers


@pytest.mark.parametrize("content", [b"no msgpack", b"\x81\xa7offsets\x91\x81\xa5topic\xa1\xff"])
def test_an_answer_that_makes_no_sense_is_an_error_of_the_network(
    monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    brokers = MemoryBrokers()

    async def request(*_: object) -> PeerReply:
        return PeerReply(200, {}, content)

    monkeypatch.setattr(brokers, "request", request)
    with pytest.raises(NetworkError, match="is not a broker of kafkalite"):
        asyncio.run(GroupRequests(brokers, brokers, "g").committed(1))
