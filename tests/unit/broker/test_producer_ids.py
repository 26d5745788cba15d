"""Producer ids out of blocks."""

import asyncio

import pytest

from kafkalite.broker.ports import StoreUnavailableError
from kafkalite.broker.producer_ids import ProducerIds
from kafkalite.model.errors import CoordinatorNotAvailableError


class _Blocks:
    """Gives blocks of three, as slowly as a store does."""

    def __init__(self) -> None:
        self.claimed = 0
        self.is_available = True

    async def claim(self) -> range:
        await asyncio.sleep(0)
        if not self.is_available:
            raise StoreUnavailableError("away")
        self.claimed += 1
        return range(10 * self.claimed, 10 * self.claimed + 3)


def test_each_id_is_given_once_and_a_block_is_used_up_before_the_next() -> None:
    async def scenario() -> None:
        blocks = _Blocks()
        ids = ProducerIds(blocks.claim)
        assert [await ids.take() for _ in range(7)] == [10, 11, 12, 20, 21, 22, 30]

    asyncio.run(scenario())


def test_many_that_ask_at_once_share_blocks() -> None:
    async def scenario() -> None:
        blocks = _Blocks()
        ids = ProducerIds(blocks.claim)
        taken = await asyncio.gather(*(ids.take() for _ in range(8)))
        assert sorted(taken) == [10, 11, 12, 20, 21, 22, 30, 31]
        assert blocks.claimed == 3

    asyncio.run(scenario())


def test_no_id_is_given_while_no_block_can_be_claimed() -> None:
    async def scenario() -> None:
        blocks = _Blocks()
        ids = ProducerIds(blocks.claim)
        blocks.is_available = False
        with pytest.raises(CoordinatorNotAvailableError, match="away"):
            await ids.take()
        blocks.is_available = True
        assert await ids.take() == 10

    asyncio.run(scenario())
