"""One contract for the stores of groups: in memory, in the embedded ZooKeeper, in Apache's.

Holds them to GRP-11 (who writes a state last is the only one that can go on) and GRP-12 (a commit
is written only at the version that it was judged by).
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import NoNodeError

from kafkalite.broker.groups.ports import (
    MAX_STATE_BYTES,
    CommittedOffset,
    GroupCommit,
    GroupConflictError,
    GroupPicture,
    GroupStore,
    GroupTooLargeError,
    MirroredMember,
)
from kafkalite.broker.ports import StoreError
from kafkalite.broker.system_clock import SystemClock
from kafkalite.coordination import bridge as crossing
from kafkalite.coordination import paths
from kafkalite.coordination.bridge import KazooBridge
from kafkalite.coordination.client import parse_connect
from kafkalite.coordination.errors import ConnectionLostError
from kafkalite.coordination.group_store import ZooKeeperGroupStore
from kafkalite.coordination.operations import Operation
from kafkalite.groups.state import GroupState, Member
from kafkalite.model.ids import BrokerId, TopicId, TopicPartition
from tests.support.cutting_proxy import CuttingProxy
from tests.support.fake_groups import FakeGroups
from tests.support.waiting import wait_until
from tests.support.zookeeper import ZooKeeperProcess

_T0 = TopicPartition("t", 0)
_T1 = TopicPartition("t", 1)
_DEADLINE_S = 15.0
_NAMES = ("g", "a b", "a/b", "..", "100%", "%2F", "größe", "😀", "x" * 255)

Scenario = Callable[[Callable[[], Awaitable[GroupStore]]], Awaitable[None]]
Run = Callable[[Scenario], None]


class _Bridge(KazooBridge):
    """Counts transactions, and may lose the answer of one that was carried out."""

    def __init__(self, connect: str) -> None:
        super().__init__(parse_connect(connect), 6_000, lambda _link, _session: None)
        self.transactions = 0
        self.meanwhile: Callable[[], Awaitable[object]] | None = None
        """Runs after the next transaction, whose answer is lost."""

    async def commit(self, operations: Sequence[Operation]) -> list[int]:
        self.transactions += 1
        versions = await super().commit(operations)
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
            raise ConnectionLostError("the answer is lost")
        return versions


class _ZooKeepers:
    """Makes stores, each with a session of its own; an async context manager."""

    def __init__(self, connect: str) -> None:
        self._connect = connect
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "_ZooKeepers":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def join(self, connect: str | None = None) -> tuple[ZooKeeperGroupStore, _Bridge]:
        bridge = _Bridge(connect or self._connect)
        await bridge.connect(_DEADLINE_S)
        self._stack.push_async_callback(bridge.close, 1.0)
        await bridge.ensure(paths.CONSUMERS)
        store = ZooKeeperGroupStore(bridge, SystemClock())
        store.start()
        self._stack.push_async_callback(store.stop)
        return store, bridge

    async def store(self) -> GroupStore:
        return (await self.join())[0]


@pytest.fixture
def connect(zookeeper: ZooKeeperProcess) -> str:
    return f"{zookeeper.hosts}/{uuid.uuid4().hex}"


@pytest.fixture(
    params=[
        "fake",
        "embedded_zookeeper",
        pytest.param("real_zookeeper", marks=pytest.mark.zookeeper),
    ],
    ids=["fake", "embedded", "real"],
)
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a scenario with coordinators of the same groups."""

    def run_scenario(scenario: Scenario) -> None:
        async def inside() -> None:
            if request.param == "fake":
                groups = FakeGroups()

                async def member() -> GroupStore:
                    return groups.member()

                await scenario(member)
            else:
                server: ZooKeeperProcess = request.getfixturevalue(request.param)
                async with _ZooKeepers(f"{server.hosts}/{uuid.uuid4().hex}") as zookeepers:
                    await scenario(zookeepers.store)

        asyncio.run(inside())

    return run_scenario


def _member(name: str, *held: TopicPartition) -> Member:
    return Member(
        name,
        3,
        joined_epoch=2,
        instance_id="instance",
        client_id="client",
        host="/127.0.0.1",
        rack="rack",
        topics=("t", "u"),
        pattern="t.*",
        assignor="sticky",
        session_timeout_ms=46_000,
        rebalance_timeout_ms=310_000,
        held=frozenset(held),
        target=frozenset({_T0}),
    )


async def _save(
    store: GroupStore,
    state: GroupState,
    *,
    group: str = "g",
    by: int = 1,
    remainder: Mapping[str, object] | None = None,
) -> GroupState:
    version = await store.save_state(
        group, state, coordinator=BrokerId(by), remainder=remainder or {}
    )
    return replace(state, version=version)


def _commit(
    version: int, offset: int, *partitions: TopicPartition, group: str = "g"
) -> GroupCommit:
    return GroupCommit(group, version, dict.fromkeys(partitions, CommittedOffset(offset)))


async def _fails(store: GroupStore, *commits: GroupCommit) -> list[bool]:
    outcomes = await store.commit(commits)
    assert all(outcome is None or isinstance(outcome, GroupConflictError) for outcome in outcomes)
    return [outcome is not None for outcome in outcomes]


def test_a_state_is_loaded_as_it_was_saved(run: Run) -> None:
    async def scenario(join: Callable[[], Awaitable[GroupStore]]) -> None:
        one, two = await join(), await join()
        assert await one.load("g") is None
        members = {"m": _member("m", _T1), "n": Member("n", 1)}
        state = await _save(one, GroupState(7, members, {"t": 2}), by=4)
        stored = await two.load("g")
        assert stored is not None
        assert (stored.state, stored.coordinator) == (state, 4)
        assert await two.load_many(["g", "nope"]) == [stored, None]
        again = await _save(two, replace(state, epoch=8))
        assert again.version == state.version + 1
        assert await one.is_at("g", again.version)
        assert not await one.is_at("g", state.version)
        assert not await one.is_at("nope", again.version)

    run(scenario)


def test_of_two_that_write_a_state_one_wins(run: Run) -> None:
    async def scenario(join: Callable[[], Awaitable[GroupStore]]) -> None:
        one, two = await join(), await join()
        state = GroupState()
        for _ in range(5):
            outcomes = await asyncio.gather(
                _save(one, replace(state, epoch=1), by=1),
                _save(two, replace(state, epoch=2), by=2),
                return_exceptions=True,
            )
            (won,) = [each for each in outcomes if isinstance(each, GroupState)]
            (lost,) = [each for each in outcomes if not isinstance(each, GroupState)]
            assert isinstance(lost, GroupConflictError)
            stored = await one.load("g")
            assert stored is not None
            assert stored.state == won
            state = won

    run(scenario)


def test_a_coordinator_of_the_past_writes_neither_states_nor_offsets(run: Run) -> None:
    async def scenario(join: Callable[[], Awaitable[GroupStore]]) -> None:
        old, new = await join(), await join()
        state = await _save(old, GroupState())
        assert await _fails(old, _commit(state.version, 5, _T0)) == [False]
        claimed = await _save(new, state, by=2)  # as it is: nothing but the version differs
        assert await _fails(old, _commit(state.version, 9, _T0, _T1)) == [True]
        with pytest.raises(GroupConflictError):
            await _save(old, state)
        with pytest.raises(GroupConflictError):
            await old.delete_offsets("g", state.version, [_T0])
        with pytest.raises(GroupConflictError):
            await old.delete_group("g", state.version)
        bare = await _save(old, GroupState(), group="bare")
        await _save(new, bare, group="bare", by=2)
        with pytest.raises(GroupConflictError):
            await old.delete_group("bare", bare.version)
        assert await new.fetch_offsets("g") == {_T0: CommittedOffset(5)}
        assert await _fails(new, _commit(claimed.version, 6, _T0)) == [False]

    run(scenario)


def test_a_refused_commit_keeps_none_of_the_others_from_being_written(run: Run) -> None:
    async def scenario(join: Callable[[], Awaitable[GroupStore]]) -> None:
        store = await join()
        names = [f"g{number}" for number in range(60)]
        saved = [(await _save(store, GroupState(), group=name)).version for name in names]
        old = {0, 31, 59}
        versions = [at + 7 * (number in old) for number, at in enumerate(saved)]
        outcomes = await _fails(
            store,
            *(
                _commit(version, 3, _T0, _T1, group=name)
                for name, version in zip(names, versions, strict=True)
            ),
            _commit(0, 3, _T0, group="nowhere"),
        )
        assert outcomes == [number in old for number in range(60)] + [True]
        for number, name in enumerate(names):
            assert len(await store.fetch_offsets(name)) == (0 if number in old else 2)

    run(scenario)


def test_an_offset_is_kept_with_what_belongs_to_it(run: Run) -> None:
    async def scenario(join: Callable[[], Awaitable[GroupStore]]) -> None:
        store = await join()
        version = (await _save(store, GroupState())).version
        known: CommittedOffset | None = None
        for offset in (
            CommittedOffset(1),
            CommittedOffset(2, 4, "größer"),
            CommittedOffset(3, 4, "größer"),
            CommittedOffset(3, 5),
            CommittedOffset(4),
            CommittedOffset(2**63 - 1, metadata="x" * 4096),
        ):
            # What the coordinator knows is told, is not told, or is wrong.
            for hint in ({_T0: known}, {}, {_T0: None}, {_T0: CommittedOffset(0, 9, "?")}):
                commit = GroupCommit("g", version, {_T0: offset}, hint)
                assert await store.commit([commit]) == [None]
                assert await store.fetch_offsets("g", [_T0, _T1]) == {_T0: offset}
            known = offset

    run(scenario)


def test_a_large_commit_is_written_whole_or_refused(run: Run) -> None:
    async def scenario(join: Callable[[], Awaitable[GroupStore]]) -> None:
        store = await join()
        version = (await _save(store, GroupState())).version
        offsets = {
            TopicPartition(f"t{number % 7}", number): CommittedOffset(number, 1, "m" * 1000)
            for number in range(330)
        }
        assert await _fails(store, GroupCommit("g", version + 1, offsets)) == [True]
        assert await store.fetch_offsets("g") == {}
        assert await _fails(store, GroupCommit("g", version, offsets)) == [False]
        assert await store.fetch_offsets("g") == offsets
        names = sorted({partition.topic for partition in offsets})
        assert await store.topics_with_offsets(["g", "nope"]) == [dict.fromkeys(names), {}]

    run(scenario)


def test_offsets_are_removed_one_by_one_and_with_their_group(run: Run) -> None:
    async def scenario(join: Callable[[], Awaitable[GroupStore]]) -> None:
        store = await join()
        version = (await _save(store, GroupState())).version
        many = [TopicPartition("u", number) for number in range(120)]
        offsets = dict.fromkeys([_T0, _T1, *many], CommittedOffset(1, 2, "m"))
        assert await store.commit([GroupCommit("g", version, offsets)]) == [None]
        await store.delete_offsets("g", version, [*many, TopicPartition("nope", 0)])
        assert (await store.fetch_offsets("g")).keys() == {_T0, _T1}
        await store.delete_offsets("g", version, many)
        assert await store.topics_with_offsets(["g"]) == [{"t": None}]
        await store.save_instance("g", "i", b"{}")
        assert await store.list_groups() == ["g"]
        await store.delete_group("g", version)
        assert await store.list_groups() == []
        assert await store.load("g") is None
        assert await store.fetch_offsets("g") == {}
        assert await store.load_instances("g") == {}
        with pytest.raises(GroupConflictError):
            await store.delete_group("g", version)

    run(scenario)


def test_who_knew_a_group_that_was_deleted_cannot_touch_its_namesake(run: Run) -> None:
    async def scenario(join: Callable[[], Awaitable[GroupStore]]) -> None:
        old, new = await join(), await join()
        former = await _save(old, GroupState(1, {"m": _member("m", _T0)}))
        former = await _save(old, former)
        await new.delete_group("g", former.version)
        present = await _save(new, GroupState(1, {"n": _member("n", _T0)}))
        present = await _save(new, present)  # as often as the former one was
        assert not await old.is_at("g", former.version)
        assert await new.is_at("g", present.version)
        with pytest.raises(GroupConflictError):
            await _save(old, replace(former, epoch=9))
        assert await _fails(old, _commit(former.version, 7, _T0)) == [True]
        assert await _fails(new, _commit(present.version, 3, _T0)) == [False]
        assert await _fails(old, _commit(former.version, 7, _T0)) == [True]
        with pytest.raises(GroupConflictError):
            await old.delete_offsets("g", former.version, [_T0])
        with pytest.raises(GroupConflictError):
            await old.delete_group("g", former.version)
        stored = await old.load("g")
        assert stored is not None
        assert stored.state == present
        assert await old.fetch_offsets("g") == {_T0: CommittedOffset(3)}

    run(scenario)


def test_the_topic_that_offsets_are_of_is_kept_beside_them(run: Run) -> None:
    async def scenario(join: Callable[[], Awaitable[GroupStore]]) -> None:
        store = await join()
        version = (await _save(store, GroupState())).version
        before, after = {"t": TopicId("one")}, {"t": TopicId("two")}
        for partition, ids in ((_T0, before), (_T1, after)):
            commit = GroupCommit("g", version, {partition: CommittedOffset(1)}, topic_ids=ids)
            assert await _fails(store, commit) == [False]
        assert await store.topics_with_offsets(["g"]) == [before]
        await store.delete_offsets("g", version, [_T0, _T1])
        commit = GroupCommit("g", version, {_T0: CommittedOffset(2)}, topic_ids=after)
        assert await _fails(store, commit) == [False]
        assert await store.topics_with_offsets(["g"]) == [after]

    run(scenario)


def test_names_that_no_path_can_have_are_taken(run: Run) -> None:
    async def scenario(join: Callable[[], Awaitable[GroupStore]]) -> None:
        store = await join()
        for number, name in enumerate(_NAMES):
            state = GroupState(number, {name: replace(_member(name, _T0), id=name)}, {"t": 1})
            saved = await _save(store, state, group=name)
            assert await _fails(store, _commit(saved.version, number, _T0, group=name)) == [False]
            await store.save_instance(name, name, name.encode())
        assert await store.list_groups() == sorted(_NAMES)
        for number, name in enumerate(_NAMES):
            stored = await store.load(name)
            assert stored is not None
            assert stored.state.members.keys() == {name}
            assert await store.fetch_offsets(name) == {_T0: CommittedOffset(number)}
            assert await store.load_instances(name) == {name: name.encode()}

    run(scenario)


def test_instances_are_kept_replaced_and_forgotten(run: Run) -> None:
    async def scenario(join: Callable[[], Awaitable[GroupStore]]) -> None:
        one, two = await join(), await join()
        assert await one.load_instances("g") == {}
        await one.save_instance("g", "i", b"1")
        await one.save_instance("g", "j", b"2")
        await two.save_instance("g", "i", b"3")
        assert await two.load_instances("g") == {"i": b"3", "j": b"2"}
        await two.delete_instance("g", "i")
        await one.delete_instance("g", "i")
        assert await one.load_instances("g") == {"j": b"2"}
        assert await one.list_groups() == []  # neither a state nor offsets

    run(scenario)


# -- ZooKeeper -------------------------------------------------------------------------------------


def test_a_state_that_is_too_large_is_refused_and_not_sent(connect: str) -> None:
    async def scenario() -> None:
        async with _ZooKeepers(connect) as zookeepers:
            store, bridge = await zookeepers.join()
            members = {f"m{n}": replace(_member(f"m{n}"), host="h" * 250) for n in range(4_000)}
            assert MAX_STATE_BYTES < 4_000 * 250
            with pytest.raises(GroupTooLargeError):
                await _save(store, GroupState(1, members))
            assert bridge.transactions == 0

    asyncio.run(scenario())


def test_commits_of_many_groups_are_few_transactions(connect: str) -> None:
    async def scenario() -> None:
        async with _ZooKeepers(connect) as zookeepers:
            store, bridge = await zookeepers.join()
            names = [f"g{number}" for number in range(100)]
            groups = {n: (await _save(store, GroupState(), group=n)).version for n in names}
            first = [_commit(version, 1, _T0, group=n) for n, version in groups.items()]
            assert await _fails(store, *first) == [False] * 100
            before = bridge.transactions
            known = {_T0: CommittedOffset(1)}
            commits = [
                GroupCommit(name, version, {_T0: CommittedOffset(2)}, known)
                for name, version in groups.items()
            ]
            assert await store.commit(commits) == [None] * 100
            assert bridge.transactions - before == 2

    asyncio.run(scenario())


def test_an_answer_that_is_lost_is_looked_up(zookeeper: ZooKeeperProcess) -> None:
    chroot = uuid.uuid4().hex

    async def scenario(proxy: CuttingProxy) -> None:
        async with _ZooKeepers(f"{zookeeper.hosts}/{chroot}") as zookeepers:
            store, _ = await zookeepers.join(f"127.0.0.1:{proxy.port}/{chroot}")
            state = GroupState(1, {"m": _member("m", _T0)})
            for number, cut in enumerate((proxy.cut_after, proxy.cut_before)):
                cut(b"/consumers/g/state")
                before = state.version
                state = await _save(store, replace(state, epoch=state.epoch + 1))
                assert number == 0 or state.version == before + 1
                cut(b"/consumers/g/offsets/t/0")
                assert await store.commit([_commit(state.version, number, _T0)]) == [None]
                cut(b"/consumers/g/state")
                assert await store.commit([_commit(state.version + 8, 77, _T1)]) != [None]
            assert await store.fetch_offsets("g") == {_T0: CommittedOffset(1)}
            proxy.cut_after(b"/consumers/g/state")
            await store.delete_group("g", state.version)
            assert await store.list_groups() == []

    with CuttingProxy(zookeeper.port) as proxy:
        asyncio.run(scenario(proxy))
        assert proxy.cuts >= 6


def test_a_commit_without_an_answer_was_done_although_its_coordinator_is_deposed(
    connect: str,
) -> None:
    async def scenario() -> None:
        async with _ZooKeepers(connect) as zookeepers:
            old, bridge = await zookeepers.join()
            new = await zookeepers.store()
            state = await _save(old, GroupState())
            assert await _fails(old, _commit(0, 4, _T0)) == [False]
            bridge.meanwhile = lambda: _save(new, state, by=2)
            assert await old.commit([_commit(0, 5, _T0)]) == [None]
            assert await _fails(old, _commit(0, 6, _T0)) == [True]
            assert await new.fetch_offsets("g") == {_T0: CommittedOffset(5)}

    asyncio.run(scenario())


def test_a_state_without_an_answer_that_another_replaced_is_a_conflict(connect: str) -> None:
    async def scenario() -> None:
        async with _ZooKeepers(connect) as zookeepers:
            old, bridge = await zookeepers.join()
            new = await zookeepers.store()
            state = await _save(old, GroupState())
            bridge.meanwhile = lambda: _save(new, GroupState(9, version=1), by=2)
            with pytest.raises(GroupConflictError):
                await _save(old, replace(state, epoch=1))
            stored = await old.load("g")
            assert stored is not None
            assert stored.state == GroupState(9, version=2)

    asyncio.run(scenario())


def test_without_a_connection_nothing_is_known(
    zookeeper: ZooKeeperProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crossing, "REQUEST_TIMEOUT_S", 0.2)

    async def scenario(proxy: CuttingProxy) -> None:
        async with _ZooKeepers(zookeeper.hosts) as zookeepers:
            store, bridge = await zookeepers.join(f"127.0.0.1:{proxy.port}/{uuid.uuid4().hex}")
            await _save(store, GroupState())
            await bridge.close(1.0)
            outcomes = await store.commit([_commit(0, 1, _T0)])
            assert not isinstance(outcomes[0], GroupConflictError | None)
            with pytest.raises(StoreError):
                await _save(store, GroupState(version=0))

    with CuttingProxy(zookeeper.port) as proxy:
        asyncio.run(scenario(proxy))


def test_znodes_are_those_that_old_tools_expect(connect: str) -> None:
    async def scenario(client: KazooClient) -> None:
        async with _ZooKeepers(connect) as zookeepers:
            store, _ = await zookeepers.join()
            await _save(store, GroupState(), remainder={"group": {"later": 1}})
            commit = GroupCommit(
                "g", 0, {_T0: CommittedOffset(12), _T1: CommittedOffset(3, 4, "m")}
            )
            assert await store.commit([commit]) == [None]
            assert client.get("/consumers/g/offsets/t/0")[0] == b"12"
            assert client.get("/consumers/g/offsets/t/1")[0] == b"3"
            assert client.get_children("/consumers/g/offset_metadata/t") == ["1"]
            before = client.get("/consumers/g/offsets/t/0")[1].mtime
            assert await store.last_commit_ms("g") >= before
            assert b'"later":1' in client.get("/consumers/g/state")[0]
            stored = await store.load("g")
            assert stored is not None
            assert stored.remainder == {"group": {"later": 1}}
            # What a person writes counts; what cannot be read is no offset.
            client.set("/consumers/g/offsets/t/0", b"7\n")
            client.set("/consumers/g/offsets/t/1", b"seven")
            assert await store.fetch_offsets("g") == {_T0: CommittedOffset(7)}
            mended = {_T0: CommittedOffset(8), _T1: CommittedOffset(9, 5)}
            assert await store.commit([GroupCommit("g", 0, mended)]) == [None]
            assert await store.fetch_offsets("g") == mended

    _with_client(connect, scenario)


def test_groups_with_nothing_but_offsets_are_groups(connect: str) -> None:
    async def scenario(client: KazooClient) -> None:
        async with _ZooKeepers(connect) as zookeepers:
            store, _ = await zookeepers.join()
            client.create("/consumers/old/offsets/t/0", b"5", makepath=True)
            client.create("/consumers/nothing/ids", makepath=True)
            assert await store.list_groups() == ["old"]
            assert await store.load_many(["old"]) == [None]
            stored = await store.load("old")
            assert stored is not None
            assert stored.state == GroupState()
            saved = await _save(store, stored.state, group="old")
            assert await _fails(store, _commit(saved.version, 6, _T0, group="old")) == [False]
            assert client.get("/consumers/old/offsets/t/0")[0] == b"6"

    _with_client(connect, scenario)


def test_members_and_owners_are_shown_by_whoever_coordinates(connect: str) -> None:
    async def scenario(client: KazooClient) -> None:
        async with _ZooKeepers(connect) as zookeepers:
            old, _ = await zookeepers.join()
            new, _ = await zookeepers.join()
            many = {TopicPartition("t", number): "m" for number in range(120)}
            before = GroupPicture({"m": MirroredMember({"t": 1})}, many)
            old.show("g", lambda: before)
            await _until(lambda: _owners(client) == {**dict.fromkeys(range(120), b"m")})
            data, stat = client.get("/consumers/g/ids/m")
            assert data.startswith(b'{"version":1,"subscription":{"t":1},"pattern":"static",')
            assert stat.ephemeralOwner
            after = GroupPicture({"n": MirroredMember({"t.*": 1}, is_pattern=True)}, {_T0: "n"})
            new.show("g", lambda: after)
            await _until(lambda: _owners(client).get(0) == b"n")
            old.show("g", lambda: None)
            await _until(lambda: len(_owners(client)) < 120)
            old.show("g", lambda: GroupPicture(owners={TopicPartition("t", 200): "m"}))
            await _until(lambda: 200 in _owners(client))  # so the rest is done
            assert _owners(client) == {0: b"n", 200: b"m"}
            assert client.get_children("/consumers/g/ids") == ["n"]
            assert b'"pattern":"white_list"' in client.get("/consumers/g/ids/n")[0]

    _with_client(connect, scenario)


def _owners(client: KazooClient) -> dict[int, bytes]:
    try:
        numbers = client.get_children("/consumers/g/owners/t")
        return {int(each): client.get(f"/consumers/g/owners/t/{each}")[0] for each in numbers}
    except NoNodeError:  # not there yet, or being replaced
        return {}


async def _until(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(wait_until, condition, "what is shown", _DEADLINE_S)


def _with_client(connect: str, scenario: Callable[[KazooClient], Awaitable[None]]) -> None:
    async def inside() -> None:
        await scenario(client)

    hosts, _, chroot = connect.partition("/")
    client = KazooClient(hosts)
    client.start()
    client.ensure_path(f"/{chroot}")
    client.chroot = f"/{chroot}"
    try:
        asyncio.run(inside())
    finally:
        client.stop()
        client.close()
