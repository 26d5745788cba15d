"""The producer's core on a loop, over brokers in memory that fail as a test says."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from kafkalite.client.errors import BufferExhaustedError, ClosedError, DeliveryTimeoutError
from kafkalite.client.producer.core import ProducerCore
from kafkalite.client.producer.delivery import Delivery
from kafkalite.client.producer.producer_batch import ProducerBatch
from kafkalite.model.errors import (
    LogError,
    MessageTooLargeError,
    NetworkError,
    PolicyViolationError,
    RequestTooLargeError,
    UnknownTopicOrPartitionError,
    UnsupportedVersionError,
)
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.batch import Buffer, header_at
from kafkalite.wire.messages import ProduceResponse
from tests.support.idempotent_brokers import Faults, IdempotentBrokers, JsonReply
from tests.support.on_loop import on_loop, until
from tests.support.producers import open_core

PLACE = TopicPartition("t", 0)


async def _send(
    core: ProducerCore[int], value: bytes, *, topic: str = "t", partition: int | None = None
) -> Delivery:
    return await core.wait_on_loop(core.taking(topic, value, None, partition))


class _Refusals(Faults):
    """Refuses whatever comes."""

    def refusal(self, place: TopicPartition) -> LogError | None:
        return PolicyViolationError("not here")


class _Answers(Faults):
    """Fails each answer as often as told."""

    def __init__(self, *failures: Exception | None) -> None:
        self.failures = list(failures)

    def after(self) -> Exception | None:
        return self.failures.pop(0) if self.failures else None


@on_loop
async def test_a_record_is_stored_and_says_where() -> None:
    brokers = IdempotentBrokers({"t": 1})
    async with open_core(brokers) as core:
        for offset in range(3):
            delivery = await _send(core, b"%d" % offset)
            metadata = await delivery
            assert (metadata.topic, metadata.partition, metadata.offset) == ("t", 0, offset)
    assert brokers.values("t") == [b"0", b"1", b"2"]


@on_loop
async def test_records_wait_for_company_as_long_as_linger_says() -> None:
    brokers = IdempotentBrokers({"t": 1})
    async with open_core(brokers, linger_ms=60_000, delivery_timeout_ms=120_000) as core:
        first = await _send(core, b"a")
        for _ in range(50):
            await asyncio.sleep(0)
        assert not brokers.requests
        await _send(core, b"b")
        assert await core.flush(10)
        assert len(brokers.requests) == 1
        assert (await first).offset == 0
        third = await _send(core, b"c")
        for _ in range(50):
            await asyncio.sleep(0)
        assert not third.is_done


@on_loop
async def test_records_that_have_waited_are_sent() -> None:
    brokers = IdempotentBrokers({"t": 1})
    async with open_core(brokers, linger_ms=5) as core:
        deliveries = [await _send(core, b"%d" % number) for number in range(10)]
        async with asyncio.timeout(10):
            await deliveries[-1]
    assert len(brokers.requests) == 1


@pytest.mark.parametrize("end", ["stored", "refused", "given up", "closed"])
@on_loop
async def test_a_flush_does_not_miss_what_is_about_to_be_settled(
    monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """As a thread may begin to flush at any moment, and then ask whether a record is done."""
    brokers = IdempotentBrokers({"t": 1})
    if end == "refused":
        brokers.faults = _Refusals()
    elif end != "stored":
        brokers.is_answering.clear()
    finish = ProducerBatch.finish
    is_found: list[bool] = []
    async with open_core(
        brokers, request_timeout_ms=20, delivery_timeout_ms=30, batch_size=0
    ) as core:

        def watched(batch: ProducerBatch, *given: Any, **named: Any) -> None:
            is_found.append(batch in core.accumulator.unfinished())
            finish(batch, *given, **named)

        monkeypatch.setattr(ProducerBatch, "finish", watched)
        for number in range(7):
            await _send(core, b"%d" % number)
        if end == "closed":
            await core.close(0)
        else:
            assert await core.flush(10)
        assert is_found == [True] * 7
        assert core.accumulator.unfinished() == []


@on_loop
async def test_closing_sends_what_was_taken_and_takes_nothing_more() -> None:
    brokers = IdempotentBrokers({"t": 1})
    async with open_core(brokers, linger_ms=60_000, delivery_timeout_ms=120_000) as core:
        delivery = await _send(core, b"a")
        await core.close(None)
        assert (await delivery).offset == 0
        with pytest.raises(ClosedError):
            await _send(core, b"b")


@on_loop
async def test_closing_gives_up_after_its_time_and_says_so_of_each_record() -> None:
    brokers = IdempotentBrokers({"t": 1})
    brokers.is_answering.clear()
    async with open_core(brokers) as core:
        deliveries = [await _send(core, b"%d" % number) for number in range(3)]
        await core.close(0.02)
        for delivery in deliveries:
            with pytest.raises(ClosedError, match="before it was sent"):
                await delivery
        assert core.memory.free == core.memory.total
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


@on_loop
async def test_memory_is_bounded_under_brokers_that_do_not_answer() -> None:
    brokers = IdempotentBrokers({"t": 1})
    brokers.is_answering.clear()
    async with open_core(brokers, buffer_memory=50_000, batch_size=5_000, max_block_ms=20) as core:
        taken: list[Delivery] = []

        async def fill() -> None:
            while True:
                taken.append(await _send(core, b"x" * 500))

        with pytest.raises(BufferExhaustedError, match=r"max\.block\.ms .20.*raise one of the two"):
            await fill()
        assert 70 < len(taken) < 100
        held = sum(len(batch.body) for batch in core.accumulator.unfinished())
        assert held <= 50_000
        brokers.is_answering.set()
        taken.append(await _send(core, b"y"))  # goes on as soon as there is room
        assert await core.flush(10)
        assert [(await delivery).offset for delivery in taken] == list(range(len(taken)))
        assert core.memory.free == core.memory.total


@on_loop
async def test_a_record_waits_for_memory_that_others_give_back() -> None:
    brokers = IdempotentBrokers({"t": 1})
    async with open_core(brokers, buffer_memory=2_000, batch_size=1_000) as core:
        for number in range(200):
            await _send(core, b"%03d" % number + b"x" * 300)
        assert await core.flush(10)
    assert [value[:3] for value in brokers.values("t") if value] == [
        b"%03d" % n for n in range(200)
    ]


@on_loop
async def test_many_values_larger_than_the_memory_go_through() -> None:
    brokers = IdempotentBrokers({"t": 1})
    values = [b"%04d" % number * 20 for number in range(1_000)]
    async with open_core(brokers, buffer_memory=20_000, batch_size=5_000) as core:
        deliveries = await core.wait_on_loop(core.taking_many("t", values))
        offsets = [metadata.offset for metadata in await deliveries]
    assert offsets == list(range(1_000))
    assert brokers.values("t") == values


@on_loop
async def test_no_more_requests_are_in_flight_than_may_be() -> None:
    brokers = IdempotentBrokers({"t": 1})
    async with open_core(brokers, batch_size=0) as core:
        brokers.is_answering.clear()
        for number in range(20):
            await _send(core, b"%d" % number)
        await until(lambda: len(brokers.requests) == 5)
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(brokers.requests) == brokers.most_in_flight == 5
        brokers.is_answering.set()
        assert await core.flush(10)
    assert brokers.most_in_flight == 5


@on_loop
async def test_a_request_carries_many_partitions_within_its_size() -> None:
    brokers = IdempotentBrokers({"t": 40})
    async with open_core(brokers, max_request_size=20_000, linger_ms=5) as core:
        for number in range(40):
            await _send(core, b"x" * 1_500, partition=number)
        assert await core.flush(10)
    sizes = [sum(len(each.batches) for each in request.partitions) for request in brokers.requests]
    assert max(sizes) <= 20_000
    assert len(sizes) < 10


@on_loop
async def test_a_batch_whose_answer_is_lost_is_sent_again_and_stored_once() -> None:
    brokers = IdempotentBrokers({"t": 1})
    brokers.faults = _Answers(NetworkError(), NetworkError())
    async with open_core(brokers) as core:
        assert (await (await _send(core, b"a"))).offset == 0
    assert len(brokers.requests) == 3
    assert brokers.values("t") == [b"a"]


@on_loop
async def test_the_leader_that_is_named_is_asked_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    brokers = IdempotentBrokers({"t": 1}, brokers=2)
    brokers.leaders[PLACE] = 1
    refreshed: list[object] = []

    async def refresh(topics: object, /) -> None:
        refreshed.append(topics)

    monkeypatch.setattr(brokers, "refresh", refresh)
    async with open_core(brokers) as core:
        await (await _send(core, b"a"))
    assert len(brokers.requests) == 2
    assert not refreshed


@on_loop
async def test_a_partition_without_a_leader_waits_for_one() -> None:
    brokers = IdempotentBrokers({"t": 1})
    brokers.leaders[PLACE] = brokers.known[PLACE] = None
    async with open_core(brokers) as core:
        delivery = await _send(core, b"a")
        for _ in range(20):
            await asyncio.sleep(0)
        assert not brokers.requests
        brokers.leaders[PLACE] = 0
        async with asyncio.timeout(10):
            await delivery


@on_loop
async def test_a_record_is_given_up_when_nobody_acknowledges_it_in_time() -> None:
    brokers = IdempotentBrokers({"t": 1})
    brokers.is_answering.clear()
    async with open_core(
        brokers, request_timeout_ms=20, delivery_timeout_ms=30, batch_size=0
    ) as core:
        under_way = [await _send(core, b"%d" % number) for number in range(7)]
        async with asyncio.timeout(10):
            for delivery in under_way:
                with pytest.raises(DeliveryTimeoutError, match=r"delivery\.timeout\.ms"):
                    await delivery
        brokers.is_answering.set()
        await until(lambda: core.memory.free == core.memory.total)
        # The partition goes on, whichever of those were stored after all.
        async with asyncio.timeout(10):
            last = await (await _send(core, b"last"))
    assert brokers.values("t")[last.offset] == b"last"


@on_loop
async def test_a_batch_that_the_topic_finds_too_large_goes_in_parts() -> None:
    brokers = IdempotentBrokers({"t": 1})
    brokers.logs[PLACE].max_bytes = 1_000
    async with open_core(brokers, linger_ms=5) as core:
        deliveries = [await _send(core, b"%02d" % number * 50) for number in range(40)]
        large = await _send(core, b"x" * 2_000)
        after = [await _send(core, b"after")]
        assert await core.flush(10)
        assert [(await delivery).offset for delivery in deliveries] == list(range(40))
        with pytest.raises(MessageTooLargeError):
            await large
        assert [(await delivery).offset for delivery in after] == [40]
        assert core.memory.free == core.memory.total


@on_loop
async def test_a_refusal_for_good_is_the_records_and_nobody_elses() -> None:
    class Once(Faults):
        is_due = True

        def refusal(self, place: TopicPartition) -> LogError | None:
            is_due, self.is_due = self.is_due, False
            return PolicyViolationError("not here") if is_due else None

    brokers = IdempotentBrokers({"t": 1})
    brokers.faults = Once()
    async with open_core(brokers, batch_size=0) as core:
        deliveries = [await _send(core, b"%d" % number) for number in range(7)]
        assert await core.flush(10)
        with pytest.raises(PolicyViolationError, match="not here"):
            await deliveries[0]
        assert [(await delivery).offset for delivery in deliveries[1:]] == [0, 1, 2, 3, 4, 5]
    assert header_at(brokers.requests[-1].partitions[0].batches, 0).producer_epoch == 1


@on_loop
async def test_brokers_without_producer_ids_are_told_of_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    brokers = IdempotentBrokers({"t": 1})

    async def request(*_: object) -> JsonReply:
        return JsonReply(404, b'{"error":"PATH_NOT_FOUND"}')

    monkeypatch.setattr(brokers, "request", request)
    async with open_core(brokers) as core:
        with pytest.raises(UnsupportedVersionError, match=r"enable\.idempotence=false"):
            await (await _send(core, b"a"))


@on_loop
async def test_a_topic_is_created_where_brokers_do_that() -> None:
    brokers = IdempotentBrokers({})
    brokers.creates_topics = True
    async with open_core(brokers) as core:
        assert (await (await _send(core, b"a", topic="new"))).topic == "new"
        brokers.creates_topics = False
        with pytest.raises(UnknownTopicOrPartitionError):
            await _send(core, b"a", topic="other")


@on_loop
async def test_partitions_that_a_topic_gets_are_used_once_metadata_is_old() -> None:
    brokers = IdempotentBrokers({"t": 1})
    async with open_core(brokers, metadata_max_age_ms=0) as core:
        await (await _send(core, b"a"))
        brokers.topics["t"] = 2
        async with asyncio.timeout(10):
            while len(core.accumulator.topics["t"].queues) < 2:
                await (await _send(core, b"a", partition=0))


@on_loop
async def test_callbacks_come_in_order_and_may_send() -> None:
    brokers = IdempotentBrokers({"t": 1})
    called: list[int] = []
    async with open_core(brokers, batch_size=0) as core:

        def on_done(delivery: Delivery) -> None:
            called.append(delivery.result(0).offset)
            if len(called) == 1:
                core.accumulator.append("t", b"from a callback")

        for number in range(10):
            (await _send(core, b"%d" % number)).add_done_callback(on_done)
        assert await core.flush(10)
        assert await core.flush(10)
    assert called == list(range(10))
    assert brokers.values("t")[-1] == b"from a callback"


@on_loop
async def test_a_delivery_may_be_awaited_on_another_loop() -> None:
    brokers = IdempotentBrokers({"t": 1})
    brokers.is_answering.clear()
    async with open_core(brokers) as core:
        delivery = await _send(core, b"a")
        found: list[int] = []

        async def wait() -> None:
            found.append((await delivery).offset)

        thread = threading.Thread(target=lambda: asyncio.run(wait()))
        thread.start()
        brokers.is_answering.set()
        await until(lambda: found)
        thread.join()
    assert found == [0]


@on_loop
async def test_to_stop_awaiting_a_delivery_leaves_the_others() -> None:
    brokers = IdempotentBrokers({"t": 1})
    brokers.is_answering.clear()
    async with open_core(brokers) as core:
        delivery = await _send(core, b"a")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await delivery
        brokers.is_answering.set()
        assert (await delivery).offset == 0


@on_loop
async def test_partitions_of_one_broker_share_the_requests_that_may_be_in_flight() -> None:
    brokers = IdempotentBrokers({"t": 12})
    brokers.is_answering.clear()
    async with open_core(
        brokers, max_in_flight_requests_per_connection=2, max_request_size=300
    ) as core:
        for number in range(12):
            await _send(core, b"x" * 150, partition=number)
        await until(lambda: len(brokers.requests) == 2)
        for _ in range(50):
            await asyncio.sleep(0)
        brokers.is_answering.set()
        assert await core.flush(10)
    assert len(brokers.requests) == 12
    assert brokers.most_in_flight == 2


@on_loop
async def test_a_partition_that_always_has_something_to_send_does_not_keep_others_from_it() -> None:
    brokers = IdempotentBrokers({"t": 2})
    async with open_core(
        brokers, batch_size=0, max_in_flight_requests_per_connection=1, max_request_size=300
    ) as core:
        left = 30

        def one_more() -> None:
            nonlocal left
            left -= 1
            if left > 0:
                core.accumulator.append("t", b"x" * 150, None, 0)

        brokers.on_request = one_more
        for _ in range(3):
            await _send(core, b"x" * 150, partition=0)
        other = await _send(core, b"y" * 150, partition=1)
        async with asyncio.timeout(10):
            await other
        assert left > 20, "it has its turn although there is more for the busy one"


@on_loop
async def test_a_request_that_the_broker_finds_too_large_goes_in_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    brokers = IdempotentBrokers({"t": 1})
    carry_out = brokers.produce

    async def produce(
        address: int, parts: Sequence[Buffer], timeout_s: float, /
    ) -> ProduceResponse:
        if sum(map(len, parts)) > 1_000:
            raise RequestTooLargeError
        return await carry_out(address, parts, timeout_s)

    monkeypatch.setattr(brokers, "produce", produce)
    async with open_core(brokers, linger_ms=5) as core:
        deliveries = [await _send(core, b"%02d" % number * 50) for number in range(40)]
        assert await core.flush(10)
        assert [(await delivery).offset for delivery in deliveries] == list(range(40))


@on_loop
async def test_partitions_that_a_topic_gets_are_used_also_where_another_topic_is_gone() -> None:
    brokers = IdempotentBrokers({"gone": 1, "t": 1})
    async with open_core(brokers, metadata_max_age_ms=0) as core:
        await (await _send(core, b"a", topic="gone"))
        await (await _send(core, b"a"))
        del brokers.topics["gone"]
        brokers.topics["t"] = 2
        async with asyncio.timeout(2):
            while len(core.accumulator.topics["t"].queues) < 2:
                await (await _send(core, b"a", partition=0))


@on_loop
async def test_an_answer_that_is_no_text_is_not_the_last_question_for_an_id(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    brokers = IdempotentBrokers({"t": 1})
    ask = brokers.request
    answers = [JsonReply(500, b'{"error":"\xff"}')]

    async def request(address: int, *rest: Any) -> JsonReply:
        return answers.pop() if answers else await ask(address, *rest)

    monkeypatch.setattr(brokers, "request", request)
    async with open_core(brokers) as core:
        async with asyncio.timeout(2):
            assert (await (await _send(core, b"a"))).offset == 0
