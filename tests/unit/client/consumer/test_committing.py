"""Commits: how often they are tried, and what ends them."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest

from kafkalite.client.backoff import Backoff
from kafkalite.client.consumer.commits import CommitLedger, OffsetAndMetadata
from kafkalite.client.consumer.committing import Committing
from kafkalite.client.consumer.failures import CommitFailedError
from kafkalite.client.consumer.group_requests import GroupRequests
from kafkalite.client.consumer.membership import GroupMember, Membership
from kafkalite.client.consumer.positions import Positions
from kafkalite.model.errors import (
    FencedMemberEpochError,
    InvalidGroupIdError,
    LogError,
    NetworkError,
    RequestTimedOutError,
    StaleMemberEpochError,
    UnknownMemberIdError,
)
from kafkalite.model.ids import TopicPartition

_T0, _T1 = TopicPartition("t", 0), TopicPartition("t", 1)
_OFFSETS = {_T0: OffsetAndMetadata(5), _T1: OffsetAndMetadata(7)}


class _Group:
    """A coordinator and a member, both of which a test tells what to do."""

    def __init__(self) -> None:
        self.attempts: list[tuple[str, int, list[TopicPartition]]] = []
        self.refusals: list[LogError | Mapping[TopicPartition, LogError]] = []
        """Of the next attempts: as a whole, or of some partitions."""
        self.life, self.epoch = 0, 3
        self.on_attempt: Callable[[], None] = lambda: None
        self.positions = Positions()
        for each in _OFFSETS:
            self.positions.add(each, 0, is_new=False)
        self.ledger = CommitLedger(self.positions)
        self.committing = Committing(cast("GroupRequests", self), self.ledger, Backoff(1, 2))
        self.committing.member = cast("GroupMember", self)

    # -- the member ------------------------------------------------------------------------------

    def look(self) -> Membership:
        return Membership("m", self.epoch, self.life, frozenset())

    async def wait_for_epoch_after(self, epoch: int, timeout_s: float) -> bool:
        assert epoch == self.epoch
        self.epoch += 1
        return True

    # -- the coordinator -------------------------------------------------------------------------

    async def commit(
        self,
        offsets: Mapping[TopicPartition, OffsetAndMetadata],
        timeout_s: float,
        *,
        member_id: str,
        member_epoch: int,
    ) -> dict[TopicPartition, LogError | None]:
        self.attempts.append((member_id, member_epoch, sorted(offsets)))
        self.on_attempt()
        refusal = self.refusals.pop(0) if self.refusals else {}
        if isinstance(refusal, LogError):
            raise refusal
        return {each: refusal.get(each) for each in offsets}

    def run(self, timeout_s: float = 10, **options: Any) -> None:
        asyncio.run(self.committing.commit(_OFFSETS, timeout_s, **options))


def test_a_commit_is_the_members_and_is_remembered() -> None:
    group = _Group()
    group.run()
    assert group.attempts == [("m", 3, [_T0, _T1])]
    assert group.ledger.knows(_T0)
    assert group.ledger.knows(_T1)


def test_without_a_member_it_is_nobodys() -> None:
    group = _Group()
    group.committing.member = None
    group.run()
    assert group.attempts == [("", -1, [_T0, _T1])]


def test_what_may_go_well_later_is_tried_again() -> None:
    group = _Group()
    group.refusals = [NetworkError("gone"), NetworkError("still")]
    group.run()
    assert len(group.attempts) == 3


def test_only_what_was_refused_is_tried_again() -> None:
    group = _Group()
    group.refusals = [{_T1: NetworkError("gone")}]
    group.run()
    assert [partitions for *_, partitions in group.attempts] == [[_T0, _T1], [_T1]]


def test_a_stale_epoch_waits_for_the_new_one() -> None:
    group = _Group()
    group.refusals = [StaleMemberEpochError()]
    group.run()
    assert [epoch for _, epoch, _ in group.attempts] == [3, 4]


@pytest.mark.parametrize("error", [UnknownMemberIdError, FencedMemberEpochError])
def test_a_member_that_is_none_any_more_does_not_insist(error: type[LogError]) -> None:
    group = _Group()
    group.refusals = [error()]
    with pytest.raises(CommitFailedError):
        group.run()
    assert len(group.attempts) == 1


def test_a_life_that_ends_meanwhile_ends_the_attempts() -> None:
    group = _Group()
    group.refusals = [NetworkError("gone")]

    def die() -> None:
        group.life += 1

    group.on_attempt = die
    with pytest.raises(CommitFailedError):
        group.run()
    assert len(group.attempts) == 1, "what was owned must not be committed"


def test_what_never_goes_well_is_told_at_once() -> None:
    group = _Group()
    group.refusals = [InvalidGroupIdError()]
    with pytest.raises(InvalidGroupIdError):
        group.run()


def test_attempts_end_when_the_time_is_up() -> None:
    group = _Group()
    group.refusals = [NetworkError("gone")] * 100
    with pytest.raises(RequestTimedOutError, match="not committed in time: gone"):
        group.run(timeout_s=0)


def test_one_attempt_is_one() -> None:
    group = _Group()
    group.refusals = [NetworkError("gone")]
    with pytest.raises(NetworkError):
        group.run(tries_again=False)
    assert len(group.attempts) == 1


def test_commits_do_not_overtake_each_other() -> None:
    group = _Group()
    group.refusals = [NetworkError("gone")]
    later = {_T0: OffsetAndMetadata(9)}

    async def both() -> None:
        await asyncio.gather(
            group.committing.commit(_OFFSETS, 10), group.committing.commit(later, 10)
        )

    asyncio.run(both())
    assert [partitions for *_, partitions in group.attempts] == [[_T0, _T1], [_T0, _T1], [_T0]]
