"""Whose assignor is asked, and what its answer has to be."""

from collections.abc import Callable

import pytest

from kafkalite.groups.assignors.assignor import AssignmentTask, Targets
from kafkalite.groups.assignors.registry import assignors
from kafkalite.groups.state import Member, Partitions
from kafkalite.groups.subscriptions import Subscriptions
from kafkalite.groups.targets import chosen_assignor, decide_targets
from kafkalite.model.ids import TopicPartition
from tests.support.coordinated_group import Topics

_A0, _A1, _B0 = TopicPartition("a", 0), TopicPartition("a", 1), TopicPartition("b", 0)


class _Own:
    name = "own"

    def __init__(self, answer: Callable[[AssignmentTask], Targets]) -> None:
        self.assign = answer


def _decide(answer: Callable[[AssignmentTask], Targets]) -> dict[str, Partitions]:
    topics = Topics({"a": 2, "b": 1})
    members = {
        "m": Member("m", 1, topics=("a",), assignor="own"),
        "n": Member("n", 1, topics=("b",), assignor="own"),
    }
    subscriptions = Subscriptions(topics)
    counts = subscriptions.partition_counts(members.values())
    return decide_targets(members, subscriptions, counts, topics, assignors([_Own(answer)]))


def test_most_members_choose_the_assignor() -> None:
    votes = ["sticky", "range", "range"]
    assert chosen_assignor(Member(str(n), 1, assignor=a) for n, a in enumerate(votes)) == "range"
    tie = [Member("1", 1, assignor="sticky"), Member("2", 1, assignor="range")]
    assert chosen_assignor(tie) == "range"
    assert chosen_assignor([]) == ""


@pytest.mark.parametrize(
    "answer",
    [
        {"m": {_A0, _A1}},
        {"m": {_A0}, "n": {_B0}},
        {"m": {_A0, _A1}, "n": {_A1, _B0}},
        {"m": {_A0, _A1, _B0}, "n": set()},
        {"m": {_A0, _A1}, "n": {_B0, TopicPartition("b", 1)}},
    ],
    ids=["forgets a member", "forgets a partition", "twice", "unsubscribed", "made up"],
)
def test_an_answer_that_breaks_the_rules_is_not_followed(answer: Targets) -> None:
    assert _decide(lambda _: answer) == {"m": {_A0, _A1}, "n": {_B0}}


def test_an_answer_that_keeps_them_is_followed() -> None:
    assert _decide(lambda _: {"m": {_A0, _A1}, "n": {_B0}}) == {"m": {_A0, _A1}, "n": {_B0}}


def test_the_sticky_one_is_asked_when_another_broker_knew_the_chosen_one() -> None:
    topics = Topics({"a": 2})
    members = {"m": Member("m", 1, topics=("a",), assignor="theirs")}
    subscriptions = Subscriptions(topics)
    assert decide_targets(members, subscriptions, {"a": 2}, topics, assignors()) == {
        "m": {_A0, _A1}
    }


def test_a_topic_that_is_just_going_is_left_out() -> None:
    topics = Topics({"a": 2, "b": 1})
    members = {"m": Member("m", 1, topics=("a", "b"), target=frozenset({_B0}))}
    subscriptions = Subscriptions(topics)
    subscriptions.partition_counts(members.values())
    del topics.counts["b"]
    counts = subscriptions.partition_counts(members.values())
    assert decide_targets(members, subscriptions, counts, topics, assignors()) == {"m": {_A0, _A1}}
