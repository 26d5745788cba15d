"""Patterns: RE2's words, whole names, and no way to stall a broker."""

import pytest

from kafkalite.groups.pattern import TopicPattern
from kafkalite.model.errors import InvalidRequestError


@pytest.mark.parametrize(
    ("pattern", "topic", "matches"),
    [
        ("flights", "flights", True),
        ("flights", "flights2", False),
        ("light", "flights", False),
        ("fl.*", "flights", True),
        ("a|b", "b", True),
        ("(?i)FLIGHTS", "flights", True),
        ("", "flights", False),
    ],
)
def test_the_whole_name_has_to_match(pattern: str, topic: str, *, matches: bool) -> None:
    assert TopicPattern(pattern).matches(topic) is matches


@pytest.mark.parametrize(
    "pattern", ["(", r"(a)\1", "(?=a)b", "a{1001}", "((a{99}){99}){99}", "\\", "\ud800"]
)
def test_what_needs_backtracking_or_too_much_memory_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidRequestError, match="RE2"):
        TopicPattern(pattern)


def test_a_pattern_that_would_take_others_for_ever_is_matched_at_once() -> None:
    assert not TopicPattern("(a+)+b").matches("a" * 249)
