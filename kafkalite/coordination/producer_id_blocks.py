"""Blocks of producer ids, each given to one broker once and for all.

    /latest_producer_id_block   {"version":1,"broker":N,"block_start":"0","block_end":"999"}

Kafka's payload: the block that was given last, its end included. The next one begins behind it.
"""

from typing import Final

from kafkalite.broker.ports import StoreConflictError, StoreError
from kafkalite.coordination import json_payload, paths
from kafkalite.coordination.bridge import KazooBridge
from kafkalite.coordination.errors import BadVersionError, NodeExistsError
from kafkalite.coordination.json_payload import Members

BLOCK_SIZE: Final = 1_000
_MAX_ATTEMPTS: Final = 50
"""All brokers of a cluster may ask at the same time, and one of them comes through each time."""
_MAX_ID: Final = 2**63 - 1


async def claim_block(bridge: KazooBridge, broker_id: int) -> range:
    """Take the next block for a broker, by compare-and-set.

    Where the connection breaks it may be taken all the same: then nobody ever uses it.

    Raises:
        StoreError: ZooKeeper cannot be reached, holds something else, or there are no ids left.
    """
    path = paths.LATEST_PRODUCER_ID_BLOCK
    for _ in range(_MAX_ATTEMPTS):
        found = await bridge.get(path)
        try:
            if found is None:
                block = range(BLOCK_SIZE)
                await bridge.create(path, _encode(block, broker_id, {}))
            else:
                members = json_payload.decode(path, found.data)
                block = _after(path, members)
                await bridge.set(path, _encode(block, broker_id, members), found.version)
        except (BadVersionError, NodeExistsError):
            continue
        return block
    raise StoreConflictError(f"{path}: it keeps being changed by others")


def _after(path: str, members: Members) -> range:
    json_payload.member(path, members, "block_end", str)
    start = json_payload.decimal(path, members, "block_end") + 1
    if start + BLOCK_SIZE - 1 > _MAX_ID:
        raise StoreError(f"{path}: all producer ids have been given")
    return range(start, start + BLOCK_SIZE)


def _encode(block: range, broker_id: int, before: Members) -> bytes:
    return json_payload.encode(
        {
            **before,
            "version": 1,
            "broker": broker_id,
            "block_start": str(block.start),
            "block_end": str(block[-1]),
        }
    )
