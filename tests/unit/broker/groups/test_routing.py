"""Which broker is asked for a group, and what a client is told of one that does not answer."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import pytest

from kafkalite.broker.forwarding import FORWARDED_HEADER
from kafkalite.broker.groups.routing import GroupRouting
from kafkalite.broker.metadata_view import ClusterPicture, MetadataView
from kafkalite.groups.rendezvous import coordinators_of
from kafkalite.model.cluster import Broker
from kafkalite.model.errors import (
    CoordinatorNotAvailableError,
    LogError,
    NetworkError,
    RequestTimedOutError,
    ThrottlingQuotaExceededError,
)
from kafkalite.model.ids import BrokerId
from kafkalite.transport.errors import (
    PeerBrokenError,
    PeerBusyError,
    PeerError,
    PeerRefusedError,
    PeerTimeoutError,
    PeerUnreachableError,
)
from kafkalite.transport.peer_reply import PeerReply
from tests.support.fake_peers import SilentPeers

_OK = PeerReply(200, {}, b"ok")
_IDS = [BrokerId(number) for number in (1, 2, 3)]


class _Peers(SilentPeers):
    """Brokers that answer as they are told, or do not listen."""

    def __init__(self) -> None:
        self.dead: set[BrokerId] = set()
        self.answers: list[PeerReply | PeerError] = []
        self.asked: list[tuple[BrokerId, str, Mapping[str, str], bytes]] = []
        self.looked_at: list[BrokerId] = []
        self.is_hanging = False

    async def request(
        self,
        broker: Broker,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float,
    ) -> PeerReply:
        assert method == "POST"
        self.asked.append((broker.id, target, headers, body))
        if self.is_hanging:
            await asyncio.sleep(3_600)
        if broker.id in self.dead:
            raise PeerRefusedError(f"nobody listens at {broker.id}")
        answer = self.answers.pop(0) if self.answers else _OK
        if isinstance(answer, PeerError):
            raise answer
        return answer

    async def refuses(self, broker: Broker) -> bool:
        self.looked_at.append(broker.id)
        return broker.id in self.dead


class _Cluster:
    def __init__(self, own: int) -> None:
        self.view = MetadataView()
        self.peers = _Peers()
        self.suspects: list[BrokerId] = []
        self.show(dict.fromkeys(_IDS, 1))
        self.routing = GroupRouting(
            self.view,
            self.peers,
            own_id=lambda: BrokerId(own),
            on_refused=lambda broker: self.suspects.append(broker.id),
            max_requests=2,
            max_bytes=100,
        )

    def show(self, epochs: Mapping[BrokerId, int]) -> None:
        brokers = {each: Broker(each, "h", 1, epoch=epoch) for each, epoch in epochs.items()}
        self.view.replace(ClusterPicture("c", brokers=brokers))

    async def forward(self, group: str, body: bytes = b"") -> tuple[Broker, PeerReply] | None:
        return await self.routing.forward(group, "POST", "/x", {"a": "b"}, body, 5_000)


def _group(*order: int) -> str:
    """A group whose coordinators are to be these, in this order."""
    names = (f"g{number}" for number in range(1_000))
    return next(name for name in names if coordinators_of(name, _IDS) == list(order))


def _run(scenario: Callable[[_Cluster], Awaitable[None]], own: int = 3) -> None:
    async def inside() -> None:
        cluster = _Cluster(own)
        cluster.routing.start()
        try:
            async with asyncio.timeout(10):
                await scenario(cluster)
        finally:
            await cluster.routing.stop()

    asyncio.run(inside())


async def _until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - of whatever there is, none of which tells
        await asyncio.sleep(0.001)


def test_a_request_goes_to_the_first_choice_and_is_marked() -> None:
    async def scenario(cluster: _Cluster) -> None:
        found = await cluster.forward(_group(2, 1, 3), b"body")
        assert found is not None
        assert (found[0].id, found[1]) == (2, _OK)
        assert cluster.peers.asked == [(2, "/x", {"a": "b", FORWARDED_HEADER: "1"}, b"body")]
        assert await cluster.forward(_group(3, 1, 2)) is None
        assert len(cluster.peers.asked) == 1

    _run(scenario)


def test_a_broker_that_refuses_is_skipped_at_once_and_from_then_on() -> None:
    async def scenario(cluster: _Cluster) -> None:
        cluster.peers.dead = {BrokerId(2)}
        group = _group(2, 1, 3)
        for _ in range(2):
            found = await cluster.forward(group)
            assert found is not None
            assert found[0].id == 1
        assert [broker for broker, *_ in cluster.peers.asked] == [2, 1, 1]
        assert cluster.suspects == [2]
        assert cluster.routing.coordinator(group).id == 1
        cluster.peers.dead = {BrokerId(1), BrokerId(2)}
        assert not cluster.routing.is_here(group)
        assert await cluster.forward(group) is None  # all others refuse
        assert cluster.routing.is_here(group)

    _run(scenario)


def test_a_broker_that_is_back_is_asked_again() -> None:
    async def scenario(cluster: _Cluster) -> None:
        group = _group(2, 1, 3)
        cluster.peers.dead = {BrokerId(2)}
        await cluster.forward(group)
        cluster.show({BrokerId(1): 1, BrokerId(2): 7, BrokerId(3): 1})  # a new incarnation
        assert cluster.routing.coordinator(group).id == 2

    _run(scenario)


def test_a_broker_that_takes_connections_again_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kafkalite.broker.groups.routing._LOOK_AGAIN_S", 0.01)

    async def scenario(cluster: _Cluster) -> None:
        group = _group(2, 1, 3)
        cluster.peers.dead = {BrokerId(2)}
        await cluster.forward(group)
        await _until(lambda: len(cluster.peers.looked_at) >= 2)
        assert cluster.routing.coordinator(group).id == 1
        cluster.peers.dead = set()
        await _until(lambda: cluster.routing.coordinator(group).id != 1)
        assert cluster.routing.coordinator(group).id == 2

    _run(scenario)


def test_a_broker_that_is_asked_out_of_turn_looks_at_those_before_it() -> None:
    async def scenario(cluster: _Cluster) -> None:
        group = _group(2, 1, 3)
        await cluster.routing.look(group)
        assert cluster.peers.looked_at == [2]  # it lives: nothing more to know
        cluster.peers.dead = {BrokerId(2)}
        await cluster.routing.look(group)
        assert cluster.peers.looked_at == [2, 2, 1]
        assert not cluster.routing.is_here(group)
        cluster.peers.dead = {BrokerId(1), BrokerId(2)}
        await cluster.routing.look(group)
        assert cluster.routing.is_here(group)
        await cluster.routing.look(_group(3, 1, 2))
        assert len(cluster.peers.looked_at) == 4

    _run(scenario)


def test_a_coordinator_that_says_it_is_not_is_asked_again() -> None:
    async def scenario(cluster: _Cluster) -> None:
        wrong = PeerReply(421, {}, b"NOT_COORDINATOR")
        cluster.peers.answers = [wrong, wrong]
        found = await cluster.forward(_group(2, 1, 3))
        assert found is not None
        assert found[1] == _OK
        cluster.peers.answers = [wrong] * 9
        found = await cluster.forward(_group(2, 1, 3))
        assert found is not None
        assert found[1] == wrong

    _run(scenario)


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (PeerUnreachableError("?"), CoordinatorNotAvailableError),
        (PeerBusyError("?"), ThrottlingQuotaExceededError),
        (PeerTimeoutError("?"), RequestTimedOutError),
        (PeerBrokenError("?"), NetworkError),
    ],
)
def test_a_client_is_told_whether_its_request_may_have_been_served(
    failure: PeerError, told: type[LogError]
) -> None:
    async def scenario(cluster: _Cluster) -> None:
        cluster.peers.answers = [failure]
        with pytest.raises(told, match="Broker 2, which coordinates the group,"):
            await cluster.forward(_group(2, 1, 3))
        assert len(cluster.peers.asked) == 1

    _run(scenario)


def test_no_more_is_sent_on_than_may_be() -> None:
    async def scenario(cluster: _Cluster) -> None:
        group = _group(2, 1, 3)
        with pytest.raises(ThrottlingQuotaExceededError):
            await cluster.forward(group, bytes(101))
        cluster.peers.is_hanging = True
        sent = [asyncio.create_task(cluster.forward(group)) for _ in range(2)]
        await _until(lambda: len(cluster.peers.asked) == 2)
        with pytest.raises(ThrottlingQuotaExceededError):
            await cluster.forward(group)
        for task in sent:
            task.cancel()
        await asyncio.wait(sent)
        cluster.peers.is_hanging = False
        assert await cluster.forward(group, bytes(100)) is not None

    _run(scenario)


def test_without_any_broker_there_is_no_coordinator() -> None:
    async def scenario(cluster: _Cluster) -> None:
        cluster.show({})
        with pytest.raises(CoordinatorNotAvailableError):
            await cluster.forward("g")
        assert not cluster.routing.is_here("g")

    _run(scenario)
