"""Positions: where they begin, move and are lost."""

import pytest

from kafkalite.client.consumer.failures import NotAssignedError
from kafkalite.client.consumer.positions import (
    EARLIEST,
    GROUP,
    LATEST,
    PartitionPosition,
    Positions,
)
from kafkalite.model.ids import TopicPartition
from kafkalite.model.offsets import NO_OFFSET
from tests.support.fetched import PLACE, position_at


def test_a_partition_that_begins_at_an_offset_is_there_at_once() -> None:
    partition = PartitionPosition(PLACE, 7, is_new=False)
    assert partition.is_known
    assert (partition.position, partition.fetch_offset) == (7, 7)


@pytest.mark.parametrize("start", [GROUP, EARLIEST, LATEST])
def test_a_partition_that_begins_elsewhere_has_to_find_out(start: str) -> None:
    partition = PartitionPosition(PLACE, start, is_new=False)
    assert not partition.is_known
    assert partition.lag is None


def test_a_seek_begins_another_stint_at_its_place() -> None:
    partition = position_at(3)
    partition.fetched_to(9)
    partition.advance(5)
    stint = partition.stint
    partition.error = ValueError()
    partition.begin_at(1)
    assert partition.stint > stint
    assert (partition.position, partition.fetch_offset) == (1, 1)
    assert partition.error is None


def test_a_seek_to_an_end_forgets_the_place() -> None:
    partition = position_at(3)
    partition.begin_at(LATEST)
    assert (partition.position, partition.start) == (NO_OFFSET, LATEST)


def test_a_lost_position_remembers_what_it_was() -> None:
    partition = position_at(3)
    partition.lose()
    assert (partition.position, partition.lost_offset) == (NO_OFFSET, 3)
    partition.go_to(9)
    assert partition.lost_offset == NO_OFFSET


def test_what_is_fetched_again_is_what_was_not_given() -> None:
    partition = position_at(3)
    partition.fetched_to(9)
    partition.advance(5)
    stint = partition.stint
    partition.refetch()
    assert (partition.position, partition.fetch_offset) == (5, 5)
    assert partition.stint > stint


def test_lag_is_what_is_left_below_the_high_watermark() -> None:
    partition = position_at(3)
    assert partition.lag is None
    partition.high_watermark = 10
    assert partition.lag == 7
    partition.advance(10)
    assert partition.lag == 0
    partition.high_watermark = 9
    assert partition.lag == 0


def test_positions_never_go_back_but_by_a_seek() -> None:
    partition = position_at(3)
    with pytest.raises(AssertionError):
        partition.advance(2)
    with pytest.raises(AssertionError):
        partition.fetched_to(2)


def test_a_partition_that_is_not_consumed_is_told_by_name() -> None:
    positions = Positions()
    positions.add(PLACE, GROUP, is_new=True)
    assert PLACE in positions
    assert positions.partitions == {PLACE}
    assert len(positions) == len(list(positions)) == 1
    stint = positions.of(PLACE).stint
    removed = positions.of(PLACE)
    positions.remove([PLACE, TopicPartition("t", 5)])
    assert removed.stint > stint, "what was on its way is not taken"
    assert positions.get(PLACE) is None
    with pytest.raises(NotAssignedError, match="t-0 is not assigned to this consumer"):
        positions.of(PLACE)
