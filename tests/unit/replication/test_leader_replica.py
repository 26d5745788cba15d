"""Tests for kafkalite.replication.leader_replica: what scenarios cannot show, or show at length."""

from collections.abc import Mapping

import pytest

from kafkalite.model.cluster import Broker, PartitionState
from kafkalite.model.errors import StaleBrokerEpochError, UnknownTopicOrPartitionError
from kafkalite.model.ids import BrokerId, ControllerEpoch, LeaderEpoch
from kafkalite.replication.leader_replica import LeaderReplica

_LAG_MS = 10_000
_OWN, _ONE, _TWO = BrokerId(0), BrokerId(1), BrokerId(2)
_BROKER_EPOCH = 50
_BROKERS = {each: Broker(each, "host", 1, epoch=_BROKER_EPOCH) for each in (_OWN, _ONE, _TWO)}


def _state(*isr: BrokerId, version: int = 0) -> PartitionState:
    return PartitionState(_OWN, LeaderEpoch(3), isr, ControllerEpoch(1), version)


class _Leader:
    """A leader with ten records, nine of them below the high watermark, and its clock."""

    def __init__(
        self,
        *isr: BrokerId,
        replicas: tuple[BrokerId, ...] = (_OWN, _ONE, _TWO),
        high_watermark: int = 9,
        epoch_start: int = 5,
    ) -> None:
        self.now_ms = 1_000
        self.end = 10
        self.replica = LeaderReplica(
            _OWN,
            _state(*isr),
            replicas,
            epoch_start=epoch_start,
            high_watermark=high_watermark,
            lag_ms=_LAG_MS,
            now_ms=self.now_ms,
        )

    def fetch(
        self,
        follower: BrokerId,
        offset: int,
        *,
        epoch: int = _BROKER_EPOCH,
        is_damaged: bool = False,
    ) -> bool:
        self.replica.check_replica(follower, epoch)
        is_due = self.replica.note_fetch(
            follower, epoch, offset, self.end, self.now_ms, is_damaged=is_damaged
        )
        self.replica.advance(self.end)
        return is_due

    def propose(
        self,
        *,
        sessions: Mapping[BrokerId, int] | None = None,
        brokers: Mapping[BrokerId, Broker] | None = None,
    ) -> tuple[BrokerId, ...] | None:
        change = self.replica.propose(
            self.end,
            self.now_ms,
            (sessions or {}).get,
            _BROKERS if brokers is None else brokers,
        )
        return change.state.isr if change is not None else None

    def follow(self, state: PartitionState, *replicas: BrokerId) -> None:
        self.replica.follow(state, replicas or (_OWN, _ONE, _TWO), self.now_ms)

    def wait(self, milliseconds: int) -> None:
        """Time in which the leader looks for who lags, as it should."""
        while milliseconds:
            step = min(milliseconds, _LAG_MS // 2)
            self.now_ms += step
            milliseconds -= step
            if milliseconds:
                assert self.propose() is None


# -- who may fetch (REP-7) -------------------------------------------------------------------------


def test_broker_that_is_no_replica_is_refused() -> None:
    leader = _Leader(_OWN, replicas=(_OWN, _ONE))
    with pytest.raises(UnknownTopicOrPartitionError):
        leader.fetch(_TWO, 10)
    assert leader.replica.progress(_TWO) is None


def test_late_fetch_of_an_earlier_incarnation_is_refused() -> None:
    leader = _Leader(_OWN, _ONE)
    leader.fetch(_ONE, 9)
    leader.fetch(_ONE, 9, epoch=_BROKER_EPOCH + 1)
    with pytest.raises(StaleBrokerEpochError):
        leader.fetch(_ONE, 10)


# -- the high watermark (REP-3) --------------------------------------------------------------------


def test_high_watermark_waits_for_members_that_have_not_fetched_yet() -> None:
    leader = _Leader(_OWN, _ONE, _TWO)
    leader.fetch(_ONE, 10)
    assert leader.replica.high_watermark == 9
    leader.fetch(_TWO, 10)
    assert leader.replica.high_watermark == 10


def test_high_watermark_does_not_wait_for_replicas_that_are_behind_and_out_of_sync() -> None:
    leader = _Leader(_OWN, _ONE)
    leader.fetch(_TWO, 3)
    leader.fetch(_ONE, 10)
    assert leader.replica.high_watermark == 10


def test_high_watermark_stays_when_a_member_loses_records() -> None:
    leader = _Leader(_OWN, _ONE)
    leader.fetch(_ONE, 10)
    assert leader.fetch(_ONE, 2)
    assert leader.replica.high_watermark == 10


def test_pending_addition_is_waited_for_even_when_it_is_assigned_no_longer() -> None:
    leader = _Leader(_OWN, _ONE)
    leader.fetch(_TWO, 10)
    assert leader.propose() == (_OWN, _ONE, _TWO)
    leader.follow(_state(_OWN, _ONE), _OWN, _ONE)
    leader.end = 11
    leader.fetch(_ONE, 11)
    assert leader.replica.high_watermark == 10
    leader.follow(_state(_OWN, _ONE, version=1), _OWN, _ONE)
    leader.replica.advance(leader.end)
    assert leader.replica.high_watermark == 11


# -- changing the ISR (REP-4, REP-5, REP-6) --------------------------------------------------------


def test_nothing_is_proposed_when_nothing_has_to_change() -> None:
    leader = _Leader(_OWN, _ONE)
    leader.fetch(_ONE, 10)
    assert leader.propose() is None


def test_replicas_leave_and_join_in_one_change() -> None:
    leader = _Leader(_OWN, _ONE)
    leader.fetch(_ONE, 4)
    leader.fetch(_TWO, 10)
    assert leader.propose() == (_OWN, _TWO)
    assert leader.replica.maximal_isr == {_OWN, _ONE, _TWO}


def test_leader_stays_whatever_happens() -> None:
    leader = _Leader(_OWN)
    leader.wait(10 * _LAG_MS)
    assert leader.propose() is None


def test_replica_joins_at_the_high_watermark_and_not_before() -> None:
    leader = _Leader(_OWN, _ONE)
    assert not leader.fetch(_TWO, 8)
    assert leader.propose() is None
    assert leader.fetch(_TWO, 9)
    assert leader.propose() == (_OWN, _ONE, _TWO)


def test_change_that_is_due_waits_for_the_one_that_is_pending() -> None:
    leader = _Leader(_OWN, _ONE)
    leader.fetch(_TWO, 10)
    assert leader.propose() == (_OWN, _ONE, _TWO)
    assert not leader.fetch(_ONE, 2)
    assert leader.propose() == (_OWN, _ONE, _TWO)
    leader.follow(_state(_OWN, _ONE, _TWO, version=1))
    assert leader.propose() == (_OWN, _TWO)


def test_another_change_is_tried_where_whom_it_adds_was_started_again() -> None:
    leader = _Leader(_OWN, _ONE)
    leader.fetch(_TWO, 10)
    assert leader.propose() == (_OWN, _ONE, _TWO)
    again = {**_BROKERS, _TWO: Broker(_TWO, "host", 1, epoch=_BROKER_EPOCH + 1)}
    # Not even where nothing else has to change: the first one may be stored, or not.
    assert leader.propose(brokers=again) == (_OWN, _ONE)
    assert leader.replica.pending is not None
    assert leader.replica.pending.expected_version == 0
    assert leader.replica.maximal_isr == {_OWN, _ONE, _TWO}
    leader.end = 11
    leader.fetch(_ONE, 11)
    assert leader.replica.high_watermark == 10, "it waits for whoever may be in sync"
    leader.follow(_state(_OWN, _ONE, version=1))
    leader.replica.advance(leader.end)
    assert leader.replica.high_watermark == 11
    assert leader.propose(brokers=again) is None


def test_a_broker_that_was_started_again_joins_by_what_it_has_now() -> None:
    leader = _Leader(_OWN, _ONE)
    leader.fetch(_TWO, 10)
    assert leader.propose() == (_OWN, _ONE, _TWO)
    again = {**_BROKERS, _TWO: Broker(_TWO, "host", 1, epoch=_BROKER_EPOCH + 1)}
    leader.fetch(_TWO, 4, epoch=_BROKER_EPOCH + 1)
    assert leader.propose(brokers=again) == (_OWN, _ONE)
    leader.fetch(_TWO, 10, epoch=_BROKER_EPOCH + 1)
    assert leader.propose(brokers=again) == (_OWN, _ONE), "the one that is pending is tried again"
    leader.follow(_state(_OWN, _ONE, version=1))
    assert leader.propose(brokers=again) == (_OWN, _ONE, _TWO)


def test_damaged_member_leaves_where_a_new_leader_cannot_tell_that_nobody_counts_on_it() -> None:
    leader = _Leader(_OWN, _ONE, high_watermark=3, epoch_start=8)
    assert leader.fetch(_ONE, 7, is_damaged=True)
    assert not leader.replica.gives_records_to(_ONE)
    assert leader.propose() == (_OWN,)
    leader.follow(_state(_OWN, version=1))
    assert leader.replica.gives_records_to(_ONE)


@pytest.mark.parametrize(("offset", "is_damaged"), [(7, False), (8, True)])
def test_member_that_is_behind_a_new_leader_but_has_all_that_counts_stays(
    offset: int, is_damaged: bool
) -> None:
    leader = _Leader(_OWN, _ONE, high_watermark=3, epoch_start=8)
    assert not leader.fetch(_ONE, offset, is_damaged=is_damaged)
    assert leader.replica.gives_records_to(_ONE)
    assert leader.propose() is None


def test_change_names_the_version_that_it_replaces_and_nothing_else_changes() -> None:
    leader = _Leader(_OWN)
    leader.follow(_state(_OWN, version=7))
    leader.fetch(_ONE, 10)
    leader.propose()
    pending = leader.replica.pending
    assert pending is not None
    assert pending.expected_version == 7
    assert pending.state == _state(_OWN, _ONE, version=7)


def test_replica_has_its_time_from_when_it_joins() -> None:
    leader = _Leader(_OWN, _TWO)
    leader.wait(_LAG_MS // 2)
    leader.fetch(_ONE, 9)  # below the end: it was never caught up
    assert leader.propose() == (_OWN, _TWO, _ONE)
    leader.follow(_state(_OWN, _TWO, _ONE, version=1))
    leader.wait(_LAG_MS // 2 + 1)
    assert leader.propose() == (_OWN, _ONE)


def test_broker_that_left_the_assignment_does_not_join() -> None:
    leader = _Leader(_OWN, _ONE)
    leader.fetch(_TWO, 10)
    leader.follow(_state(_OWN, _ONE), _OWN, _ONE)
    assert leader.propose() is None


@pytest.mark.parametrize("brokers", [{}, {_ONE: Broker(_ONE, "host", 1, epoch=_BROKER_EPOCH + 1)}])
def test_broker_joins_only_as_it_is_registered(brokers: Mapping[BrokerId, Broker]) -> None:
    leader = _Leader(_OWN)
    leader.fetch(_ONE, 10)
    assert leader.propose(brokers=brokers) is None
    assert leader.propose() == (_OWN, _ONE)


# -- being caught up -------------------------------------------------------------------------------


def test_follower_that_has_what_there_was_at_its_fetch_before_is_caught_up() -> None:
    leader = _Leader(_OWN, _ONE)
    leader.fetch(_ONE, 9)
    for _ in range(10):
        offset, leader.end = leader.end, leader.end + 5
        leader.wait(_LAG_MS // 2)
        leader.fetch(_ONE, offset)
        assert leader.propose() is None


def test_follower_that_only_fetches_is_not_caught_up() -> None:
    leader = _Leader(_OWN, _ONE)
    leader.fetch(_ONE, 9)
    leader.wait(_LAG_MS)
    leader.fetch(_ONE, 9)
    leader.now_ms += 1
    assert leader.propose() == (_OWN,)


def test_session_counts_for_those_who_have_everything_only() -> None:
    leader = _Leader(_OWN, _ONE, _TWO)
    leader.fetch(_ONE, 10)
    leader.fetch(_TWO, 9)
    leader.wait(_LAG_MS)
    leader.now_ms += 1
    sessions = {_ONE: leader.now_ms, _TWO: leader.now_ms}
    assert leader.propose(sessions=sessions) == (_OWN, _ONE)


def test_session_of_another_incarnation_does_not_count() -> None:
    leader = _Leader(_OWN, _ONE)
    leader.fetch(_ONE, 10, epoch=_BROKER_EPOCH - 1)
    leader.wait(_LAG_MS)
    leader.now_ms += 1
    assert leader.propose(sessions={_ONE: leader.now_ms}) == (_OWN,)
