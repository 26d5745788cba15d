"""Range, by the examples of Kafka's RangeAssignor."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kafkalite.groups.assignors.range_assignor import RangeAssignor
from kafkalite.model.ids import TopicPartition
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


def _racks(**of: str) -> dict[TopicPartition, frozenset[str]]:
    """Racks of replicas: `t0="a ab b"` for three partitions, of which one is in both."""
    return {
        TopicPartition(topic, number): frozenset(racks)
        for topic, text in of.items()
        for number, racks in enumerate(text.split())
    }


def test_members_get_partitions_of_their_racks_within_their_shares() -> None:
    members = [subscriber(name, "t", rack=rack) for name, rack in (("x", "a"), ("y", "b"))]
    racks = _racks(t="b a b a a")
    assert share(RangeAssignor(), {"t": 5}, *members, racks=racks) == {
        "x": "t-1 t-3 t-4",
        "y": "t-0 t-2",
    }
    racks = _racks(t="a a a a b")
    assert share(RangeAssignor(), {"t": 5}, *members, racks=racks) == {
        "x": "t-0 t-1 t-2",
        "y": "t-3 t-4",
    }


@pytest.mark.parametrize("text", ["ab ab ab ab", "c c c c", ". . . ."])
def test_ranges_stay_as_they_are_where_racks_make_no_difference(text: str) -> None:
    members = [subscriber(name, "t", rack=rack) for name, rack in (("x", "b"), ("y", "a"))]
    racks = _racks(t=text.replace(".", "z"))
    assert share(RangeAssignor(), {"t": 4}, *members, racks=racks) == {
        "x": "t-0 t-1",
        "y": "t-2 t-3",
    }


def test_a_member_without_a_rack_takes_what_comes() -> None:
    members = [subscriber("x", "t"), subscriber("y", "t", rack="a")]
    assert share(RangeAssignor(), {"t": 4}, *members, racks=_racks(t="a a b b")) == {
        "x": "t-0 t-1",
        "y": "t-2 t-3",
    }


def test_topics_alike_stay_together_rather_than_near() -> None:
    members = [subscriber(name, "t u", rack=rack) for name, rack in (("x", "a"), ("y", "b"))]
    racks = _racks(t="b a b a", u="b a a b")
    assert share(RangeAssignor(), {"t": 4, "u": 4}, *members, racks=racks) == {
        "x": "t-1 t-2 u-1 u-2",
        "y": "t-0 t-3 u-0 u-3",
    }


@settings(max_examples=100, derandomize=True, deadline=None)
@given(
    count=st.integers(1, 9),
    racks=st.lists(st.sampled_from(["a", "b", None]), min_size=1, max_size=4),
    places=st.lists(st.sampled_from(["a", "b", "ab", "c"]), min_size=9, max_size=9),
)
def test_shares_are_those_of_ranges_wherever_members_are(
    count: int, racks: list[str | None], places: list[str]
) -> None:
    counts = {"t": count, "u": count, "v": 2}
    names = [f"m{number}" for number in range(len(racks))]
    known = _racks(t=" ".join(places), u=" ".join(reversed(places)), v="a b")
    plain = share(RangeAssignor(), counts, *(subscriber(name, "t u v") for name in names))
    near = share(
        RangeAssignor(),
        counts,
        *(subscriber(name, "t u v", rack=at) for name, at in zip(names, racks, strict=True)),
        racks=known,
    )

    def sizes(shares: dict[str, str], topic: str) -> list[int]:
        return sorted(text.count(f"{topic}-") for text in shares.values())

    for topic in counts:
        assert sizes(near, topic) == sizes(plain, topic)
    for text in near.values():
        assert text.count("t-") == text.count("u-")
        for number in range(count):
            assert (f"t-{number}" in text.split()) == (f"u-{number}" in text.split())
