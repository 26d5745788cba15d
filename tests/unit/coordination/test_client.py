"""Where ZooKeeper is."""

import pytest

from kafkalite.coordination.client import parse_connect
from kafkalite.coordination.errors import CoordinationError


@pytest.mark.parametrize(
    ("text", "hosts", "chroot"),
    [
        ("localhost:2181", "localhost:2181", ""),
        ("a:1,b:2/kafka", "a:1,b:2", "/kafka"),
        ("a:1, b:2/one/two/", "a:1,b:2", "/one/two"),
    ],
)
def test_hosts_and_chroot_are_taken_apart(text: str, hosts: str, chroot: str) -> None:
    connect = parse_connect(text)
    assert (connect.hosts, connect.chroot) == (hosts, chroot)
    assert str(connect) == hosts + chroot


def test_a_malformed_string_is_refused_with_the_reason() -> None:
    with pytest.raises(CoordinationError, match=r"zookeeper\.connect=a b:c: .*host:port"):
        parse_connect("a b:c")
