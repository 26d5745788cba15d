"""Tests for kafkalite.config.listener."""

import socket

import pytest

from kafkalite.config.keys import BrokerSettings
from kafkalite.config.listener import Listener, parse_listener, reachable_host


@pytest.mark.parametrize(
    ("text", "listener"),
    [
        ("HTTP://:9092", Listener("", 9092)),
        (" http://localhost:0/ ", Listener("localhost", 0)),
        ("HTTP://0.0.0.0:1", Listener("0.0.0.0", 1)),
        ("HTTP://broker-0.example.com:65535", Listener("broker-0.example.com", 65535)),
        ("HTTP://[::1]:9092", Listener("::1", 9092)),
    ],
)
def test_listener_is_read(text: str, listener: Listener) -> None:
    assert parse_listener(text) == listener


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "write HTTP://:9092"),
        ("localhost:9092", "write HTTP://:9092"),
        ("HTTP://localhost", "write HTTP://:9092"),
        ("HTTP://a:b:9092", "write HTTP://:9092"),
        ("HTTP://::1:9092", "write HTTP://:9092"),
        ("HTTP://:9092/path", "write HTTP://:9092"),
        ("HTTP://:65536", "port 65536 is not between 0 and 65535"),
        ("PLAINTEXT://host:9092", "write HTTP://host:9092"),
        ("SASL_SSL://[::1]:70000", r"write HTTP://\[::1\]:9092"),
        ("HTTP://:1,HTTP://:2", "several listeners"),
    ],
)
def test_other_text_is_refused_with_what_to_write(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_listener(text)


def test_listener_is_written_as_it_is_read() -> None:
    assert str(Listener("::1", 9092)) == "HTTP://[::1]:9092"
    assert parse_listener(str(Listener("::1", 9092))) == Listener("::1", 9092)
    assert Listener("::1", 9092).url == "http://[::1]:9092"
    assert Listener("host", 1).url == "http://host:1"


def test_host_name_is_reachable_when_it_resolves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "machine")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [])
    assert reachable_host() == "machine"


def test_only_localhost_is_reachable_when_the_host_name_does_not_resolve(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert reachable_host() == "localhost"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({}, Listener("machine", 5000)),
        ({"listeners": "HTTP://:9093"}, Listener("machine", 9093)),
        ({"listeners": "HTTP://10.0.0.1:0"}, Listener("10.0.0.1", 5000)),
        ({"advertised.listeners": "HTTP://outside:80"}, Listener("outside", 80)),
        ({"advertised.listeners": "HTTP://outside:0"}, Listener("outside", 5000)),
    ],
)
def test_advertised_address_is_where_others_reach_the_broker(
    monkeypatch: pytest.MonkeyPatch, written: dict[str, str], expected: Listener
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "machine")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [])
    values = {"zookeeper.connect": "h", "listeners": "HTTP://:0"} | written
    assert BrokerSettings.model_validate(values).advertised_listener(5000) == expected
