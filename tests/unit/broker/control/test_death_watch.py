"""Whether brokers are dead: looked at twice, watched until they are back."""

import asyncio

import pytest

from kafkalite.broker.control import death_watch
from kafkalite.broker.control.death_watch import DeathWatch
from kafkalite.model.cluster import Broker
from kafkalite.model.ids import BrokerId
from tests.support.scripted_peers import ScriptedPeers

_ONE = Broker(BrokerId(1), "host1", 9092, epoch=10)


class Watched:
    """A watch, and what it told."""

    def __init__(self) -> None:
        self.peers = ScriptedPeers()
        self.registered = True
        self.told: list[str] = []
        self.watch = DeathWatch(
            self.peers,
            is_registered=lambda _: self.registered,
            on_dead=lambda broker: self.told.append(f"{broker.id} dead"),
            on_back=lambda broker: self.told.append(f"{broker.id} back"),
        )


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(death_watch, "LOOK_AGAIN_AFTER_S", 0)
    monkeypatch.setattr(death_watch, "WATCH_EVERY_S", 0)


async def _turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_one_refusal_is_not_believed() -> None:
    async def scenario() -> None:
        watched = Watched()
        watched.peers.dead = {1}
        look = asyncio.create_task(watched.watch.look(_ONE))
        await watched.peers.looked.wait()
        watched.peers.dead = set()
        assert await look is False
        assert watched.told == []
        assert watched.peers.looked_at == [1, 1]

    asyncio.run(scenario())


def test_many_who_ask_at_once_share_a_look() -> None:
    async def scenario() -> None:
        watched = Watched()
        assert await asyncio.gather(*(watched.watch.look(_ONE) for _ in range(5))) == [False] * 5
        assert watched.peers.looked_at == [1]

    asyncio.run(scenario())


def test_a_look_goes_on_when_who_asked_first_is_gone() -> None:
    async def scenario() -> None:
        watched = Watched()
        watched.peers.dead = {1}
        first = asyncio.create_task(watched.watch.look(_ONE))
        await asyncio.sleep(0)
        second = asyncio.create_task(watched.watch.look(_ONE))
        first.cancel()
        assert await second is True
        assert watched.told == ["1 dead"]
        await watched.watch.stop()

    asyncio.run(scenario())


def test_a_dead_broker_is_watched_until_it_is_back() -> None:
    async def scenario() -> None:
        watched = Watched()
        watched.peers.dead = {1}
        assert await watched.watch.look(_ONE) is True
        assert await watched.watch.look(_ONE) is True
        assert watched.told == ["1 dead"]
        watched.peers.dead = set()
        await _turns()
        assert watched.told == ["1 dead", "1 back"]
        watched.peers.dead = {1}
        assert await watched.watch.look(_ONE) is True
        assert watched.told == ["1 dead", "1 back", "1 dead"]
        await watched.watch.stop()

    asyncio.run(scenario())


def test_a_broker_whose_session_ended_is_not_watched_any_more() -> None:
    async def scenario() -> None:
        watched = Watched()
        watched.peers.dead = {1}
        await watched.watch.look(_ONE)
        watched.registered = False
        await _turns()
        looks = len(watched.peers.looked_at)
        watched.peers.dead = set()
        await _turns()
        assert watched.told == ["1 dead"]
        assert len(watched.peers.looked_at) == looks

    asyncio.run(scenario())


def test_stopping_ends_looks_and_watches() -> None:
    async def scenario() -> None:
        watched = Watched()
        watched.peers.dead = {1}
        await watched.watch.look(_ONE)
        watched.watch.look_at([Broker(BrokerId(2), "host2", 9092, epoch=20)])
        await watched.watch.stop()
        assert len(asyncio.all_tasks()) == 1
        await watched.watch.stop()

    asyncio.run(scenario())
