"""Round-robin, by the examples of Kafka's RoundRobinAssignor."""

from kafkalite.groups.assignors.round_robin import RoundRobinAssignor
from tests.unit.groups.assignors.shares import share, subscriber


def test_partitions_are_dealt_over_the_topics() -> None:
    counts = {"t0": 3, "t1": 3}
    assert share(
        RoundRobinAssignor(), counts, subscriber("C0", "t0 t1"), subscriber("C1", "t0 t1")
    ) == {"C0": "t0-0 t0-2 t1-1", "C1": "t0-1 t1-0 t1-2"}


def test_who_does_not_subscribe_is_passed_over() -> None:
    assert share(
        RoundRobinAssignor(),
        {"t0": 1, "t1": 2, "t2": 3},
        subscriber("C0", "t0"),
        subscriber("C1", "t0 t1"),
        subscriber("C2", "t0 t1 t2"),
    ) == {"C0": "t0-0", "C1": "t1-0", "C2": "t1-1 t2-0 t2-1 t2-2"}
