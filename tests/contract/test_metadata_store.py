"""One contract for the stores of metadata: in memory, in the embedded ZooKeeper, in Apache's."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from kafkalite.broker.ports import ConfigUpdate, FencedControllerError, StoreConflictError
from kafkalite.controller.events import NEW_STATE_VERSION, StateChange
from kafkalite.model.cluster import PartitionState, Topic
from kafkalite.model.errors import (
    InvalidPartitionsError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import BrokerId, ControllerEpoch, LeaderEpoch, TopicId, TopicPartition
from kafkalite.model.reassignment import move
from tests.support.members import FakeMembers, Member, Members, ZooKeeperMembers
from tests.support.zookeeper import ZooKeeperProcess

_ZERO = BrokerId(0)
Run = Callable[[Callable[[Members], Awaitable[None]]], None]


@pytest.fixture(
    params=[
        "fake",
        "embedded_zookeeper",
        pytest.param("real_zookeeper", marks=pytest.mark.zookeeper),
    ],
    ids=["fake", "embedded", "real"],
)
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """Runs a scenario with the members of a new cluster."""
    server: ZooKeeperProcess | None = None
    if request.param != "fake":
        server = request.getfixturevalue(request.param)

    def run_scenario(scenario: Callable[[Members], Awaitable[None]]) -> None:
        async def inside() -> None:
            async with make() as members:
                await scenario(members)

        asyncio.run(inside())

    def make() -> Members:
        if server is None:
            return FakeMembers()
        return ZooKeeperMembers(f"{server.hosts}/{uuid.uuid4().hex}", tmp_path)

    return run_scenario


def _topic(name: str = "t", partitions: int = 2, **config: str) -> Topic:
    topic_id = TopicId(uuid.uuid4().hex)
    return Topic(name, topic_id, dict.fromkeys(range(partitions), (_ZERO,)), config)


def _new(number: int, topic: str = "t", epoch: int = 1) -> StateChange:
    state = PartitionState(_ZERO, LeaderEpoch(0), (_ZERO,), ControllerEpoch(epoch))
    return StateChange(TopicPartition(topic, number), state, NEW_STATE_VERSION)


def _next(state: PartitionState, number: int) -> StateChange:
    raised = PartitionState(
        state.leader, LeaderEpoch(state.leader_epoch + 1), state.isr, state.controller_epoch
    )
    return StateChange(TopicPartition("t", number), raised, state.version)


def test_a_created_topic_is_seen_by_all(run: Run) -> None:
    async def scenario(members: Members) -> None:
        one, two = await members.join(0), await members.join(1)
        topic = _topic(x="y")
        await one.store.create_topic(topic)
        await one.until(lambda: one.view.topics.get("t") == topic)
        await two.until(lambda: two.view.topics.get("t") == topic)

    run(scenario)


def test_of_two_that_create_a_topic_exactly_one_wins(run: Run) -> None:
    async def scenario(members: Members) -> None:
        one, two = await members.join(0), await members.join(1)
        for attempt in range(5):
            name = f"t{attempt}"
            topics = [_topic(name), _topic(name)]
            outcomes = await asyncio.gather(
                one.store.create_topic(topics[0]),
                two.store.create_topic(topics[1]),
                return_exceptions=True,
            )
            failures = [outcome for outcome in outcomes if outcome is not None]
            assert [type(failure) for failure in failures] == [TopicAlreadyExistsError]
            assert str(failures[0]) == f"Topic '{name}' already exists."
            winner = topics[outcomes.index(None)]
            await one.until(lambda: name in one.view.topics)  # noqa: B023 - awaited at once
            assert one.view.topics[name] == winner

    run(scenario)


def test_partitions_are_added_to_what_is_stored(run: Run) -> None:
    async def scenario(members: Members) -> None:
        one, two = await members.join(0), await members.join(1)
        await one.store.create_topic(_topic(partitions=1, x="y"))

        def grow(topic: Topic) -> Topic:
            more = {len(topic.assignment): (_ZERO,)}
            return replace(topic, assignment={**topic.assignment, **more})

        await asyncio.gather(*(member.store.update_topic("t", grow) for member in (one, two) * 3))
        await two.until(
            lambda: "t" in two.view.topics and two.view.topics["t"].partition_count == 7
        )
        assert two.view.topics["t"].config == {"x": "y"}

    run(scenario)


def test_a_refused_update_changes_nothing(run: Run) -> None:
    async def scenario(members: Members) -> None:
        one = await members.join(0)
        topic = _topic()
        await one.store.create_topic(topic)

        def refuse(_: object) -> Topic:
            raise InvalidPartitionsError("no")

        def refuse_config(_: object) -> Mapping[str, str]:
            raise InvalidPartitionsError("no")

        with pytest.raises(InvalidPartitionsError):
            await one.store.update_topic("t", refuse)
        with pytest.raises(InvalidPartitionsError):
            await one.store.update_topic_config("t", refuse_config)
        await one.until(lambda: one.view.topics.get("t") == topic)

    run(scenario)


def test_configurations_of_two_writers_are_merged(run: Run) -> None:
    async def scenario(members: Members) -> None:
        one, two = await members.join(0), await members.join(1)
        await one.store.create_topic(_topic())

        def adding(key: str) -> ConfigUpdate:
            return lambda before: {**before, key: key}

        await asyncio.gather(
            one.store.update_topic_config("t", adding("a")),
            two.store.update_topic_config("t", adding("b")),
            one.store.update_topic_config("t", adding("c")),
            one.store.update_broker_config("<default>", adding("a")),
            two.store.update_broker_config("<default>", adding("b")),
            two.store.update_broker_config("<default>", adding("c")),
        )
        whole = {"a": "a", "b": "b", "c": "c"}
        for member in (one, two):
            await member.controller_store.catch_up()
            assert member.view.topics["t"].config == whole
            assert member.view.broker_configs["<default>"] == whole

    run(scenario)


def test_what_does_not_exist_cannot_be_changed(run: Run) -> None:
    async def scenario(members: Members) -> None:
        store = (await members.join(0)).store
        for attempt in (
            store.update_topic("nope", lambda topic: topic),
            store.update_topic_config("nope", dict),
            store.request_topic_deletion("nope"),
        ):
            with pytest.raises(UnknownTopicOrPartitionError) as caught:
                await attempt
            assert str(caught.value) == "Topic 'nope' does not exist"

    run(scenario)


def test_one_controller_is_elected_and_its_successor_has_a_higher_epoch(run: Run) -> None:
    async def scenario(members: Members) -> None:
        one, two = await members.join(0), await members.join(1)
        claims = await asyncio.gather(
            one.controller_store.claim(one.broker_id), two.controller_store.claim(two.broker_id)
        )
        (claim,) = [claim for claim in claims if claim is not None]
        winner, other = (one, two) if claim.broker_id == 0 else (two, one)
        assert await winner.controller_store.claim(winner.broker_id) == claim
        await other.until(lambda: other.view.controller == claim.broker_id)
        await members.leave(winner)
        await other.until(lambda: other.view.controller is None)
        successor = await other.controller_store.claim(other.broker_id)
        assert successor is not None
        assert successor.epoch == claim.epoch + 1

    run(scenario)


def test_a_replaced_controller_cannot_write(run: Run) -> None:
    async def scenario(members: Members) -> None:
        one, two = await members.join(0), await members.join(1)
        old = await one.controller_store.claim(one.broker_id)
        assert old is not None
        await one.store.create_topic(_topic())
        await one.store.request_topic_deletion("t")
        await members.leave(one)
        await two.until(lambda: two.view.controller is None)
        assert await two.controller_store.claim(two.broker_id) is not None
        await two.store.update_topic("t", lambda topic: move(topic, 0, (_ZERO, BrokerId(1))))
        in_sync = _in_sync(0, replace(_new(0).state, version=NEW_STATE_VERSION), 0, 1)
        await two.store.write_isr([in_sync])  # so that there is something to complete
        for attempt in (
            two.controller_store.write_states(old, [_new(1)]),
            two.controller_store.complete_reassignment(old, "t", [0]),
            two.controller_store.remove_topic(old, "t"),
            two.controller_store.drop_deletion(old, "t"),
        ):
            with pytest.raises(FencedControllerError):
                await attempt
        await two.controller_store.catch_up()
        assert two.view.topics["t"].moving == {0}
        assert two.view.states.keys() == {TopicPartition("t", 0)}
        assert two.view.deletions == {"t"}

    run(scenario)


def test_states_are_written_and_seen_with_their_versions(run: Run) -> None:
    async def scenario(members: Members) -> None:
        one, two = await members.join(0), await members.join(1)
        claim = await one.controller_store.claim(one.broker_id)
        assert claim is not None
        await one.store.create_topic(_topic(partitions=100))
        first = await one.controller_store.write_states(claim, [_new(n) for n in range(100)])
        assert {state.version for state in first.values() if state} == {0}
        changes = [_next(state, name.partition) for name, state in first.items() if state]
        second = await one.controller_store.write_states(claim, changes)
        assert {state.version for state in second.values() if state} == {1}
        await two.controller_store.catch_up()
        assert dict(two.view.states) == second
        assert min(two.view.state_revisions.values()) > max(one.epoch, two.epoch)

    run(scenario)


def test_a_state_that_another_wrote_first_stays_and_is_reported(run: Run) -> None:
    async def scenario(members: Members) -> None:
        one = await members.join(0)
        claim = await one.controller_store.claim(one.broker_id)
        assert claim is not None
        await one.store.create_topic(_topic(partitions=4))
        first = await one.controller_store.write_states(claim, [_new(n) for n in range(3)])
        state = first[TopicPartition("t", 1)]
        assert state is not None
        raised = (await one.controller_store.write_states(claim, [_next(state, 1)]))[
            TopicPartition("t", 1)
        ]
        mixed = await one.controller_store.write_states(
            claim, [_new(0), _next(state, 1), _next(state, 2), _new(3), _next(state, 9)]
        )
        assert mixed[TopicPartition("t", 0)] == state  # made before
        assert mixed[TopicPartition("t", 1)] == raised  # raised before
        assert mixed[TopicPartition("t", 2)] == raised  # the same values, written now
        assert mixed[TopicPartition("t", 3)] == state
        assert mixed[TopicPartition("t", 9)] is None

    run(scenario)


def _in_sync(number: int, state: PartitionState, *members: int) -> StateChange:
    isr = tuple(BrokerId(member) for member in members)
    return StateChange(TopicPartition("t", number), replace(state, isr=isr), state.version)


async def _states_of(member: Member, partitions: int) -> list[PartitionState]:
    """Makes a topic whose partitions have states; gives those."""
    claim = await member.controller_store.claim(member.broker_id)
    assert claim is not None
    await member.store.create_topic(_topic(partitions=partitions))
    made = await member.controller_store.write_states(claim, [_new(n) for n in range(partitions)])
    return [state for _, state in sorted(made.items()) if state]


def test_in_sync_replicas_are_written_without_being_the_controller(run: Run) -> None:
    async def scenario(members: Members) -> None:
        one, two = await members.join(0), await members.join(1)
        states = await _states_of(one, 130)
        changes = [_in_sync(number, state, 0, 1) for number, state in enumerate(states)]
        written = await two.store.write_isr(changes)
        assert written == {change.partition: replace(change.state, version=1) for change in changes}
        await one.controller_store.catch_up()
        assert dict(one.view.states) == written

    run(scenario)


def test_of_two_that_change_a_state_one_wins_and_both_are_told_what_is_true(run: Run) -> None:
    async def scenario(members: Members) -> None:
        one, two = await members.join(0), await members.join(1)
        states = await _states_of(one, 120)
        outcomes = await asyncio.gather(
            one.store.write_isr([_in_sync(n, state, 0, 1) for n, state in enumerate(states)]),
            two.store.write_isr([_in_sync(n, state, 0, 2) for n, state in enumerate(states)]),
        )
        assert outcomes[0] == outcomes[1]
        assert len(outcomes[0]) == 120
        assert all(
            state is not None and state.version == 1 and state.isr in {(0, 1), (0, 2)}
            for state in outcomes[0].values()
        )
        nowhere = TopicPartition("nowhere", 0)
        change = StateChange(nowhere, states[0], expected_version=3)
        assert await one.store.write_isr([change]) == {nowhere: None}

    run(scenario)


def test_a_reassignment_is_completed_where_the_state_has_left_what_goes(run: Run) -> None:
    one_id = BrokerId(1)

    def begin(topic: Topic) -> Topic:
        for number in range(3):
            topic = move(topic, number, (one_id,))
        return topic

    async def scenario(members: Members) -> None:
        one, two = await members.join(0), await members.join(1)
        states = await _states_of(one, 4)
        claim = await one.controller_store.claim(one.broker_id)
        assert claim is not None
        await two.store.update_topic("t", begin)
        arrived = replace(states[0], leader=one_id, isr=(one_id,))
        # 0 has arrived, 1 is led by who leaves, 2 has who leaves in sync; 3 does not move.
        for change in (
            StateChange(TopicPartition("t", 0), arrived, 0),
            StateChange(TopicPartition("t", 1), replace(arrived, leader=_ZERO), 0),
            StateChange(TopicPartition("t", 2), replace(arrived, isr=(one_id, _ZERO)), 0),
        ):
            await one.controller_store.write_states(claim, [change])
        for _ in range(2):
            await one.controller_store.complete_reassignment(claim, "t", range(5))
            for member in (one, two):
                await member.controller_store.catch_up()
                topic = member.view.topics["t"]
                assert dict(topic.assignment) == {
                    0: (one_id,),
                    1: (one_id, _ZERO),
                    2: (one_id, _ZERO),
                    3: (_ZERO,),
                }
                assert topic.moving == {1, 2}
        await one.controller_store.complete_reassignment(claim, "nowhere", [0])

    run(scenario)


def test_a_controller_is_deposed_and_another_elected(run: Run) -> None:
    async def scenario(members: Members) -> None:
        one, two = await members.join(0), await members.join(1)
        old = await one.controller_store.claim(one.broker_id)
        assert old is not None
        await two.controller_store.depose(two.broker_id)  # which it is not
        assert await two.controller_store.claim(two.broker_id) is None
        await two.controller_store.depose(one.broker_id)
        await two.controller_store.depose(one.broker_id)
        await one.until(lambda: one.view.controller is None)
        claim = await two.controller_store.claim(two.broker_id)
        assert claim is not None
        assert claim.epoch == old.epoch + 1
        await one.controller_store.depose(one.broker_id)
        await one.until(lambda: one.view.controller == two.broker_id)
        with pytest.raises(FencedControllerError):
            await one.controller_store.write_states(old, [_new(0)])

    run(scenario)


@pytest.mark.parametrize("partitions", [2, 130])
def test_a_removed_topic_leaves_nothing_and_can_be_made_again(run: Run, partitions: int) -> None:
    async def scenario(members: Members) -> None:
        one, two = await members.join(0), await members.join(1)
        claim = await one.controller_store.claim(one.broker_id)
        assert claim is not None
        await one.store.create_topic(_topic(partitions=partitions, x="y"))
        changes = [_new(number) for number in range(partitions - 1)]
        first = await one.controller_store.write_states(claim, changes)
        state = first[TopicPartition("t", 0)]
        assert state is not None
        await one.controller_store.write_states(claim, [_next(state, 0)])
        await two.store.request_topic_deletion("t")
        await two.store.request_topic_deletion("t")
        await one.until(lambda: one.view.deletions == {"t"})
        await one.controller_store.remove_topic(claim, "t")
        await one.controller_store.remove_topic(claim, "t")
        for member in (one, two):
            await member.controller_store.catch_up()
            assert not member.view.topics
            assert not member.view.deletions
            assert not member.view.states
        again = _topic(partitions=1)
        await two.store.create_topic(again)
        made = await one.controller_store.write_states(claim, [_new(0)])
        await two.until(lambda: dict(two.view.states) == made)
        assert two.view.topics == {"t": again}

    run(scenario)


def test_a_leader_that_has_not_heard_of_it_writes_nothing_over_a_topic_made_anew(run: Run) -> None:
    async def scenario(members: Members) -> None:
        one, two = await members.join(0), await members.join(1)
        claim = await one.controller_store.claim(one.broker_id)
        assert claim is not None
        former, again, other = _topic(), _topic(), _topic("other")
        await one.store.create_topic(former)
        await one.store.create_topic(other)
        await one.controller_store.write_states(claim, [_new(0), _new(0, "other")])
        await one.store.request_topic_deletion("t")
        await one.until(lambda: "t" in one.view.deletions)
        await one.controller_store.remove_topic(claim, "t")

        state = _new(0).state
        late = replace(_in_sync(0, state, 0, 1), topic_id=former.topic_id)
        good = replace(late, partition=TopicPartition("other", 0), topic_id=other.topic_id)
        written = {late.partition: None, good.partition: replace(good.state, version=1)}
        assert await two.store.write_isr([late]) == {late.partition: None}
        await one.store.create_topic(again)
        made = await one.controller_store.write_states(claim, [_new(0)])
        assert await two.store.write_isr([late, good]) == written
        await one.controller_store.catch_up()
        assert one.view.states[late.partition] == made[late.partition]
        right = replace(late, topic_id=again.topic_id)
        assert await two.store.write_isr([right]) == {
            right.partition: replace(right.state, version=1)
        }

    run(scenario)


def test_a_topic_whose_deletion_nobody_asks_for_is_not_removed(run: Run) -> None:
    async def scenario(members: Members) -> None:
        one = await members.join(0)
        claim = await one.controller_store.claim(one.broker_id)
        assert claim is not None
        await one.store.create_topic(_topic())
        await one.store.request_topic_deletion("t")
        await one.controller_store.drop_deletion(claim, "t")
        await one.controller_store.drop_deletion(claim, "t")
        with pytest.raises(StoreConflictError, match="Nobody asks"):
            await one.controller_store.remove_topic(claim, "t")
        await one.controller_store.catch_up()
        assert "t" in one.view.topics
        assert not one.view.deletions

    run(scenario)


def test_every_block_of_producer_ids_is_given_once(run: Run) -> None:
    async def scenario(members: Members) -> None:
        one, two = await members.join(0), await members.join(1)
        blocks = await asyncio.gather(
            *(each.store.claim_producer_ids(each.broker_id) for each in (one, two) * 5)
        )
        ids = [producer_id for block in blocks for producer_id in block]
        assert sorted(ids) == list(range(10_000))

    run(scenario)


def test_brokers_come_and_go_in_the_view(run: Run) -> None:
    async def scenario(members: Members) -> None:
        one = await members.join(0)
        assert one.view.brokers[one.broker_id].epoch == one.epoch
        two = await members.join(1)
        await one.until(lambda: set(one.view.brokers) == {0, 1})
        assert one.view.brokers[two.broker_id].epoch == two.epoch > one.epoch
        await members.leave(two)
        await one.until(lambda: set(one.view.brokers) == {0})

    run(scenario)
