"""Tests for kafkalite.replication.divergence."""

import pytest

from kafkalite.model.ids import NO_EPOCH
from kafkalite.replication.divergence import (
    Divergence,
    divergence,
    epoch_before,
    truncation_offset,
)
from kafkalite.replication.position import Position
from tests.support.epoch_log import EpochLog


def _position(offset: int, epoch: int) -> Position:
    return Position(offset, epoch, 9)


# -- what the leader answers -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "epoch"),
    [(1, 0), (2, 0), (3, 2), (5, 2), (6, 4)],
    ids=["within", "epoch ends", "within a later one", "its end", "log ends"],
)
def test_nothing_diverges_when_the_last_record_is_the_leaders(offset: int, epoch: int) -> None:
    assert divergence(EpochLog([0, 0, 2, 2, 2, 4]), _position(offset, epoch)) is None


@pytest.mark.parametrize(
    ("offset", "epoch", "answer"),
    [
        (3, 0, (0, 2)),  # more of epoch 0 than the leader has
        (7, 4, (4, 6)),
        (3, 1, (0, 2)),  # an epoch that the leader never had
        (2, 3, (2, 5)),
        (9, 8, (4, 6)),
    ],
)
def test_leader_names_its_end_of_the_epoch_or_of_the_one_before(
    offset: int, epoch: int, answer: tuple[int, int]
) -> None:
    assert divergence(EpochLog([0, 0, 2, 2, 2, 4]), _position(offset, epoch)) == answer


def test_nothing_diverges_in_a_log_without_records() -> None:
    assert divergence(EpochLog([3, 3]), _position(2, NO_EPOCH)) is None
    assert divergence(EpochLog([], start=7), _position(9, NO_EPOCH)) is None


def test_leader_compares_from_its_start_when_it_deleted_the_epoch() -> None:
    leader = EpochLog([5, 5], start=4)
    assert divergence(leader, _position(5, 3)) == (NO_EPOCH, 4)
    assert divergence(leader, _position(4, 3)) is None


# -- what the follower makes of it -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("epochs", "found", "offset"),
    [
        ([0, 0, 0], Divergence(0, 2), 2),
        ([0, 1, 1], Divergence(0, 3), 1),  # the leader has more of epoch 0
        ([0, 2, 3], Divergence(1, 2), 1),  # neither has the other's epochs
        ([4, 4], Divergence(3, 7), 0),  # nothing of that time is here
        ([2, 2, 2], Divergence(NO_EPOCH, 2), 2),
        ([2], Divergence(NO_EPOCH, 5), 1),
    ],
)
def test_follower_truncates_to_where_the_epochs_part(
    epochs: list[int], found: Divergence, offset: int
) -> None:
    assert truncation_offset(EpochLog(epochs), found) == offset


# -- the epoch before an offset --------------------------------------------------------------------


def test_epoch_before_an_offset_is_that_of_its_last_record() -> None:
    log = EpochLog([0, 2, 2, 5], start=10)
    assert [epoch_before(log, offset) for offset in range(10, 15)] == [NO_EPOCH, 0, 2, 2, 5]


def test_epoch_that_has_begun_without_a_record_is_not_before_the_end() -> None:
    class Begun(EpochLog):
        """Its leader's epoch has begun, at the end."""

        @property
        def leader_epoch(self) -> int:
            return 7

        def epoch_end_offset(self, epoch: int) -> tuple[int, int]:
            return (7, self.end_offset) if epoch >= 7 else super().epoch_end_offset(epoch)

    assert epoch_before(Begun([0, 2]), 2) == 2
    assert epoch_before(Begun([]), 0) == NO_EPOCH
