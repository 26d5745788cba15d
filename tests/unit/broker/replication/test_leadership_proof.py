"""How long it is believed that a broker leads what it takes itself to lead."""

import asyncio

import pytest

from kafkalite.broker.ports import StoreUnavailableError
from kafkalite.broker.replication import leadership_proof
from kafkalite.broker.replication.leadership_proof import LeadershipProof
from tests.support.fake_clock import FakeClock
from tests.support.forwarding import up_to_date


def test_a_proof_counts_from_when_it_was_asked_for() -> None:
    clock = FakeClock(5_000)

    async def slowly() -> None:
        clock.now_ms += 400

    proof = LeadershipProof(slowly, clock)
    assert not proof.is_fresh
    asyncio.run(proof.renew())
    assert proof.is_fresh
    clock.now_ms = 5_999
    assert proof.is_fresh
    clock.now_ms = 6_000
    assert not proof.is_fresh


def test_a_process_that_was_stopped_while_it_asked_has_to_ask_again() -> None:
    clock = FakeClock()

    async def is_stopped() -> None:
        clock.now_ms += 30_000

    proof = LeadershipProof(is_stopped, clock)
    asyncio.run(proof.renew())
    assert not proof.is_fresh


def test_no_answer_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leadership_proof, "_PATIENCE_S", 0.01)

    async def never() -> None:
        await asyncio.Event().wait()

    async def fails() -> None:
        raise StoreUnavailableError("no connection")

    clock = FakeClock()
    for catch_up in (never, fails):
        proof = LeadershipProof(catch_up, clock)
        asyncio.run(proof.renew())
        assert not proof.is_fresh
    proof = LeadershipProof(up_to_date, clock)
    asyncio.run(proof.renew())
    assert proof.is_fresh
