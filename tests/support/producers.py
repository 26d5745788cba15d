"""Producers' cores for tests, over brokers in memory."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kafkalite.broker.system_clock import SystemClock
from kafkalite.client.producer.core import ProducerCore
from kafkalite.client.producer.settings import ProducerSettings
from kafkalite.model.clock import Clock
from tests.support.idempotent_brokers import IdempotentBrokers


def producer_core(
    brokers: IdempotentBrokers, *, clock: Clock | None = None, seed: int = 1, **settings: object
) -> ProducerCore[int]:
    """A core with `settings`, which does not pause between attempts; not opened."""
    return ProducerCore(
        ProducerSettings.of(settings).core_options(),
        brokers,
        brokers,
        clock=clock or SystemClock(),
        backoff_s=lambda _: 0.0,
        randrange=random.Random(seed).randrange,
    )


@asynccontextmanager
async def open_core(
    brokers: IdempotentBrokers, *, clock: Clock | None = None, seed: int = 1, **settings: object
) -> AsyncIterator[ProducerCore[int]]:
    """As `producer_core`, opened; closed at the end without a wait."""
    core = producer_core(brokers, clock=clock, seed=seed, **settings)
    core.open()
    try:
        yield core
    finally:
        await core.close(0)
