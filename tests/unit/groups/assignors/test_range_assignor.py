"""Range, by the examples of Kafka's RangeAssignor."""

from kafkalite.groups.assignors.range_assignor import RangeAssignor
from tests.unit.groups.assignors.shares import share, subscriber


def test_first_members_of_each_topic_get_one_more() -> None:
    counts = {"t0": 3, "t1": 3}
    assert share(RangeAssignor(), counts, subscriber("C0", "t0 t1"), subscriber("C1", "t0 t1")) == {
        "C0": "t0-0 t0-1 t1-0 t1-1",
        "C1": "t0-2 t1-2",
    }


def test_only_those_who_subscribe_share_a_topic() -> None:
    assert share(
        RangeAssignor(),
        {"t0": 3, "t1": 2},
        subscriber("c0", "t0"),
        subscriber("c1", "t0 t1"),
        subscriber("c2", "t0"),
    ) == {"c0": "t0-0", "c1": "t0-1 t1-0 t1-1", "c2": "t0-2"}


def test_who_comes_too_late_gets_nothing_when_members_are_more_than_partitions() -> None:
    assert share(RangeAssignor(), {"t": 1}, subscriber("a", "t"), subscriber("b", "t")) == {
        "a": "t-0",
        "b": "",
    }


def test_static_members_come_first_in_the_order_of_their_instances() -> None:
    """Kafka keeps their shares over restarts by this, as their member ids change."""
    members = [subscriber("c0", "t"), subscriber("i2@z", "t"), subscriber("i1@zz", "t")]
    assert share(RangeAssignor(), {"t": 4}, *members) == {"zz": "t-0 t-1", "z": "t-2", "c0": "t-3"}
