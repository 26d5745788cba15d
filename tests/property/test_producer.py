"""Producers against brokers that fail at random: each record once, in order, at its offset."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kafkalite.client.producer.core import ProducerCore
from kafkalite.client.producer.delivery import Delivery
from kafkalite.model.errors import (
    KafkaStorageError,
    LeaderNotAvailableError,
    NotEnoughReplicasError,
    PolicyViolationError,
    ThrottlingQuotaExceededError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import TopicPartition
from tests.support.idempotent_brokers import IdempotentBrokers, RandomFaults
from tests.support.producers import open_core

_PASSING = (
    LeaderNotAvailableError,
    NotEnoughReplicasError,
    ThrottlingQuotaExceededError,
    KafkaStorageError,
    UnknownTopicOrPartitionError,
)
"""Refusals after which nothing was stored, and that a producer tries again after."""


async def _send_all(
    core: ProducerCore[int], brokers: IdempotentBrokers, rng: random.Random, count: int
) -> dict[int, list[tuple[bytes, Delivery]]]:
    """Send numbered values here and there while leaders move; gives them by partition."""
    sent: dict[int, list[tuple[bytes, Delivery]]] = {0: [], 1: [], 2: []}
    for number in range(count):
        value = b"%d" % number + b"." * rng.randrange(40)
        partition = rng.choice((None, None, 0, 1, 2))
        key = rng.choice((None, None, b"k%d" % rng.randrange(5)))
        timestamp = rng.choice((None, None, None, 1_000 + rng.randrange(100)))
        delivery = await core.wait_on_loop(core.taking("t", value, key, partition, (), timestamp))
        sent[delivery.partition].append((value, delivery))
        if rng.random() < 0.2:
            await asyncio.sleep(0)
        if rng.random() < 0.02:
            place = TopicPartition("t", rng.randrange(3))
            brokers.leaders[place] = rng.choice((None, 0, 1))
    return sent


def _lead_all(brokers: IdempotentBrokers) -> None:
    for place in brokers.leaders:
        brokers.leaders[place] = 0


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32),
    probability=st.sampled_from([0.0, 0.05, 0.2, 0.4]),
    batch_size=st.sampled_from([0, 200, 2_000, 100_000]),
    max_in_flight=st.integers(1, 5),
    compression=st.sampled_from(["none", "lz4"]),
)
def test_idempotent_records_are_stored_once_in_order(
    seed: int, probability: float, batch_size: int, max_in_flight: int, compression: str
) -> None:
    async def run() -> None:
        rng = random.Random(seed)
        brokers = IdempotentBrokers({"t": 3}, brokers=2)
        faults = brokers.faults = RandomFaults(seed, probability, _PASSING)
        async with open_core(
            brokers,
            seed=seed,
            batch_size=batch_size,
            max_in_flight_requests_per_connection=max_in_flight,
            compression_type=compression,
            buffer_memory=100_000,
        ) as core:
            sent = await _send_all(core, brokers, rng, 300)
            _lead_all(brokers)
            faults.is_over = True
            assert await core.flush(30)
            for partition, records in sent.items():
                assert brokers.values("t", partition) == [value for value, _ in records]
                assert [delivery.result(0).offset for _, delivery in records] == list(
                    range(len(records))
                )
            assert core.memory.free == core.memory.total

    asyncio.run(run())


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32), batch_size=st.sampled_from([200, 2_000]))
def test_batches_that_are_refused_for_good_leave_the_others_once_in_order(
    seed: int, batch_size: int
) -> None:
    async def run() -> None:
        rng = random.Random(seed)
        brokers = IdempotentBrokers({"t": 3}, brokers=2)
        faults = brokers.faults = RandomFaults(
            seed, 0.1, (*_PASSING, PolicyViolationError, PolicyViolationError)
        )
        async with open_core(
            brokers,
            seed=seed,
            batch_size=batch_size,
            request_timeout_ms=100,
            delivery_timeout_ms=3_000,  # what is in doubt behind a gap ends so
        ) as core:
            sent = await _send_all(core, brokers, rng, 300)
            _lead_all(brokers)
            faults.is_over = True
            assert await core.flush(30)
            for partition, records in sent.items():
                stored = brokers.values("t", partition)
                kept = [value for value, delivery in records if delivery.exception(0) is None]
                # A batch that was in doubt and then refused for good may be stored all the same.
                assert [value for value in stored if value in set(kept)] == kept
                assert len(set(stored)) == len(stored)
                order = [value for value, _ in records]
                assert [value for value in order if value in set(stored)] == stored

    asyncio.run(run())


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_records_are_in_order_without_idempotence_when_there_are_retries(seed: int) -> None:
    async def run() -> None:
        rng = random.Random(seed)
        brokers = IdempotentBrokers({"t": 3}, brokers=2)
        faults = brokers.faults = RandomFaults(seed, 0.2, _PASSING)
        async with open_core(brokers, seed=seed, batch_size=200, enable_idempotence=False) as core:
            sent = await _send_all(core, brokers, rng, 300)
            _lead_all(brokers)
            faults.is_over = True
            assert await core.flush(30)
            for partition, records in sent.items():
                first_seen = list(dict.fromkeys(brokers.values("t", partition)))
                assert first_seen == [value for value, _ in records]

    asyncio.run(run())


@pytest.mark.parametrize("lost", [1, 3])
def test_a_producer_goes_on_after_a_leader_with_acks_1_lost_what_it_acknowledged(
    lost: int,
) -> None:
    async def run() -> None:
        brokers = IdempotentBrokers({"t": 1})
        async with open_core(brokers, acks=1, batch_size=0) as core:
            for number in range(6):
                await (await core.wait_on_loop(core.taking("t", b"%d" % number)))
            log = brokers.logs[TopicPartition("t", 0)]
            del log.records[-lost:]
            for producer in log.producers.values():
                for _ in range(lost):
                    if len(producer.batches) > 1:
                        producer.batches.pop()
            after = [await core.wait_on_loop(core.taking("t", b"after%d" % n)) for n in range(3)]
            assert await core.flush(10)
            assert [(await delivery).offset for delivery in after] == [6 - lost, 7 - lost, 8 - lost]

    asyncio.run(run())
