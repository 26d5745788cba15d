"""Addresses of brokers."""

import pytest

from kafkalite.client.broker_address import BrokerAddress
from kafkalite.client.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("localhost", "localhost", 9092),
        ("localhost:1", "localhost", 1),
        (" broker-1.example.org:8082 ", "broker-1.example.org", 8082),
        ("http://host_1:80/", "host_1", 80),
        ("http://10.0.0.1:65535", "10.0.0.1", 65535),
        ("[::1]:99", "::1", 99),
        ("http://[fe80::1%eth0]", "fe80::1%eth0", 9092),
    ],
)
def test_addresses_and_urls_are_read(text: str, host: str, port: int) -> None:
    assert BrokerAddress.parse(text, 3) == BrokerAddress(3, host, port)


@pytest.mark.parametrize(
    "text",
    ["", ":1", "a:", "a:0", "a:65536", "a b", "https://a:1", "::1", "a:1/x", "a:1\r\nx", "a:1,b:2"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"Invalid url in bootstrap\.servers"):
        BrokerAddress.parse(text)


def test_urls_have_brackets_around_ipv6() -> None:
    assert BrokerAddress.parse("[::1]:99").url == "http://[::1]:99"
    assert BrokerAddress.parse("a:1").url == "http://a:1"
