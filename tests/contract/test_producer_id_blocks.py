"""Blocks of producer ids in ZooKeeper, the embedded one and Apache's: as Kafka writes them."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable

import pytest

from kafkalite.broker.ports import StoreError
from kafkalite.coordination import paths
from kafkalite.coordination.bridge import KazooBridge
from kafkalite.coordination.client import parse_connect
from kafkalite.coordination.errors import MalformedZnodeError
from kafkalite.coordination.producer_id_blocks import claim_block
from tests.support.zookeeper import ZooKeeperProcess

_PATH = paths.LATEST_PRODUCER_ID_BLOCK


def _run(zookeeper: ZooKeeperProcess, scenario: Callable[[KazooBridge], Awaitable[None]]) -> None:
    async def inside() -> None:
        connect = parse_connect(f"{zookeeper.hosts}/{uuid.uuid4().hex}")
        bridge = KazooBridge(connect, 6_000, lambda *_: None)
        await bridge.connect(10)
        try:
            await bridge.ensure("/")
            await scenario(bridge)
        finally:
            await bridge.close(5)

    asyncio.run(inside())


async def _stored(bridge: KazooBridge) -> dict[str, object]:
    found = await bridge.get(_PATH)
    assert found is not None
    members: dict[str, object] = json.loads(found.data)
    return members


def test_a_block_is_written_as_kafka_does_and_the_next_begins_behind_it(
    zookeeper: ZooKeeperProcess,
) -> None:
    async def scenario(bridge: KazooBridge) -> None:
        assert await claim_block(bridge, 3) == range(1_000)
        found = await bridge.get(_PATH)
        assert found is not None
        assert found.data == b'{"version":1,"broker":3,"block_start":"0","block_end":"999"}'
        assert await claim_block(bridge, 4) == range(1_000, 2_000)
        assert (await _stored(bridge))["broker"] == 4

    _run(zookeeper, scenario)


def test_a_block_of_another_size_is_gone_on_from_and_unknown_members_stay(
    zookeeper: ZooKeeperProcess,
) -> None:
    async def scenario(bridge: KazooBridge) -> None:
        kafkas = b'{"version":2,"broker":0,"block_start":"40","block_end":"41","more":true}'
        await bridge.create(_PATH, kafkas)
        assert await claim_block(bridge, 1) == range(42, 1_042)
        assert (await _stored(bridge))["more"] is True

    _run(zookeeper, scenario)


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (b"nonsense", MalformedZnodeError),
        (b'{"version":1}', MalformedZnodeError),
        (b'{"block_end":"x"}', MalformedZnodeError),
        (b'{"block_end":"9223372036854775000"}', StoreError),
    ],
)
def test_what_cannot_be_gone_on_from_is_refused_and_stays(
    zookeeper: ZooKeeperProcess, payload: bytes, error: type[StoreError]
) -> None:
    async def scenario(bridge: KazooBridge) -> None:
        await bridge.create(_PATH, payload)
        with pytest.raises(error):
            await claim_block(bridge, 1)
        found = await bridge.get(_PATH)
        assert found is not None
        assert found.data == payload

    _run(zookeeper, scenario)
