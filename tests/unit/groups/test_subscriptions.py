"""Subscriptions by name and by pattern, as topics come and go."""

from dataclasses import replace

from kafkalite.groups.state import Member
from kafkalite.groups.subscriptions import Subscriptions
from tests.support.coordinated_group import Topics

_NAMED = Member("m", 1, topics=("a", "gone"))
_MATCHING = Member("m", 1, pattern="b.*")


def test_only_what_exists_is_subscribed_to() -> None:
    subscriptions = Subscriptions(Topics({"a": 2, "b": 3}))
    assert subscriptions.topics_of(_NAMED) == {"a"}
    assert subscriptions.partition_counts([_NAMED, _MATCHING]) == {"a": 2, "b": 3}


def test_names_and_a_pattern_add_up() -> None:
    both = replace(_NAMED, pattern="b.*")
    assert Subscriptions(Topics({"a": 2, "b": 3})).topics_of(both) == {"a", "b"}


def test_a_topic_that_comes_is_of_concern_when_it_is_named_or_matches() -> None:
    topics = Topics({"a": 2})
    subscriptions = Subscriptions(topics)
    members = [_NAMED, _MATCHING]
    known = subscriptions.partition_counts(members)
    topics.counts |= {"gone": 1, "b1": 1, "c": 1}
    assert not subscriptions.topics_changed(["c"], known)
    assert subscriptions.topics_changed(["gone"], known)
    assert subscriptions.topics_changed(["b1"], subscriptions.partition_counts(members))
    assert subscriptions.partition_counts(members) == {"a": 2, "b1": 1, "gone": 1}


def test_a_topic_that_grows_or_goes_is_of_concern_when_it_is_subscribed_to() -> None:
    topics = Topics({"a": 2, "b": 1})
    subscriptions = Subscriptions(topics)
    known = subscriptions.partition_counts([_NAMED, _MATCHING])
    assert not subscriptions.topics_changed(["a", "b"], known)
    topics.counts["a"] = 3
    assert subscriptions.topics_changed(["a"], known)
    del topics.counts["b"]
    assert subscriptions.topics_changed(["b"], known)
    assert subscriptions.partition_counts([_NAMED, _MATCHING]) == {"a": 3}


def test_a_topic_that_is_gone_does_not_match_any_more() -> None:
    topics = Topics({"b": 1})
    subscriptions = Subscriptions(topics)
    known = subscriptions.partition_counts([_MATCHING])
    del topics.counts["b"]
    subscriptions.topics_changed(["b"], known)
    assert subscriptions.topics_of(_MATCHING) == frozenset()


def test_a_topic_that_is_back_as_it_was_is_subscribed_to_again() -> None:
    """What was decided last may be older than what was resolved last."""
    topics = Topics({"a": 2, "b": 1})
    subscriptions = Subscriptions(topics)
    known = subscriptions.partition_counts([_NAMED, _MATCHING])
    del topics.counts["a"], topics.counts["b"]
    subscriptions.topics_changed(["a", "b"], known)
    assert subscriptions.partition_counts([_NAMED, _MATCHING]) == {}
    topics.counts |= {"a": 2, "b": 1}
    assert not subscriptions.topics_changed(["a", "b"], known)
    assert subscriptions.partition_counts([_NAMED, _MATCHING]) == known
    topics.counts["b2"] = 1
    assert subscriptions.topics_changed(["b2"], known)


def test_what_nobody_asks_for_any_more_is_of_no_concern() -> None:
    topics = Topics({"a": 2, "b": 1})
    subscriptions = Subscriptions(topics)
    subscriptions.partition_counts([_NAMED, _MATCHING])
    known = subscriptions.partition_counts([_NAMED])
    topics.counts["b2"] = 1
    assert not subscriptions.topics_changed(["b2"], known)
