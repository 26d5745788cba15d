"""Which brokers are to coordinate a group."""

from collections import Counter

from kafkalite.groups.rendezvous import coordinators_of
from kafkalite.model.ids import BrokerId

_BROKERS = [BrokerId(number) for number in range(5)]
_GROUPS = [f"group-{number}" for number in range(1_000)]


def test_all_brokers_say_the_same() -> None:
    """The order is part of what brokers of different releases agree on."""
    assert coordinators_of("console", _BROKERS) == coordinators_of("console", _BROKERS[::-1])
    assert coordinators_of("console", _BROKERS) == [0, 1, 2, 4, 3]


def test_groups_are_shared_evenly() -> None:
    shares = Counter(coordinators_of(group, _BROKERS)[0] for group in _GROUPS)
    assert all(150 < shares[broker] < 250 for broker in _BROKERS)


def test_the_others_stay_when_a_broker_goes() -> None:
    for group in _GROUPS[:50]:
        order = coordinators_of(group, _BROKERS)
        assert coordinators_of(group, order[1:]) == order[1:]


def test_there_is_nobody_when_no_broker_lives() -> None:
    assert coordinators_of("console", []) == []
