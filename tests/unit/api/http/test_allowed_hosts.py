"""A broker answers for its own names, and for those that nobody can have on the internet."""

import pytest

from kafkalite.api.http.allowed_hosts import ANY_HOSTS, AllowedHosts

_NO_OTHERS = AllowedHosts(frozenset())
_HOSTS = AllowedHosts(frozenset({"kafka.example.com", ".lan.example.org"}))


@pytest.mark.parametrize(
    "host",
    [
        b"127.0.0.1:9092",
        b"10.1.2.3",
        b"[::1]:9092",
        b"[2001:db8::1]",
        b"localhost:9092",
        b"LocalHost.",
        b"a.localhost:1",
        b"host.docker.internal:9092",
        b"kafka-1:9092",
        b"",
    ],
)
def test_names_that_are_no_danger_are_allowed_to_all(host: bytes) -> None:
    assert _NO_OTHERS.allows(host)


@pytest.mark.parametrize(
    "host",
    [
        b"evil.example",
        b"evil.example:9092",
        b"localhost.evil.example",
        b"127.0.0.1.evil.example:80",
        b"internal.evil.example",
        b"localhost@evil.example",
        b"evil.example,localhost",
        b"[evil.example]:9092",
        b"evil.example]",
        b"\xff.example",
        b"printer.local",
    ],
)
def test_names_that_somebody_can_have_are_not(host: bytes) -> None:
    assert not _NO_OTHERS.allows(host)
    assert not _HOSTS.allows(host)
    assert ANY_HOSTS.allows(host)


@pytest.mark.parametrize(
    ("host", "is_allowed"),
    [
        (b"kafka.example.com", True),
        (b"Kafka.Example.COM.:9092", True),
        (b"a.kafka.example.com", False),
        (b"example.com", False),
        (b"notkafka.example.com", False),
        (b"lan.example.org", True),
        (b"a.b.lan.example.org:80", True),
        (b"notlan.example.org", False),
    ],
)
def test_names_that_are_given_are_allowed_and_those_below_a_dot(
    host: bytes, is_allowed: bool
) -> None:
    assert _HOSTS.allows(host) is is_allowed
