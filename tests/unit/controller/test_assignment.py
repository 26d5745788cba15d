"""Kafka's spreading rule, and manual assignments."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kafkalite.controller.assignment import alternate_racks, check_assignment, spread
from kafkalite.model.errors import (
    InvalidPartitionsError,
    InvalidReplicaAssignmentError,
    InvalidReplicationFactorError,
)
from kafkalite.model.ids import BrokerId


def _brokers(*racks: str | None) -> dict[BrokerId, str | None]:
    return {BrokerId(number): rack for number, rack in enumerate(racks)}


def test_replicas_are_spread_as_in_kafkas_own_example() -> None:
    # AdminUtils: 5 brokers, 10 partitions, factor 3, start 0, shift 0.
    expected = {
        0: (0, 1, 2),
        1: (1, 2, 3),
        2: (2, 3, 4),
        3: (3, 4, 0),
        4: (4, 0, 1),
        5: (0, 2, 3),
        6: (1, 3, 4),
        7: (2, 4, 0),
        8: (3, 0, 1),
        9: (4, 1, 2),
    }
    assert spread(_brokers(*[None] * 5), 10, 3, start=0, shift=0) == expected


def test_racks_alternate_as_in_kafkas_own_example() -> None:
    racks = {0: "rack1", 1: "rack3", 2: "rack3", 3: "rack2", 4: "rack2", 5: "rack1"}
    row = alternate_racks({BrokerId(broker): rack for broker, rack in racks.items()})
    assert row == [0, 3, 1, 5, 4, 2]


def test_every_partition_spans_all_racks_when_there_are_enough_replicas() -> None:
    brokers = _brokers("a", "b", "b", "c", "c", "a")
    for replicas in spread(brokers, 12, 3, start=4, shift=1).values():
        assert {brokers[replica] for replica in replicas} == {"a", "b", "c"}


def test_racks_are_ignored_when_one_broker_has_none() -> None:
    with_gap = spread(_brokers("a", "a", None), 6, 2, start=0, shift=0)
    assert with_gap == spread(_brokers(None, None, None), 6, 2, start=0, shift=0)


def test_growth_goes_on_where_the_topic_ended() -> None:
    brokers = _brokers(None, None, None)
    whole = spread(brokers, 7, 2, start=1, shift=1)
    grown = spread(brokers, 4, 2, start=1, shift=1) | spread(
        brokers, 3, 2, start=1, shift=1, first_partition=4
    )
    assert grown == whole


def test_a_factor_above_the_brokers_is_refused_in_kafkas_words() -> None:
    with pytest.raises(InvalidReplicationFactorError) as caught:
        spread(_brokers(None), 1, 3, start=0, shift=0)
    assert str(caught.value) == "Replication factor: 3 larger than available brokers: 1."


def test_numbers_below_one_are_refused() -> None:
    with pytest.raises(InvalidPartitionsError, match="The partitions must be greater than 0"):
        spread(_brokers(None), 0, 1, start=0, shift=0)
    with pytest.raises(InvalidReplicationFactorError):
        spread(_brokers(None), 1, 0, start=0, shift=0)
    with pytest.raises(InvalidReplicationFactorError, match="available brokers: 0"):
        spread({}, 1, 1, start=0, shift=0)


@settings(max_examples=200, derandomize=True)
@given(
    racks=st.lists(st.sampled_from(["a", "b", "c"]) | st.none(), min_size=1, max_size=8),
    partitions=st.integers(1, 30),
    factor=st.integers(1, 8),
    start=st.integers(0, 20),
    shift=st.integers(0, 20),
)
def test_a_spread_is_complete_and_even(
    racks: list[str | None], partitions: int, factor: int, start: int, shift: int
) -> None:
    factor = min(factor, len(racks))
    assignment = spread(_brokers(*racks), partitions, factor, start=start, shift=shift)
    assert sorted(assignment) == list(range(partitions))
    for replicas in assignment.values():
        assert len(set(replicas)) == len(replicas) == factor
        assert set(replicas) <= set(range(len(racks)))
        if all(racks):
            spanned = {racks[replica] for replica in replicas}
            assert len(spanned) == min(factor, len(set(racks)))
    leaders = Counter(replicas[0] for replicas in assignment.values())
    assert max(leaders.values()) - min(leaders[BrokerId(b)] for b in range(len(racks))) <= 1


@pytest.mark.parametrize(
    ("assignment", "problem"),
    [
        ({}, "is empty"),
        ({0: [0], 2: [1]}, "consecutive from 0"),
        ({1: [0]}, "consecutive from 0"),
        ({0: []}, "No replica is assigned to partition id 0"),
        (
            {0: [1, 1]},
            "Duplicate brokers not allowed in replica assignment: 1, 1 for partition id 0",
        ),
        ({0: [0, 7]}, "Unknown broker\\(s\\) in replica assignment: 7"),
        ({0: [0, 1], 1: [0]}, "Inconsistent replication factor"),
    ],
)
def test_a_manual_assignment_is_refused_when(
    assignment: dict[int, list[int]], problem: str
) -> None:
    with pytest.raises(InvalidReplicaAssignmentError, match=problem):
        check_assignment(assignment, _brokers(None, None))


def test_a_manual_assignment_keeps_its_order() -> None:
    checked = check_assignment({1: [0, 1], 0: [1, 0]}, _brokers(None, None))
    assert checked == {0: (1, 0), 1: (0, 1)}


def test_a_manual_assignment_of_new_partitions_starts_where_the_topic_ends() -> None:
    assert check_assignment({4: [0]}, _brokers(None), 4) == {4: (0,)}
    with pytest.raises(InvalidReplicaAssignmentError, match="consecutive from 4"):
        check_assignment({0: [0]}, _brokers(None), 4)
