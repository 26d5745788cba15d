"""Addresses as people type them."""

import pytest

from kafkalite.cli.broker_address import parse_bootstrap, shown
from kafkalite.cli.failure import CommandError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost:9092", ["http://localhost:9092"]),
        ("localhost", ["http://localhost:9092"]),
        ("a:1, b:2", ["http://a:1", "http://b:2"]),
        ("http://a.example:80/", ["http://a.example:80"]),
        ("[::1]:9092", ["http://[::1]:9092"]),
    ],
)
def test_a_list_of_brokers_is_understood(text: str, expected: list[str]) -> None:
    assert parse_bootstrap(text) == expected


@pytest.mark.parametrize("text", ["", "a:b", "a:70000", "a:0", "a:1,,b:2", "https://a:1", "a:1/x"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match=r"Invalid url in bootstrap\.servers"):
        parse_bootstrap(text)


def test_an_address_is_shown_without_what_every_one_has() -> None:
    assert shown("http://a.example:9092/") == "a.example:9092"
