"""Settings become the options of the server."""

from typing import Final

import pytest

from kafkalite.api.http.options import HttpOptions, http_options
from kafkalite.config.keys import BrokerSettings
from kafkalite.config.listener import Listener

_TOLD: Final = Listener("broker-0.example.net", 9092)


def _options(address: str = "127.0.0.1", **keys: str) -> HttpOptions:
    named = {name.replace("_", "."): text for name, text in keys.items()}
    settings = {"zookeeper.connect": "localhost:2181", **named}
    return http_options(BrokerSettings.model_validate(settings), address, _TOLD)


def test_defaults_are_those_of_the_settings() -> None:
    options = _options()
    usual = HttpOptions(connection_overrides={}, cors=options.cors, hosts=options.hosts)
    assert options == usual
    assert not options.cors.origins


def test_settings_are_taken_over() -> None:
    options = _options(
        max_connections_per_ip="7",
        max_connections_per_ip_overrides="10.0.0.1:9",
        http_request_head_timeout_ms="1500",
        http_cors_allowed_origins="https://a.example",
        http_cors_max_age_ms="5000",
    )
    assert options.max_connections_per_ip == 7
    assert options.connection_overrides == {"10.0.0.1": 9}
    assert options.head_timeout_s == 1.5
    assert options.cors.allows("https://a.example")
    assert options.cors.max_age_s == 5


@pytest.mark.parametrize("address", ["0.0.0.0", "10.0.0.7", "::"])
def test_broker_that_others_reach_answers_for_whatever_leads_there(address: str) -> None:
    assert _options(address).hosts.allows(b"any.name.example")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.1.1", "::1"])
@pytest.mark.parametrize("listeners", ["HTTP://machine:9092", "HTTP://localhost:0"])
def test_broker_of_one_machine_answers_for_no_name_that_others_can_have(
    address: str, listeners: str
) -> None:
    url = "https://Proxy.example.net/k"
    hosts = _options(address, listeners=listeners, rest_advertised_url=url).hosts
    assert not hosts.allows(b"any.name.example:9092")
    for own in (b"localhost:9092", b"broker-0.example.net:9092", b"proxy.example.net"):
        assert hosts.allows(own)


@pytest.mark.parametrize("listeners", ["HTTP://127.0.0.1:9092", "HTTP://b.example.net:9092"])
def test_names_that_are_given_are_all_beside_its_own(listeners: str) -> None:
    hosts = _options(listeners=listeners, http_allowed_hosts="Kafka.example.com,.lan.example").hosts
    for host in (b"kafka.example.com:1", b"a.lan.example", b"broker-0.example.net:9092"):
        assert hosts.allows(host)
    assert hosts.allows(b"b.example.net:9092") is ("b.example" in listeners)
    assert not hosts.allows(b"any.name.example")


def test_loopback_broker_may_answer_for_all_names() -> None:
    options = _options(listeners="HTTP://127.0.0.1:9092", http_allowed_hosts="*")
    assert options.hosts.allows(b"any.name.example")
