"""What older tools, and people, write for the controller: embedded ZooKeeper and Apache's."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from kazoo.client import KazooClient

from kafkalite.broker.ports import ControllerClaim, FencedControllerError
from kafkalite.coordination import paths
from kafkalite.coordination.bridge import KazooBridge
from kafkalite.coordination.operations import Operation
from kafkalite.model.admin_requests import NO_REQUESTS, ElectionRequest, ReassignmentRequest
from kafkalite.model.cluster import Topic
from kafkalite.model.ids import BrokerId, TopicId, TopicPartition
from kafkalite.model.reassignment import move
from tests.support.members import DEADLINE_S, ZooKeeperMember, ZooKeeperMembers
from tests.support.zookeeper import ZooKeeperProcess

_T0, _T1 = TopicPartition("t", 0), TopicPartition("t", 1)
_ZERO, _ONE = BrokerId(0), BrokerId(1)
_BOTH: Any = {
    "version": 1,
    "partitions": [
        {"topic": "t", "partition": 0, "replicas": [1]},
        {"topic": "t", "partition": 1, "replicas": [1, 0]},
    ],
}


class Ruled:
    """A controller, and a client that is not ours."""

    def __init__(self, member: ZooKeeperMember, claim: ControllerClaim, client: Any) -> None:
        self.member = member
        self.claim = claim
        self.client = client
        self.store = member.controller_store

    async def ask(self, path: str, request: object) -> None:
        """Write a request as a tool does, and wait until the controller hears of it."""
        data = request if isinstance(request, bytes) else json.dumps(request).encode()
        await asyncio.to_thread(self.client.create, path, data)
        await self.member.until(lambda: self.member.view.admin_requests != NO_REQUESTS)

    @property
    def moves(self) -> ReassignmentRequest:
        request = self.member.view.admin_requests.reassignment
        assert request is not None
        return request

    @property
    def election(self) -> ElectionRequest:
        request = self.member.view.admin_requests.election
        assert request is not None
        return request

    async def catch_up(self) -> None:
        await self.store.catch_up()


@pytest.fixture
def run(
    zookeeper: ZooKeeperProcess, tmp_path: Path
) -> Callable[[Callable[[Ruled], Awaitable[None]]], None]:
    """Runs a scenario with a controller and the topic t of two partitions."""
    connect = f"{zookeeper.hosts}/{uuid.uuid4().hex}"

    def run_scenario(scenario: Callable[[Ruled], Awaitable[None]]) -> None:
        async def inside() -> None:
            async with ZooKeeperMembers(connect, tmp_path) as members:
                member = await members.join(0)
                assert isinstance(member, ZooKeeperMember)
                await member.store.create_topic(
                    Topic("t", TopicId(uuid.uuid4().hex), {0: (_ZERO,), 1: (_ZERO,)})
                )
                claim = await member.controller_store.claim(_ZERO)
                assert claim is not None
                with _outsider(connect) as client:
                    await scenario(Ruled(member, claim, client))

        asyncio.run(inside())

    return run_scenario


@contextlib.contextmanager
def _outsider(connect: str) -> Iterator[Any]:
    client = KazooClient(connect)
    client.start(DEADLINE_S)
    try:
        yield client
    finally:
        client.stop()
        client.close()


Run = Callable[[Callable[[Ruled], Awaitable[None]]], None]


def _to_one(topic: Topic) -> Topic:
    return topic if topic.moving else move(topic, 0, (_ONE,))


def _before_the_next_commit(
    monkeypatch: pytest.MonkeyPatch, interfere: Callable[[], Awaitable[object]]
) -> None:
    commit = KazooBridge.commit
    pending = [interfere]

    async def late(self: KazooBridge, operations: Sequence[Operation]) -> list[int]:
        if pending:
            await pending.pop()()
        return await commit(self, operations)

    monkeypatch.setattr(KazooBridge, "commit", late)


def test_requests_are_seen_when_they_are_written_changed_and_removed(run: Run) -> None:
    async def scenario(ruled: Ruled) -> None:
        view, client = ruled.member.view, ruled.client
        await ruled.ask(paths.REASSIGN_PARTITIONS, _BOTH)
        assert ruled.moves.targets == {_T0: (1,), _T1: (1, 0)}
        client.set(paths.REASSIGN_PARTITIONS, b"?")
        await ruled.member.until(lambda: ruled.moves.problem is not None)
        assert ruled.moves.version == 1
        client.create(
            paths.PREFERRED_REPLICA_ELECTION,
            b'{"version":1,"partitions":[{"topic":"t","partition":1}]}',
        )
        await ruled.member.until(lambda: view.admin_requests.election is not None)
        assert ruled.election.partitions == {_T1}
        client.delete(paths.REASSIGN_PARTITIONS)
        client.delete(paths.PREFERRED_REPLICA_ELECTION)
        await ruled.member.until(lambda: view.admin_requests == NO_REQUESTS)

    run(scenario)


def test_a_move_begins_for_the_request_that_wants_it(run: Run) -> None:
    async def scenario(ruled: Ruled) -> None:
        await ruled.ask(paths.REASSIGN_PARTITIONS, _BOTH)
        request = ruled.moves
        for _ in range(2):
            await ruled.store.begin_reassignments(ruled.claim, request, "t", _to_one)
        await ruled.store.begin_reassignments(ruled.claim, request, "nowhere", _to_one)
        await ruled.catch_up()
        topic = ruled.member.view.topics["t"]
        assert topic.assignment == {0: (1, 0), 1: (0,)}
        assert ruled.client.exists("/brokers/topics/t").version == 1
        assert ruled.client.exists(paths.REASSIGN_PARTITIONS).version == 0

    run(scenario)


def test_no_move_begins_for_a_request_that_is_another_by_now(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(ruled: Ruled) -> None:
        await ruled.ask(paths.REASSIGN_PARTITIONS, _BOTH)
        request = ruled.moves
        _before_the_next_commit(
            monkeypatch, lambda: ruled.member.store.withdraw_reassignments([_T0, _T1])
        )
        await ruled.store.begin_reassignments(ruled.claim, request, "t", _to_one)
        await ruled.catch_up()
        assert not ruled.member.view.topics["t"].moving
        assert ruled.moves.targets == {}
        assert not await ruled.store.keep_reassignments(ruled.claim, request, {})
        assert await ruled.store.keep_reassignments(ruled.claim, ruled.moves, {})

    run(scenario)


def test_no_move_of_a_topic_begins_that_is_another_by_now(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(ruled: Ruled) -> None:
        again = Topic("t", TopicId(uuid.uuid4().hex), {0: (_ZERO,)})

        async def another_takes_its_place() -> None:
            await ruled.member.store.request_topic_deletion("t")
            await ruled.store.remove_topic(ruled.claim, "t")
            await ruled.member.store.create_topic(again)

        await ruled.ask(paths.REASSIGN_PARTITIONS, _BOTH)
        _before_the_next_commit(monkeypatch, another_takes_its_place)
        await ruled.store.begin_reassignments(ruled.claim, ruled.moves, "t", _to_one)
        await ruled.catch_up()
        assert ruled.member.view.topics["t"] == again

    run(scenario)


def test_a_topic_that_others_change_meanwhile_is_moved_all_the_same(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(ruled: Ruled) -> None:
        await ruled.ask(paths.REASSIGN_PARTITIONS, _BOTH)
        _before_the_next_commit(
            monkeypatch,
            lambda: ruled.member.store.update_topic("t", lambda topic: move(topic, 1, (_ONE,))),
        )
        await ruled.store.begin_reassignments(
            ruled.claim, ruled.moves, "t", lambda topic: move(topic, 0, (_ONE,))
        )
        await ruled.catch_up()
        assert ruled.member.view.topics["t"].moving == {0, 1}

    run(scenario)


def test_the_list_gets_shorter_and_goes_with_its_last_partition(run: Run) -> None:
    async def scenario(ruled: Ruled) -> None:
        await ruled.ask(paths.REASSIGN_PARTITIONS, _BOTH)
        first = ruled.moves
        assert await ruled.store.keep_reassignments(ruled.claim, first, {_T1: (_ONE, _ZERO)})
        data, _ = ruled.client.get(paths.REASSIGN_PARTITIONS)
        assert json.loads(data) == {"version": 1, "partitions": _BOTH["partitions"][1:]}
        assert not await ruled.store.keep_reassignments(ruled.claim, first, {_T0: (_ONE,)})
        await ruled.catch_up()
        await ruled.member.store.withdraw_reassignments([_T0])
        await ruled.catch_up()
        assert ruled.moves.targets == {_T1: (1, 0)}
        assert await ruled.store.keep_reassignments(ruled.claim, ruled.moves, {})
        assert ruled.client.exists(paths.REASSIGN_PARTITIONS) is None
        assert not await ruled.store.keep_reassignments(ruled.claim, first, {_T0: (_ONE,)})
        await ruled.member.store.withdraw_reassignments([_T0])

    run(scenario)


def test_a_list_that_is_written_anew_meanwhile_is_left_alone(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(ruled: Ruled) -> None:
        async def written_anew() -> None:
            ruled.client.set(paths.REASSIGN_PARTITIONS, json.dumps(_BOTH).encode())

        await ruled.ask(paths.REASSIGN_PARTITIONS, _BOTH)
        _before_the_next_commit(monkeypatch, written_anew)
        kept = {_T1: (_ONE, _ZERO)}
        assert not await ruled.store.keep_reassignments(ruled.claim, ruled.moves, kept)
        await ruled.catch_up()
        assert ruled.moves.targets.keys() == {_T0, _T1}

    run(scenario)


def _written_by_kafka_2(ruled: Ruled, name: str, data: bytes) -> str:
    path = f"/brokers/topics/{name}"
    ruled.client.create(path, data)
    return path


def test_a_topic_without_an_id_is_seen_when_it_has_one(run: Run) -> None:
    async def scenario(ruled: Ruled) -> None:
        view, client = ruled.member.view, ruled.client
        client.create("/config/topics/old", b'{"version":1,"config":{"retention.ms":"1"}}')
        path = _written_by_kafka_2(
            ruled, "old", b'{"version":1,"partitions":{"0":[0]},"by":"hand"}'
        )
        await ruled.member.until(lambda: view.admin_requests.unidentified == {"old"})
        assert "old" not in view.topics
        for _ in range(2):
            await ruled.store.identify_topic(ruled.claim, "old")
        await ruled.store.identify_topic(ruled.claim, "nowhere")
        await ruled.member.until(lambda: "old" in view.topics)
        assert view.admin_requests == NO_REQUESTS
        topic = view.topics["old"]
        assert (topic.assignment, topic.config) == ({0: (0,)}, {"retention.ms": "1"})
        data, stat = client.get(path)
        expected = {
            "version": 3,
            "partitions": {"0": [0]},
            "by": "hand",
            "topic_id": topic.topic_id,
        }
        assert (json.loads(data), stat.version) == (expected, 1)
        assert len(topic.topic_id) == 22

    run(scenario)


def test_a_topic_of_a_name_that_was_used_before_gets_another_id(run: Run) -> None:
    async def scenario(ruled: Ruled) -> None:
        ids = set()
        for _ in range(2):
            path = _written_by_kafka_2(ruled, "old", b'{"version":1,"partitions":{"0":[0]}}')
            await ruled.store.identify_topic(ruled.claim, "old")
            await ruled.member.until(lambda: "old" in ruled.member.view.topics)
            ids.add(ruled.member.view.topics["old"].topic_id)
            ruled.client.delete(path, recursive=True)
            await ruled.member.until(lambda: "old" not in ruled.member.view.topics)
        assert len(ids) == 2

    run(scenario)


def test_a_topic_that_goes_before_it_has_an_id_is_forgotten(run: Run) -> None:
    async def scenario(ruled: Ruled) -> None:
        view = ruled.member.view
        path = _written_by_kafka_2(ruled, "old", b'{"version":1,"partitions":{"0":[0]}}')
        await ruled.member.until(lambda: view.admin_requests.unidentified == {"old"})
        ruled.client.delete(path)
        await ruled.member.until(lambda: view.admin_requests == NO_REQUESTS)

    run(scenario)


def test_a_topic_that_has_lost_its_id_is_never_taken_for_a_new_one(run: Run) -> None:
    """Its logs are of the old id: with another one they would be deleted."""

    async def scenario(ruled: Ruled) -> None:
        before = ruled.member.view.topics["t"]
        grown = b'{"version":1,"partitions":{"0":[0],"1":[0],"2":[0]}}'
        ruled.client.set("/brokers/topics/t", grown)
        told = b'{"version":1,"topics":["t"],"states":[]}'
        ruled.client.create("/brokers/state_changes/change_", told, sequence=True)
        await ruled.catch_up()
        assert ruled.member.view.topics["t"] == before
        assert ruled.member.view.admin_requests == NO_REQUESTS
        await ruled.store.identify_topic(ruled.claim, "t")
        assert ruled.client.get("/brokers/topics/t")[0] == grown

    run(scenario)


def test_an_election_is_dropped_where_it_is_still_the_same(run: Run) -> None:
    async def scenario(ruled: Ruled) -> None:
        await ruled.ask(paths.PREFERRED_REPLICA_ELECTION, {"version": 1, "partitions": []})
        first = ruled.election
        ruled.client.set(paths.PREFERRED_REPLICA_ELECTION, b"{}")
        assert not await ruled.store.drop_election(ruled.claim, first)
        await ruled.catch_up()
        assert ruled.election.problem is not None
        assert await ruled.store.drop_election(ruled.claim, ruled.election)
        assert ruled.client.exists(paths.PREFERRED_REPLICA_ELECTION) is None

    run(scenario)


def test_a_replaced_controller_carries_nothing_out(run: Run) -> None:
    async def scenario(ruled: Ruled) -> None:
        await ruled.ask(paths.REASSIGN_PARTITIONS, _BOTH)
        request = ruled.moves
        await ruled.store.depose(_ZERO)
        assert await ruled.store.claim(_ZERO) is not None
        with pytest.raises(FencedControllerError):
            await ruled.store.begin_reassignments(ruled.claim, request, "t", _to_one)
        with pytest.raises(FencedControllerError):
            await ruled.store.keep_reassignments(ruled.claim, request, {})
        with pytest.raises(FencedControllerError):
            await ruled.store.drop_election(ruled.claim, ElectionRequest(0, 0))
        assert ruled.client.exists(paths.REASSIGN_PARTITIONS).version == 0

    run(scenario)
