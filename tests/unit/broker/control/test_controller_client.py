"""How a broker reaches the controller, while the office goes from one to another."""

import asyncio

import pytest

from kafkalite.broker.control import death_watch
from kafkalite.broker.control.controller_client import ControllerClient
from kafkalite.broker.control.controller_driver import ControllerDriver
from kafkalite.broker.ports import StoreUnavailableError
from kafkalite.controller.policy import ControllerPolicy
from kafkalite.model.cluster import Broker
from kafkalite.model.ids import BrokerId
from kafkalite.transport.errors import PeerBrokenError
from kafkalite.wire.controller_messages import (
    BrokerUnreachable,
    ControllerReply,
    ControllerRequest,
    LeaveRequest,
)
from tests.support.fake_clock import FakeClock
from tests.support.fake_metadata import FakeMetadata, FakeMetadataStore, fake_brokers
from tests.support.scripted_peers import ScriptedPeers

_REQUEST = LeaveRequest(0, 1)
_NOT_CONTROLLER = ControllerReply(41, "NOT_CONTROLLER")


class Member:
    """Broker 0 of a cluster of three: its client, its driver, and how it sees the others."""

    def __init__(self, store: FakeMetadataStore | None = None) -> None:
        self.metadata = FakeMetadata() if store is None else store.metadata
        for broker in fake_brokers(range(3)):
            self.metadata.register(broker)
        self.store = store or self.metadata.member()
        self.peers = ScriptedPeers()
        view = self.store.view
        self.driver = ControllerDriver(
            view,
            self.store,
            lambda: BrokerId(0),
            clock=FakeClock(),
            policy=lambda: ControllerPolicy(rebalances_leaders=False),
            peers=self.peers,
        )
        self.client = ControllerClient(
            view, self.peers, self.driver, self.store, lambda: BrokerId(0)
        )

    def rule(self, controller: int | None) -> None:
        self.metadata.controller = None if controller is None else BrokerId(controller)
        self.metadata.publish()

    def answer(self, broker: int, *replies: ControllerReply) -> list[ControllerRequest]:
        """Have a broker answer with these in turn, the last one again and again."""
        asked: list[ControllerRequest] = []

        async def answer(request: ControllerRequest) -> ControllerReply:
            asked.append(request)
            return replies[min(len(asked), len(replies)) - 1]

        self.peers.answers[broker] = answer
        return asked

    def broker(self, number: int) -> Broker:
        return self.store.view.brokers[BrokerId(number)]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(death_watch, "LOOK_AGAIN_AFTER_S", 0)


async def _turns() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


def test_another_controller_is_asked_over_the_network() -> None:
    async def scenario() -> None:
        member = Member()
        member.rule(1)
        asked = member.answer(1, ControllerReply(remaining=7))
        reply = await member.client.ask(_REQUEST)
        assert reply.remaining == 7
        assert asked == [_REQUEST]

    asyncio.run(scenario())


def test_a_broker_that_rules_asks_itself() -> None:
    async def scenario() -> None:
        member = Member()
        member.driver.start()
        reply = await member.client.ask(LeaveRequest(1, member.broker(1).epoch))
        assert (reply.error_code, reply.controller_id) == (0, 0)
        await member.driver.stop()

    asyncio.run(scenario())


def test_who_rules_no_more_is_followed_by_who_does() -> None:
    async def scenario() -> None:
        member = Member()
        member.rule(1)
        member.answer(1, _NOT_CONTROLLER)
        member.answer(2, ControllerReply(controller_id=2))
        asked = asyncio.create_task(member.client.ask(_REQUEST))
        await _turns()
        member.rule(None)
        await _turns()
        member.rule(2)
        assert (await asked).controller_id == 2

    asyncio.run(scenario())


def test_a_controller_that_does_not_know_yet_that_it_rules_is_asked_again() -> None:
    async def scenario() -> None:
        member = Member()
        member.rule(1)
        asked = member.answer(1, _NOT_CONTROLLER, ControllerReply(controller_id=1))
        assert (await member.client.ask(_REQUEST)).controller_id == 1
        assert len(asked) == 2

    asyncio.run(scenario())


def test_a_controller_that_refuses_connections_twice_is_deposed() -> None:
    async def scenario() -> None:
        member = Member()
        member.rule(1)
        member.peers.dead = {1}
        member.driver.start()
        dead = member.broker(1)
        reply = await member.client.ask(BrokerUnreachable(dead.id, dead.epoch))
        assert member.metadata.controller == 0
        assert (reply.error_code, reply.controller_id) == (0, 0)
        await member.driver.stop()

    asyncio.run(scenario())


def test_a_controller_that_dies_while_it_is_asked_is_deposed() -> None:
    async def scenario() -> None:
        member = Member()
        member.rule(1)
        member.driver.start()

        async def die(_: ControllerRequest) -> ControllerReply:
            member.peers.dead = {1}
            raise PeerBrokenError("The connection was reset")

        member.peers.answers[1] = die
        assert (await member.client.ask(LeaveRequest(2, member.broker(2).epoch))).controller_id == 0
        await member.driver.stop()

    asyncio.run(scenario())


def test_a_controller_that_refused_one_connection_only_stays() -> None:
    async def scenario() -> None:
        member = Member()
        member.rule(1)
        member.peers.dead = {1}
        asked = asyncio.create_task(member.client.ask(_REQUEST))
        await member.peers.looked.wait()
        member.peers.dead = set()
        member.answer(1, ControllerReply(controller_id=1))
        assert (await asked).controller_id == 1
        assert member.metadata.controller == 1

    asyncio.run(scenario())


class Undeposable(FakeMetadataStore):
    """Cannot be reached when it is to depose somebody, the first time."""

    failures = 1

    async def depose(self, broker_id: BrokerId) -> None:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailableError("away")
        await super().depose(broker_id)


def test_a_deposition_that_failed_is_tried_again() -> None:
    async def scenario() -> None:
        metadata = FakeMetadata()
        member = Member(Undeposable(metadata, metadata.member().view))
        member.rule(1)
        member.peers.dead = {1}
        member.driver.start()
        assert (await member.client.ask(LeaveRequest(2, member.broker(2).epoch))).controller_id == 0
        await member.driver.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize("controller", [None, 1, 9])
def test_without_an_answer_the_request_times_out(controller: int | None) -> None:
    async def scenario() -> ControllerReply:
        member = Member()
        member.rule(controller)  # 1 does not answer, 9 is not registered
        return await member.client.ask(_REQUEST, timeout_s=0.01)

    assert asyncio.run(scenario()).error == "REQUEST_TIMED_OUT"


def test_a_suspect_is_reported_once_at_a_time() -> None:
    async def scenario() -> None:
        member = Member()
        member.rule(1)
        asked = member.answer(1, ControllerReply())
        suspect = member.broker(2)
        member.client.suspect(suspect)
        member.client.suspect(suspect)
        await _turns()
        assert asked == [BrokerUnreachable(2, suspect.epoch)]
        member.client.suspect(suspect)
        await _turns()
        assert len(asked) == 2

    asyncio.run(scenario())


def test_neither_itself_nor_a_former_incarnation_is_suspected() -> None:
    async def scenario() -> None:
        member = Member()
        member.rule(1)
        asked = member.answer(1, ControllerReply())
        former = member.broker(2)
        member.metadata.register(former)
        member.client.suspect(former)
        member.client.suspect(member.broker(0))
        await _turns()
        assert asked == []

    asyncio.run(scenario())


def test_a_report_that_was_refused_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        member = Member()
        member.rule(1)
        member.answer(1, ControllerReply(7, "REQUEST_TIMED_OUT", "asked too much"))
        member.client.suspect(member.broker(2))
        await _turns()

    asyncio.run(scenario())
    assert "broker 2" in caplog.text
    assert "asked too much" in caplog.text


def test_stopping_gives_up_what_is_being_reported() -> None:
    async def scenario() -> None:
        member = Member()
        member.client.suspect(member.broker(2))
        await _turns()
        await member.client.stop()
        await member.client.stop()

    asyncio.run(scenario())
