"""The group's machine with anything happening at any time; the checks are CoordinatedGroup's."""

from collections.abc import Callable

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.support.coordinated_group import (
    HEARTBEAT_MS,
    REBALANCE_MS,
    SESSION_MS,
    Client,
    CoordinatedGroup,
)

_TOPICS = ["a", "b", "c"]
_SUBSCRIPTIONS: list[tuple[tuple[str, ...], str | None]] = [
    (("a",), None), (("a", "b"), None), (("b",), "[ac]"), ((), "."), (("gone",), None),
]  # fmt: skip
_ROUNDS_UNTIL_THE_DEAD_ARE_OUT = max(SESSION_MS, REBALANCE_MS) // HEARTBEAT_MS + 1
_ROUNDS_OF_GIVING_AWAY = 6

_Happening = Callable[[CoordinatedGroup, st.DataObject], object]


def _of_coordinator(
    happens: Callable[[CoordinatedGroup, int, st.DataObject], object],
) -> _Happening:
    return lambda group, data: happens(
        group, data.draw(st.sampled_from(sorted(group.coordinators))), data
    )


def _of_client(
    happens: Callable[[CoordinatedGroup, Client, int, st.DataObject], object],
) -> _Happening:
    def happen(group: CoordinatedGroup, data: st.DataObject) -> None:
        present = sorted(client.id for client in group.clients.values() if not client.is_gone)
        if present:
            client = group.clients[data.draw(st.sampled_from(present))]
            happens(group, client, data.draw(st.sampled_from(sorted(group.coordinators))), data)

    return happen


def _come(group: CoordinatedGroup, data: st.DataObject) -> None:
    topics, pattern = data.draw(st.sampled_from(_SUBSCRIPTIONS))
    client = Client(
        f"m{len(group.clients)}",
        topics,
        pattern,
        instance_id=data.draw(st.sampled_from([None, None, "i", "j"])),
        rack=data.draw(st.sampled_from([None, "r"])),
        assignor=data.draw(st.sampled_from([None, None, "range", "roundrobin"])),
    )
    group.clients[client.id] = client
    group.beat(client, data.draw(st.sampled_from(sorted(group.coordinators))))


def _beat(group: CoordinatedGroup, client: Client, number: int, data: st.DataObject) -> None:
    fate = data.draw(st.sampled_from(["arrives", "comes twice", "is lost", "comes twice"]))
    if fate == "comes twice":
        group.late.append(client.request())
    group.beat(client, number, is_lost=fate == "is lost")


def _everybody_is_heard_of(group: CoordinatedGroup, data: st.DataObject) -> None:
    number = data.draw(st.sampled_from(sorted(group.coordinators)))
    group.notice(number)
    for client in group.clients.values():
        if not client.is_gone:
            _beat(group, client, number, data)
    group.store(number)


def _change_mind(group: CoordinatedGroup, client: Client, _: int, data: st.DataObject) -> None:
    client.topics, client.pattern = data.draw(st.sampled_from(_SUBSCRIPTIONS))


def _leave(group: CoordinatedGroup, client: Client, number: int, data: st.DataObject) -> None:
    is_back = client.instance_id is not None and data.draw(st.booleans())
    group.leave(client, number, for_a_while=is_back)


def _die(group: CoordinatedGroup, client: Client, *_: object) -> None:
    client.is_gone = True


def _end_store(group: CoordinatedGroup, number: int, data: st.DataObject) -> None:
    fate = data.draw(st.sampled_from(["succeeds", "succeeds", "fails", "is not heard of"]))
    group.end_store(number, fails=fate == "fails", loses_answers=fate == "is not heard of")


def _change_topic(group: CoordinatedGroup, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(_TOPICS))
    known = group.topics.counts.get(name, 0)
    group.change_topic(name, data.draw(st.sampled_from([None, known + 1, known + 3])))


def _deliver_late(group: CoordinatedGroup, number: int, data: st.DataObject) -> None:
    if group.late:
        position = data.draw(st.integers(0, len(group.late) - 1))
        group.deliver_late(group.late.pop(position), number)


_HAPPENINGS: list[_Happening] = [
    _come,
    _of_client(_beat),
    _of_client(_beat),
    _of_client(_beat),
    _of_client(_beat),
    _of_client(lambda group, client, *_: client.let_go()),
    _of_client(lambda group, client, *_: client.let_go()),
    _of_client(_change_mind),
    _of_client(_leave),
    _of_client(_die),
    _of_client(lambda group, client, number, _: group.commit(client, number)),
    _of_coordinator(lambda group, number, _: group.begin_store(number)),
    _of_coordinator(_end_store),
    _of_coordinator(lambda group, number, _: group.store(number)),
    _of_coordinator(lambda group, number, _: group.store(number)),
    _of_coordinator(lambda group, number, _: group.load(number)),
    _of_coordinator(lambda group, number, _: group.notice(number)),
    _of_coordinator(_deliver_late),
    _of_coordinator(_deliver_late),
    _of_coordinator(_deliver_late),
    _change_topic,
    _change_topic,
    _everybody_is_heard_of,
    _everybody_is_heard_of,
    lambda group, data: group.pass_time(data.draw(st.sampled_from([100, 3_000, 6_000]))),
]


def _rest(group: CoordinatedGroup, number: int) -> None:
    """Nothing happens any more, but that everybody who lives is heard of."""
    group.end_store(number)
    group.notice(number)
    for _ in range(_ROUNDS_UNTIL_THE_DEAD_ARE_OUT + _ROUNDS_OF_GIVING_AWAY):
        group.round(number)


def _check_at_rest(group: CoordinatedGroup) -> None:
    living = [client for client in group.clients.values() if not client.is_gone]
    wanted = {
        (topic, partition)
        for topic, count in group.topics.counts.items()
        for partition in range(count)
        if any(topic in c.topics or _matches(c.pattern, topic) for c in living)
    }
    consumed = [tuple(partition) for client in living for partition in client.owned]
    assert sorted(consumed) == sorted(wanted), "every subscribed partition has one owner"
    members = group.truth.members
    assert members.keys() == {client.id for client in living}
    for client in living:
        member = members[client.id]
        assert client.owned == member.held == member.target
        assert client.epoch == member.epoch
        assert len(group.commit(client, 0)) == len(client.owned)


def _matches(pattern: str | None, topic: str) -> bool:
    return pattern == "." or (pattern == "[ac]" and topic in "ac")


@pytest.mark.slow
@settings(
    max_examples=600, derandomize=True, deadline=None, phases=[Phase.explicit, Phase.generate]
)  # to shrink one of these takes minutes, and hardly makes it shorter
@given(data=st.data())
def test_partitions_have_one_owner_whatever_happens_and_each_has_one_soon_after(
    data: st.DataObject,
) -> None:
    """GRP-1 to GRP-7 of docs/design/groups.md."""
    group = CoordinatedGroup()
    group.topics.counts = {"a": 4, "b": 3}
    group.load(0)
    group.load(1)
    for _ in range(data.draw(st.integers(1, 80))):
        data.draw(st.sampled_from(_HAPPENINGS))(group, data)
        group.check_owners()
    _rest(group, 0)
    _check_at_rest(group)
    epoch = group.truth.epoch
    group.load(0)
    group.round(0)
    assert group.truth.epoch == epoch, "a new coordinator finds nothing to do"


@pytest.mark.slow
@settings(max_examples=50, derandomize=True, deadline=None)
@given(data=st.data())
def test_who_does_not_let_go_is_out_after_its_rebalance_timeout(data: st.DataObject) -> None:
    group = CoordinatedGroup()
    group.topics.counts = {"a": 6}
    group.load(0)
    for number in range(data.draw(st.integers(1, 4))):
        group.clients[f"m{number}"] = Client(f"m{number}", ("a",))
    group.round(0)
    newcomer = group.clients["new"] = Client("new", ("a",))
    for _ in range(REBALANCE_MS // HEARTBEAT_MS + 2):
        for client in group.clients.values():
            group.beat(client, 0)
        group.store(0)
        group.pass_time(HEARTBEAT_MS)
        group.store(0)
        group.check_owners()
    assert newcomer.owned, "somebody was given up for it"
