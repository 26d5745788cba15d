"""Kafka's include lists."""

import pytest

from kafkalite.cli.failure import CommandError
from kafkalite.cli.topic_filter import TopicFilter


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        (None, ["a", "__consumer_offsets"], []),
        ("a", ["a"], ["ab", "ba"]),
        ("a.*", ["a", "ab"], ["ba"]),
        ("a,b", ["a", "b"], ["ab"]),
        ('"a, b"', ["a", "b"], ["c"]),
    ],
)
def test_the_whole_name_must_match(
    pattern: str | None, matching: list[str], others: list[str]
) -> None:
    chosen = TopicFilter(pattern)
    assert all(chosen.matches(name) for name in matching)
    assert not any(chosen.matches(name) for name in others)


def test_internal_topics_can_be_left_out() -> None:
    chosen = TopicFilter(None, exclude_internal=True)
    assert not chosen.matches("__consumer_offsets")
    assert chosen.matches("t")


def test_a_broken_expression_is_refused() -> None:
    with pytest.raises(CommandError, match="is an invalid regex"):
        TopicFilter("a(")
