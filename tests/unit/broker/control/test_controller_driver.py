"""The controller's driver, with a store in memory: terms of office begin and end."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import pytest

from kafkalite.broker.control import death_watch
from kafkalite.broker.control.controller_driver import ControllerDriver
from kafkalite.broker.control.controller_term import MAX_ASKED
from kafkalite.broker.metadata_view import ClusterUpdate
from kafkalite.broker.ports import (
    ControllerClaim,
    Peers,
    StoreConflictError,
    StoreUnavailableError,
)
from kafkalite.controller.events import StateChange
from kafkalite.controller.machine import FIRST_BALANCE_AFTER_MS, RETRY_AFTER_MS
from kafkalite.controller.policy import ControllerPolicy
from kafkalite.model.cluster import PartitionState, Topic
from kafkalite.model.ids import NO_LEADER, BrokerId, LeaderEpoch, TopicId, TopicPartition
from kafkalite.model.reassignment import move
from kafkalite.wire.controller_messages import (
    BrokerUnreachable,
    ControllerReply,
    ElectionResult,
    ElectLeaders,
    LeaveRequest,
    ReplicaDamaged,
)
from tests.support.fake_clock import FakeClock
from tests.support.fake_metadata import FakeMetadata, FakeMetadataStore, fake_brokers
from tests.support.fake_peers import SilentPeers
from tests.support.scripted_peers import ScriptedPeers

_T0 = TopicPartition("t", 0)
_TOPIC = Topic("t", TopicId("A"), {0: (BrokerId(0), BrokerId(1))})
_POLICY = ControllerPolicy(rebalances_leaders=False)
_DEADLINE_S = 5.0


def _driver(
    store: FakeMetadataStore,
    broker: int = 0,
    clock: FakeClock | None = None,
    *,
    peers: Peers | None = None,
    policy: Callable[[], ControllerPolicy] = lambda: _POLICY,
) -> ControllerDriver:
    return ControllerDriver(
        store.view,
        store,
        lambda: BrokerId(broker),
        clock=clock or FakeClock(),
        policy=policy,
        peers=peers or SilentPeers(),
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
    """CTL-7 of docs/design/controller.md."""

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


# -- being asked -----------------------------------------------------------------------------------


async def _led(store: FakeMetadataStore, driver: ControllerDriver) -> None:
    """A driver that rules, and a topic of two replicas led by the first, broker 0."""
    driver.start()
    await store.create_topic(_TOPIC)
    await _until(store, lambda: _leader(store) == 0)


def test_who_does_not_rule_says_who_does() -> None:
    async def scenario() -> ControllerReply:
        _, store = _cluster()
        store.view.apply(ClusterUpdate(controller=(BrokerId(1),)))
        return await _driver(store).ask(LeaveRequest(0, 1))

    reply = asyncio.run(scenario())
    assert (reply.error, reply.controller_id) == ("NOT_CONTROLLER", 1)


def test_a_broker_that_refuses_connections_is_dead_until_it_accepts_them_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(death_watch, "LOOK_AGAIN_AFTER_S", 0)
    monkeypatch.setattr(death_watch, "WATCH_EVERY_S", 0)

    async def scenario() -> None:
        metadata, store = _cluster(3)
        peers = ScriptedPeers()
        driver = _driver(store, 2, peers=peers)
        await _led(store, driver)
        peers.dead = {0, 1}
        requests = [BrokerUnreachable(b.id, b.epoch) for b in store.view.brokers.values()]
        replies = await asyncio.gather(*map(driver.ask, requests))
        assert [reply.error for reply in replies] == ["", "", ""]
        await _until(store, lambda: _leader(store) == NO_LEADER)
        peers.dead = {0}
        await _until(store, lambda: _leader(store) == 1)
        assert metadata.brokers.keys() == {0, 1, 2}
        assert driver.elections == 2  # broker 1 led when broker 0 was found dead, and now again
        assert driver.unclean_elections == 0
        await driver.stop()
        assert driver.elections == 2

    asyncio.run(scenario())


def test_a_broker_that_accepts_connections_is_not_dead_whatever_others_say() -> None:
    async def scenario() -> None:
        _, store = _cluster()
        driver = _driver(store, peers=ScriptedPeers())
        await _led(store, driver)
        before = store.view.states[_T0]
        epoch = store.view.brokers[BrokerId(1)].epoch
        for request in (
            BrokerUnreachable(1, epoch),
            BrokerUnreachable(1, epoch - 1),
            BrokerUnreachable(9, 1),
        ):
            assert (await driver.ask(request)).error_code == 0
        await _turns()
        assert store.view.states[_T0] == before
        await driver.stop()

    asyncio.run(scenario())


def test_a_new_controller_looks_at_all_others_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(death_watch, "LOOK_AGAIN_AFTER_S", 0)

    async def scenario() -> None:
        _, store = _cluster()
        peers = ScriptedPeers()
        peers.dead = {0}
        driver = _driver(store, 2, peers=peers)
        await store.create_topic(_TOPIC)
        driver.start()
        await _until(store, lambda: _leader(store) == 1)
        await driver.stop()

    asyncio.run(scenario())


def test_a_broker_that_leaves_is_told_what_remains_when_all_is_moved_that_can_be() -> None:
    async def scenario() -> None:
        _, store = _cluster()
        driver = _driver(store, 2)
        await _led(store, driver)
        epoch = store.view.brokers[BrokerId(0)].epoch
        stale = await driver.ask(LeaveRequest(0, epoch - 1))
        assert stale.error == "STALE_BROKER_EPOCH"
        reply = await driver.ask(LeaveRequest(0, epoch))
        assert (reply.error_code, reply.remaining, reply.controller_id) == (0, 0, 2)
        assert (_leader(store), store.view.states[_T0].isr) == (1, (1,))
        # The last one has nobody left who could take over.
        reply = await driver.ask(LeaveRequest(1, store.view.brokers[BrokerId(1)].epoch))
        assert reply.remaining == 0
        assert _leader(store) == 1
        await driver.stop()

    asyncio.run(scenario())


def test_a_damaged_leader_is_replaced_or_told_that_nobody_can() -> None:
    async def scenario() -> None:
        _, store = _cluster()
        driver = _driver(store, 2)
        await _led(store, driver)
        reply = await driver.ask(ReplicaDamaged("t", 0, 0, 0))
        assert reply.error_code == 0
        assert _leader(store) == 1
        reply = await driver.ask(ReplicaDamaged("t", 0, 1, 1))
        assert reply.error == "ELIGIBLE_LEADERS_NOT_AVAILABLE"
        assert _leader(store) == 1
        await driver.stop()

    asyncio.run(scenario())


async def _write_isr(store: FakeMetadataStore, *isr: int) -> None:
    """As the leader of the topic's partition does it."""
    state = store.view.states[_T0]
    wanted = replace(state, isr=tuple(map(BrokerId, isr)))
    await store.write_isr([StateChange(_T0, wanted, state.version)])


def _errors(reply: ControllerReply) -> dict[str, str]:
    return {f"{one.topic}-{one.partition}": one.error for one in reply.elections}


def test_wished_elections_have_a_result_for_each_partition() -> None:
    async def scenario() -> None:
        _, store = _cluster()
        driver = _driver(store, 2)
        await _led(store, driver)
        await driver.ask(ReplicaDamaged("t", 0, 0, 0))
        wish = ElectLeaders("preferred", [("t", 0), ("t", 7)])
        reply = await driver.ask(wish)
        assert _errors(reply) == {
            "t-0": "PREFERRED_LEADER_NOT_AVAILABLE",
            "t-7": "UNKNOWN_TOPIC_OR_PARTITION",
        }
        await _write_isr(store, 1, 0)
        assert _errors(await driver.ask(wish))["t-0"] == ""
        assert _leader(store) == 0
        assert _errors(await driver.ask(wish))["t-0"] == "ELECTION_NOT_NEEDED"
        assert (await driver.ask(ElectLeaders("preferred"))).elections == []
        await driver.stop()

    asyncio.run(scenario())


def test_an_unclean_leader_is_elected_for_who_asks() -> None:
    async def scenario() -> None:
        metadata, store = _cluster()
        driver = _driver(store, 2)
        await _led(store, driver)
        metadata.unregister(BrokerId(1))
        await _until(store, lambda: store.view.states[_T0].isr == (0,))
        metadata.unregister(BrokerId(0))
        await _until(store, lambda: _leader(store) == NO_LEADER)
        wish = ElectLeaders("unclean")
        assert _errors(await driver.ask(wish)) == {"t-0": "ELIGIBLE_LEADERS_NOT_AVAILABLE"}
        metadata.register(fake_brokers([1])[0])
        assert (await driver.ask(wish)).elections == [ElectionResult("t", 0)]
        assert _leader(store) == 1
        assert driver.unclean_elections == 1
        await driver.stop()

    asyncio.run(scenario())


def test_who_waits_for_an_answer_is_told_when_the_term_ends() -> None:
    async def scenario() -> None:
        _, store = _cluster()
        driver = _driver(store)
        driver.start()
        await asyncio.sleep(0)
        asked = asyncio.create_task(driver.ask(LeaveRequest(0, 1)))
        await asyncio.sleep(0)
        driver.suspend()
        assert (await asked).error == "NOT_CONTROLLER"
        await driver.stop()

    asyncio.run(scenario())


# -- what else it does -----------------------------------------------------------------------------


def test_a_reassignment_is_carried_to_its_end() -> None:
    async def scenario() -> None:
        _, store = _cluster(3)
        driver = _driver(store, 3)
        await _led(store, driver)
        await store.update_topic("t", lambda topic: move(topic, 0, (BrokerId(2),)))
        await _write_isr(store, 0, 1, 2)
        await _until(store, lambda: store.view.topics["t"].assignment == {0: (2,)})
        assert store.view.states[_T0].leader == 2
        assert store.view.topics["t"].moving == frozenset()
        await driver.stop()

    asyncio.run(scenario())


def test_the_controllers_settings_can_change_while_it_rules() -> None:
    async def scenario() -> None:
        metadata, store = _cluster()
        policies = [_POLICY]
        driver = _driver(store, 2, policy=lambda: policies[-1])
        await _led(store, driver)
        metadata.unregister(BrokerId(1))
        await _until(store, lambda: store.view.states[_T0].isr == (0,))
        metadata.unregister(BrokerId(0))
        metadata.register(fake_brokers([1])[0])
        await _until(store, lambda: _leader(store) == NO_LEADER)
        policies.append(replace(_POLICY, elects_unclean=True))
        await store.update_broker_config("<default>", lambda config: {**config, "a": "b"})
        await _until(store, lambda: _leader(store) == 1)
        await driver.stop()

    asyncio.run(scenario())


def test_leaders_are_balanced_when_it_is_time() -> None:
    async def scenario() -> None:
        _, store = _cluster()
        clock = FakeClock()
        driver = _driver(store, 2, clock, policy=ControllerPolicy)
        await _led(store, driver)
        await driver.ask(ReplicaDamaged("t", 0, 0, 0))
        await _write_isr(store, 1, 0)
        await _turns()
        assert _leader(store) == 1
        clock.now_ms = FIRST_BALANCE_AFTER_MS
        await store.update_topic_config("t", lambda config: {**config, "a": "b"})
        await _until(store, lambda: _leader(store) == 0)
        assert store.view.states[_T0].leader_epoch == LeaderEpoch(2)
        await driver.stop()

    asyncio.run(scenario())


class SlowRemovals(FakeMetadataStore):
    """Removes a topic when a test says so."""

    may_remove: asyncio.Event

    async def remove_topic(self, claim: ControllerClaim, name: str) -> None:
        await self.may_remove.wait()
        await super().remove_topic(claim, name)


def test_a_failover_does_not_wait_for_a_topic_that_is_being_removed() -> None:
    async def scenario() -> None:
        metadata, _ = _cluster()
        store = SlowRemovals(metadata, metadata.member().view)
        store.may_remove = asyncio.Event()
        driver = _driver(store, 2)
        await _led(store, driver)
        await store.create_topic(replace(_TOPIC, name="u", topic_id=TopicId("B")))
        await _until(store, lambda: TopicPartition("u", 0) in store.view.states)
        await store.request_topic_deletion("u")
        await _turns()
        metadata.unregister(BrokerId(0))
        await _until(store, lambda: _leader(store) == 1)
        assert "u" in store.view.topics
        store.may_remove.set()
        await _until(store, lambda: "u" not in store.view.topics)
        await driver.stop()

    asyncio.run(scenario())


def test_an_errand_that_finds_the_office_lost_ends_the_term() -> None:
    async def scenario() -> None:
        metadata, store = _cluster()
        driver = _driver(store, 2)
        await _led(store, driver)
        metadata.controller_epoch += 1  # somebody was elected and the view does not show it yet
        await store.request_topic_deletion("t")
        await _until(store, lambda: "t" not in store.view.topics)
        assert driver.claim is not None
        assert driver.claim.epoch == metadata.controller_epoch
        await driver.stop()

    asyncio.run(scenario())


class ReluctantStore(FlakyStore):
    """Refuses what is asked of it for a moment: completions, removals and drops."""

    refusals = 0
    unreadable = False

    async def write_states(
        self, claim: ControllerClaim, changes: Sequence[StateChange]
    ) -> Mapping[TopicPartition, PartitionState | None]:
        if self.unreadable:
            return {}
        return await super().write_states(claim, changes)

    async def complete_reassignment(
        self, claim: ControllerClaim, name: str, partitions: Collection[int]
    ) -> None:
        self._refuse()
        await super().complete_reassignment(claim, name, partitions)

    async def remove_topic(self, claim: ControllerClaim, name: str) -> None:
        self._refuse()
        await super().remove_topic(claim, name)

    async def drop_deletion(self, claim: ControllerClaim, name: str) -> None:
        self._refuse()
        await super().drop_deletion(claim, name)

    def _refuse(self) -> None:
        if self.refusals:
            self.refusals -= 1
            raise StoreConflictError("somebody keeps changing it")


async def _pass(store: FakeMetadataStore, clock: FakeClock) -> None:
    """Time passes, and something happens that has the controller look."""
    await _turns()
    clock.now_ms += RETRY_AFTER_MS
    await store.update_broker_config("<default>", lambda config: {**config, "a": str(clock.now_ms)})


def _reluctant() -> tuple[FakeMetadata, ReluctantStore]:
    metadata, _ = _cluster(3)
    return metadata, ReluctantStore(metadata, metadata.member().view)


def test_errands_that_were_refused_are_run_again() -> None:
    async def scenario() -> None:
        metadata, store = _reluctant()
        clock = FakeClock()
        driver = _driver(store, 3, clock)
        await _led(store, driver)
        store.refusals = 1
        await store.update_topic("t", lambda topic: move(topic, 0, (BrokerId(1),)))
        await _pass(store, clock)
        await _until(store, lambda: not store.view.topics["t"].moving)
        store.refusals = 1
        await store.request_topic_deletion("t")
        await _pass(store, clock)
        await _until(store, lambda: "t" not in store.view.topics)
        store.refusals = 1
        metadata.deletions = frozenset({"nothing"})
        metadata.publish()
        await _pass(store, clock)
        await _until(store, lambda: not store.view.deletions)
        assert store.refusals == 0
        await driver.stop()

    asyncio.run(scenario())


def test_no_request_to_delete_a_topic_is_dropped_that_came_back_meanwhile() -> None:
    async def scenario() -> None:
        metadata, _ = _cluster(3)
        store = ReluctantStore(metadata, metadata.member().view)
        clock = FakeClock()
        driver = _driver(store, 3, clock)
        await _led(store, driver)
        metadata.deletions = frozenset({"t"})
        store.view.apply(ClusterUpdate(topics={"t": None}, deletions=metadata.deletions))
        await _turns()
        assert metadata.deletions == {"t"}
        await _pass(store, clock)
        await _until(store, lambda: not metadata.topics)
        assert not metadata.deletions
        await driver.stop()

    asyncio.run(scenario())


def test_what_cannot_be_read_is_written_later_and_who_wished_for_it_is_told() -> None:
    async def scenario() -> None:
        _, store = _reluctant()
        clock = FakeClock()
        driver = _driver(store, 3, clock)
        await _led(store, driver)
        await driver.ask(ReplicaDamaged("t", 0, 0, 0))
        await _write_isr(store, 1, 0)
        store.unreadable = True
        reply = await driver.ask(ElectLeaders("preferred", [("t", 0)]))
        assert _errors(reply) == {"t-0": "REQUEST_TIMED_OUT"}
        store.unreadable = False
        await _pass(store, clock)
        await _until(store, lambda: _leader(store) == 0)
        await driver.stop()

    asyncio.run(scenario())


def test_a_controller_is_asked_a_bounded_number_of_things_at_a_time() -> None:
    async def scenario() -> None:
        _, store = _cluster()
        driver = _driver(store)
        await _led(store, driver)
        request = LeaveRequest(1, store.view.brokers[BrokerId(1)].epoch)
        replies = await asyncio.gather(*(driver.ask(request) for _ in range(MAX_ASKED + 1)))
        assert [reply.error for reply in replies].count("REQUEST_TIMED_OUT") == 1
        assert (await driver.ask(request)).error_code == 0
        await driver.stop()

    asyncio.run(scenario())
