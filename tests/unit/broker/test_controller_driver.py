"""The controller's driver, with a store in memory: terms of office begin and end."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import pytest

from kafkalite.broker.controller_driver import ControllerDriver
from kafkalite.broker.metadata_view import ClusterUpdate
from kafkalite.broker.ports import (
    ControllerClaim,
    StoreConflictError,
    StoreUnavailableError,
)
from kafkalite.controller.events import StateChange
from kafkalite.controller.machine import RETRY_AFTER_MS
from kafkalite.controller.policy import ControllerPolicy
from kafkalite.model.cluster import PartitionState, Topic
from kafkalite.model.ids import NO_LEADER, BrokerId, TopicId, TopicPartition
from tests.support.fake_clock import FakeClock
from tests.support.fake_metadata import FakeMetadata, FakeMetadataStore, fake_brokers
from tests.support.fake_peers import SilentPeers

_T0 = TopicPartition("t", 0)
_TOPIC = Topic("t", TopicId("A"), {0: (BrokerId(0), BrokerId(1))})
_DEADLINE_S = 5.0


def _driver(
    store: FakeMetadataStore, broker: int = 0, clock: FakeClock | None = None
) -> ControllerDriver:
    return ControllerDriver(
        store.view,
        store,
        lambda: BrokerId(broker),
        clock=clock or FakeClock(),
        policy=ControllerPolicy,
        peers=SilentPeers(),
    )


async def _until(store: FakeMetadataStore, predicate: Callable[[], bool]) -> None:
    assert await store.view.wait_until(predicate, _DEADLINE_S)


async def _turns() -> None:
    """Let everything that can run do so."""
    for _ in range(50):
        await asyncio.sleep(0)


async def _ruling(driver: ControllerDriver) -> None:
    await _turns()
    assert driver.claim is not None


def _leader(store: FakeMetadataStore) -> int | None:
    state = store.view.states.get(_T0)
    return None if state is None else state.leader


def _cluster(brokers: int = 2) -> tuple[FakeMetadata, FakeMetadataStore]:
    metadata = FakeMetadata()
    for broker in fake_brokers(range(brokers)):
        metadata.register(broker)
    return metadata, metadata.member()


def test_a_topic_gets_leaders_and_follows_its_brokers() -> None:
    async def scenario() -> None:
        metadata, store = _cluster()
        driver = _driver(store, broker=2)
        driver.start()
        await store.create_topic(_TOPIC)
        await _until(store, lambda: _leader(store) == 0)
        metadata.unregister(BrokerId(0))
        await _until(store, lambda: _leader(store) == 1)
        metadata.unregister(BrokerId(1))
        await _until(store, lambda: _leader(store) == NO_LEADER)
        metadata.register(fake_brokers([1])[0])
        await _until(store, lambda: _leader(store) == 1)
        await driver.stop()

    asyncio.run(scenario())


def test_a_new_controller_goes_on_where_the_old_one_ended() -> None:
    async def scenario() -> None:
        metadata, store = _cluster()
        other = metadata.member()
        first, second = _driver(store, 0), _driver(other, 1)
        first.start()
        await _until(store, lambda: metadata.controller == 0)
        second.start()
        await store.create_topic(_TOPIC)
        await _until(store, lambda: _leader(store) == 0)
        await first.stop()
        metadata.unregister(BrokerId(0))
        await _until(other, lambda: metadata.controller == 1 and _leader(other) == 1)
        assert other.view.states[_T0].controller_epoch == 2
        await second.stop()

    asyncio.run(scenario())


def test_a_suspended_controller_does_nothing_and_a_resumed_one_catches_up() -> None:
    async def scenario() -> None:
        _, store = _cluster()
        driver = _driver(store)
        driver.start()
        await _ruling(driver)
        driver.suspend()
        assert driver.claim is None
        await store.create_topic(_TOPIC)
        await _turns()
        assert _leader(store) is None
        driver.resume()
        driver.resume()
        await _until(store, lambda: _leader(store) == 0)
        await driver.stop()

    asyncio.run(scenario())


def test_a_controller_whose_office_is_taken_ends_its_term() -> None:
    async def scenario() -> None:
        metadata, store = _cluster()
        driver = _driver(store)
        driver.start()
        await _ruling(driver)
        metadata.controller, metadata.controller_epoch = BrokerId(1), 9
        store.view.apply(ClusterUpdate(controller=(BrokerId(1),)))
        await store.create_topic(_TOPIC)
        await _turns()
        assert driver.claim is None
        assert _leader(store) is None
        await driver.stop()

    asyncio.run(scenario())


def test_a_fenced_write_ends_the_term(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        metadata, store = _cluster()
        driver = _driver(store)
        driver.start()
        await _ruling(driver)
        metadata.controller_epoch += 1  # somebody was elected and the view does not show it yet
        await store.create_topic(_TOPIC)
        await _until(store, lambda: _leader(store) == 0)
        claim = driver.claim
        assert claim is not None
        assert claim.epoch == 2
        await driver.stop()

    asyncio.run(scenario())
    assert "no longer the controller" in caplog.text


class FlakyStore(FakeMetadataStore):
    """Fails the next write of states with what it is given."""

    failure: Exception | None = None

    async def write_states(
        self, claim: ControllerClaim, changes: Sequence[StateChange]
    ) -> Mapping[TopicPartition, PartitionState | None]:
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        return await super().write_states(claim, changes)


@pytest.mark.slow
@pytest.mark.parametrize("failure", [StoreUnavailableError("away"), ZeroDivisionError("a bug")])
def test_a_term_that_failed_is_followed_by_another(failure: Exception) -> None:
    async def scenario() -> None:
        metadata, _ = _cluster()
        store = FlakyStore(metadata, metadata.member().view)
        store.failure = failure
        driver = _driver(store)
        driver.start()
        await store.create_topic(_TOPIC)
        await _until(store, lambda: _leader(store) == 0)
        await driver.stop()

    asyncio.run(scenario())


def test_a_conflict_is_tried_again_when_the_machine_says() -> None:
    async def scenario() -> None:
        metadata, _ = _cluster()
        store = FlakyStore(metadata, metadata.member().view)
        store.failure = StoreConflictError("somebody keeps changing it")
        clock = FakeClock()
        driver = _driver(store, clock=clock)
        driver.start()
        await _ruling(driver)
        await store.create_topic(_TOPIC)
        await _turns()
        assert _leader(store) is None
        clock.now_ms = RETRY_AFTER_MS
        await store.update_topic_config("t", lambda config: {**config, "a": "b"})
        await _until(store, lambda: _leader(store) == 0)
        await driver.stop()

    asyncio.run(scenario())


def test_a_driver_that_was_never_started_can_be_stopped() -> None:
    async def scenario() -> None:
        _, store = _cluster()
        driver = _driver(store)
        driver.suspend()
        driver.resume()
        await driver.stop()
        assert driver.claim is None

    asyncio.run(scenario())
