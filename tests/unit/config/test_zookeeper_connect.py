"""Tests for kafkalite.config.zookeeper_connect."""

import pytest

from kafkalite.config.zookeeper_connect import check_zookeeper_connect


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("localhost:2181", "localhost:2181"),
        ("h1:2181, h2:2181 ,h3", "h1:2181,h2:2181,h3"),
        ("h1:2181,h2:2181/kafkalite/a", "h1:2181,h2:2181/kafkalite/a"),
        ("h1:2181/", "h1:2181"),
        ("h1:2181/a/", "h1:2181/a"),
        ("[::1]:2181", "[::1]:2181"),
    ],
)
def test_servers_and_chroot_are_accepted(text: str, result: str) -> None:
    assert check_zookeeper_connect(text) == result


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("/chroot", "at least one server"),
        ("h1:2181,,h2", "not host:port"),
        ("h1:port", "not host:port"),
        ("h1:0", "between 1 and 65535"),
        ("h1:99999", "between 1 and 65535"),
        ("h1/a,h2/a", "once, after the last host"),
        ("h1//a", "not a path"),
        ("h1/a/../b", "not a path"),
    ],
)
def test_other_text_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_zookeeper_connect(text)
