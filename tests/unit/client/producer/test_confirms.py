import asyncio

import pytest

from kafkalite.client.producer.confirms import Confirms
from kafkalite.client.producer.delivery import Delivery
from kafkalite.client.producer.producer_batch import ProducerBatch
from kafkalite.client.producer.record_metadata import RecordMetadata
from kafkalite.model.compression import Compression
from kafkalite.model.errors import PolicyViolationError
from tests.support.on_loop import on_loop


def _batch() -> ProducerBatch:
    batch = ProducerBatch("t", 0, now_ms=5, now_s=0.0, deadline_s=9.0)
    for value in (b"a", b"b"):
        batch.add(value, None, (), None, 20)
    batch.close(Compression.NONE)
    return batch


def test_each_record_is_acked_or_nacked_by_its_tag() -> None:
    told: list[object] = []
    confirms = Confirms(
        on_ack=lambda tag, metadata: told.append((tag, metadata)),
        on_nack=lambda tag, error: told.append((tag, str(error))),
    )
    good, bad = _batch(), _batch()
    tags = [confirms.track(Delivery(batch, 1)) for batch in (good, bad)]
    assert tags == [1, 2]
    assert confirms.outstanding == 2
    bad.finish(PolicyViolationError("no"))
    good.finish(base_offset=8)
    assert told == [(2, "no"), (1, RecordMetadata("t", 0, 9, 5))]
    assert confirms.outstanding == 0


def test_a_batch_is_confirmed_when_all_of_it_is() -> None:
    confirms = Confirms()
    batch = _batch()
    for index in range(2):
        confirms.track(Delivery(batch, index))
    with pytest.raises(TimeoutError, match="2 records"):
        confirms.wait_for_confirms(0)
    batch.finish(base_offset=0)
    assert confirms.wait_for_confirms(0)


def test_a_nack_is_told_once() -> None:
    confirms = Confirms()
    batch = _batch()
    confirms.track(Delivery(batch, 0))
    batch.finish(PolicyViolationError())
    assert not confirms.wait_for_confirms(0)
    assert confirms.wait_for_confirms(0)


def test_a_callback_that_fails_confirms_all_the_same() -> None:
    confirms = Confirms(on_ack=lambda tag, metadata: 1 // 0)
    batch = _batch()
    confirms.track(Delivery(batch, 0))
    batch.finish(base_offset=0)
    assert confirms.wait_for_confirms(0)


@on_loop
async def test_confirms_are_awaited_on_a_loop() -> None:
    confirms = Confirms()
    assert await confirms.confirmed()
    batch = _batch()
    confirms.track(Delivery(batch, 0))
    waiting = asyncio.ensure_future(confirms.confirmed())
    await asyncio.sleep(0)
    batch.finish(PolicyViolationError())
    assert not await waiting


def test_a_loop_that_has_ended_keeps_nobody_else_waiting() -> None:
    confirms = Confirms()
    batch = _batch()
    confirms.track(Delivery(batch, 0))

    async def leave_off() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await confirms.confirmed()

    asyncio.run(leave_off())
    told: list[bool] = []
    confirms._waiters.append(lambda: told.append(True))
    batch.finish(base_offset=0)
    assert told == [True]
