"""The order in which partitions come and go, with and without a listener."""

import asyncio
from collections.abc import Collection
from typing import Any

import pytest

from kafkalite.client.consumer.listener import CallDue, Listener, Partitions
from kafkalite.client.consumer.membership import Membership
from kafkalite.client.consumer.positions import Positions
from kafkalite.client.consumer.rebalancing import Rebalancing
from kafkalite.model.errors import FencedInstanceIdError, LogError
from kafkalite.model.ids import TopicPartition

_T0, _T1, _T2 = (TopicPartition("t", number) for number in range(3))


class _Source:
    """A membership that a test changes."""

    session_due_s = float("inf")

    def __init__(self, story: list[Any]) -> None:
        self.story = story
        self.life = 0
        self.assignment: Partitions = frozenset()
        self.failure: LogError | None = None

    def look(self) -> Membership:
        if self.failure is not None:
            raise self.failure
        return Membership("m", 1, self.life, self.assignment)

    def release(self, partitions: Partitions, life: int) -> None:
        self.story.append(("release", sorted(partitions), life))

    def start(self) -> None: ...
    def subscribe(self, topics: tuple[str, ...], pattern: str | None) -> None: ...
    def hold(self) -> None: ...
    def note_poll(self, now_s: float) -> None: ...
    async def close(self) -> None: ...


class _Group:
    """A consumer's share of a group, and all that happens to it."""

    def __init__(self, *, listens: bool = True) -> None:
        self.story: list[Any] = []
        self.source = _Source(self.story)
        self.positions = Positions()
        self.rebalancing = Rebalancing(
            self.source,
            self.positions,
            commit=self._commit,
            on_gone=lambda gone: self.story.append(("gone", sorted(gone))),
        )
        if listens:
            self.rebalancing.listener = _Listener(self.story)

    async def _commit(self, partitions: Partitions) -> None:
        assert partitions <= self.positions.partitions, "they are still ours"
        self.story.append(("commit", sorted(partitions)))

    def turn(self, *assignment: TopicPartition) -> list[Any]:
        """Be assigned these, and carry out what follows; gives what happened."""
        self.source.assignment = frozenset(assignment)
        self.story.clear()

        async def steps() -> None:
            while (call := (await self.rebalancing.step())[1]) is not None:
                call.make()

        asyncio.run(steps())
        assert self.positions.partitions == self.source.assignment
        return list(self.story)


class _Listener(Listener):
    def __init__(self, story: list[Any]) -> None:
        self._story = story

    def on_revoked(self, partitions: Collection[TopicPartition], /) -> None:
        self._story.append(("revoked", sorted(partitions)))

    def on_assigned(self, partitions: Collection[TopicPartition], /) -> None:
        self._story.append(("assigned", sorted(partitions)))

    def on_lost(self, partitions: Collection[TopicPartition], /) -> None:
        self._story.append(("lost", sorted(partitions)))


def test_what_goes_is_told_committed_and_only_then_released() -> None:
    group = _Group()
    assert group.turn(_T0, _T1) == [("assigned", [_T0, _T1])]
    assert group.turn(_T1, _T2) == [
        ("revoked", [_T0]),
        ("commit", [_T0]),
        ("gone", [_T0]),
        ("release", [_T0], 0),
        ("assigned", [_T2]),
    ]
    assert group.turn(_T1, _T2) == []


def test_the_same_happens_without_a_listener() -> None:
    group = _Group(listens=False)
    assert group.turn(_T0) == []
    assert group.turn() == [("commit", [_T0]), ("gone", [_T0]), ("release", [_T0], 0)]


def test_what_was_lost_is_neither_committed_nor_released() -> None:
    group = _Group()
    group.turn(_T0)
    group.source.life += 1
    assert group.turn() == [("gone", [_T0]), ("lost", [_T0])]


def test_what_was_lost_and_came_again_begins_anew() -> None:
    group = _Group()
    group.turn(_T0)
    group.positions.of(_T0).go_to(7)
    group.source.life += 1
    assert group.turn(_T0) == [("gone", [_T0]), ("lost", [_T0]), ("assigned", [_T0])]
    assert not group.positions.of(_T0).is_known


def test_what_stays_is_not_touched() -> None:
    group = _Group()
    group.turn(_T0, _T1)
    group.positions.of(_T1).go_to(7)
    stint = group.positions.of(_T1).stint
    group.turn(_T1)
    assert group.positions.of(_T1).stint == stint


def test_what_is_revoked_again_after_it_came_back_is_told_again() -> None:
    group = _Group()
    group.turn(_T0)
    assert ("revoked", [_T0]) in group.turn()
    group.turn(_T0)
    assert ("revoked", [_T0]) in group.turn()


def test_partitions_that_were_not_there_at_first_are_news() -> None:
    group = _Group()
    group.rebalancing.known_counts = {"t": 2}
    group.turn(_T1, _T2, TopicPartition("u", 0))
    assert not group.positions.of(_T1).is_new
    assert group.positions.of(_T2).is_new
    assert group.positions.of(TopicPartition("u", 0)).is_new


def test_who_is_not_wanted_any_more_is_told_so() -> None:
    group = _Group()
    group.turn(_T0)
    group.source.failure = FencedInstanceIdError()
    with pytest.raises(FencedInstanceIdError):
        asyncio.run(group.rebalancing.step())


@pytest.mark.parametrize(("is_lost", "kind"), [(False, "revoked"), (True, "lost")])
def test_leaving_tells_what_is_left_behind(is_lost: bool, kind: str) -> None:
    group = _Group()
    assert group.rebalancing.farewell() is None
    group.turn(_T0)
    if is_lost:
        group.source.failure = FencedInstanceIdError()
    call = group.rebalancing.farewell()
    assert isinstance(call, CallDue)
    assert call.kind == kind
    assert call.partitions == {_T0}
