"""Tests for kafkalite.config.throttled_replicas."""

import pytest

from kafkalite.config.throttled_replicas import NO_REPLICAS, parse_throttled_replicas


@pytest.mark.parametrize("text", ["", "*", "0:1", "0:1,1:0,1:2", "12:1001"])
def test_replicas_print_as_they_were_written(text: str) -> None:
    assert str(parse_throttled_replicas(text)) == text


def test_space_and_empty_parts_are_passed_over() -> None:
    assert parse_throttled_replicas(" 0:1 , 1:2,") == parse_throttled_replicas("0:1,1:2")
    assert parse_throttled_replicas(" ") == NO_REPLICAS


@pytest.mark.parametrize("text", ["0", "0:", ":1", "a:1", "0:1:2", "-1:2", "0:1,*", "0 : 1"])
def test_what_is_no_list_of_replicas_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no replica"):
        parse_throttled_replicas(text)
