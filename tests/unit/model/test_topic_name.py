"""Tests for kafkalite.model.topic_name."""

import pytest

from kafkalite.model.errors import InvalidTopicError
from kafkalite.model.topic_name import (
    MAX_LENGTH,
    check_topic_name,
    colliding_topics,
    has_collision_chars,
)


@pytest.mark.parametrize("name", ["a", "firstTopic", "a.b_c-9", "...", "x" * MAX_LENGTH])
def test_legal_name_is_accepted(name: str) -> None:
    check_topic_name(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "the empty string is not allowed"),
        (".", "'.' is not allowed"),
        ("..", "'..' is not allowed"),
        (
            "x" * 250,
            f"the length of '{'x' * 250}' is longer than the max allowed length 249",
        ),
        (
            "bad name",
            "'bad name' contains one or more characters other than ASCII alphanumerics, '.', '_' "
            "and '-'",
        ),
        (
            "a/../b",
            "'a/../b' contains one or more characters other than ASCII alphanumerics, '.', '_' "
            "and '-'",
        ),
        (
            "é\n",
            "'é\n' contains one or more characters other than ASCII alphanumerics, '.', '_' "
            "and '-'",
        ),
    ],
)
def test_other_name_is_refused_in_kafkas_words(name: str, reason: str) -> None:
    with pytest.raises(InvalidTopicError) as raised:
        check_topic_name(name)
    assert raised.value.detail == f"Topic name is invalid: {reason}"


def test_trailing_newline_is_no_way_around_the_rule() -> None:
    with pytest.raises(InvalidTopicError):
        check_topic_name("legal\n")


@pytest.mark.parametrize(("name", "warned"), [("a.b", True), ("a_b", True), ("a-b", False)])
def test_names_that_could_collide_are_known(name: str, warned: bool) -> None:
    assert has_collision_chars(name) is warned


def test_collision_is_with_names_that_differ_only_by_period_and_underscore() -> None:
    existing = ["a_b.c", "a.b.c", "a_b_c", "a-b.c", "abc"]
    assert colliding_topics("a.b.c", existing) == ["a_b.c", "a_b_c"]
    assert colliding_topics("a-b.c", existing) == []
