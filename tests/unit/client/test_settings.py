"""Settings by Kafka's names."""

from collections.abc import Callable
from typing import Annotated, Literal

import pytest

from kafkalite import (
    AdminClient,
    AsyncAdminClient,
    AsyncConsumer,
    AsyncProducer,
    Consumer,
    Producer,
)
from kafkalite.client.broker_address import BrokerAddress
from kafkalite.client.errors import ConfigError
from kafkalite.client.settings import AdminSettings, ClientSettings, declared, setting


class _Settings(ClientSettings, frozen=True, kw_only=True):
    acks: Annotated[Literal[-1, 0, 1], setting("Who confirms.", words={"all": -1})] = -1
    linger_ms: Annotated[int, setting("How long.", ge=0, le=1000)] = 5
    ratio: Annotated[float, setting("How much.")] = 1.0
    compression_type: Annotated[Literal["none", "lz4"], setting("How.")] = "none"
    enable_idempotence: Annotated[bool, setting("Whether.")] = True
    group_instance_id: Annotated[str | None, setting("Who.")] = None
    partitioner: Annotated[Callable[[int], int] | None, setting("Where.")] = None


def test_names_come_with_dots_or_underscores() -> None:
    assert _Settings.of({"linger_ms": 7}) == _Settings.of({"linger.ms": 7})
    assert _Settings.of({"linger.ms": 7}).linger_ms == 7


def test_text_is_read_as_the_type_asks() -> None:
    read = _Settings.of(
        {
            "linger.ms": " 7 ",
            "ratio": "0.5",
            "acks": "all",
            "enable.idempotence": "False",
            "group.instance.id": "true",
            "compression.type": "lz4",
            "bootstrap.servers": "a:1, b,[::1]:3",
        }
    )
    assert (read.linger_ms, read.ratio, read.acks) == (7, 0.5, -1)
    assert read.enable_idempotence is False
    assert read.group_instance_id == "true"
    assert read.compression_type == "lz4"
    assert read.bootstrap == (
        BrokerAddress(-1, "a", 1),
        BrokerAddress(-1, "b", 9092),
        BrokerAddress(-1, "::1", 3),
    )


def test_a_callable_is_taken_as_it_is() -> None:
    assert _Settings.of({"partitioner": abs}).partitioner is abs


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"lingr.ms": 1}, r"There is no setting 'lingr.ms' \(did you mean linger.ms\?\)"),
        ({"lingr_ms": 1}, r"There is no setting 'lingr_ms' \(did you mean linger_ms\?\)"),
        ({"colour": 1}, r"There is no setting 'colour'$"),
        ({"linger_ms": 1, "linger.ms": 1}, "'linger.ms' is set twice"),
        ({"linger_ms": -1}, "linger.ms: -1 does not do: expected `int` >= 0"),
        ({"linger_ms": 1001}, "linger.ms: 1001 does not do: expected `int` <= 1000"),
        ({"linger_ms": "soon"}, "linger.ms: 'soon' does not do"),
        ({"linger_ms": True}, "linger.ms: True does not do"),
        ({"linger_ms": None}, "linger.ms: None does not do"),
        ({"enable_idempotence": "perhaps"}, "enable.idempotence: 'perhaps' does not do"),
        ({"compression_type": "zip"}, "compression.type: 'zip' is none of none, lz4"),
        ({"acks": 2}, "acks: 2 is none of all, -1, 0, 1"),
        ({"bootstrap_servers": "a:70000"}, "Invalid url in bootstrap.servers: a:70000"),
        ({"bootstrap_servers": []}, "bootstrap.servers needs at least one"),
        ({"bootstrap_servers": [1]}, "bootstrap.servers: .* does not do"),
        (
            {"security_protocol": "SSL"},
            "security.protocol: 'SSL' is none of PLAINTEXT: clients speak plain HTTP, without TLS",
        ),
        ({"sasl_mechanism": "PLAIN"}, "no setting 'sasl_mechanism': clients speak plain HTTP"),
        ({"ssl.ca.location": "x"}, "no setting 'ssl.ca.location': clients speak plain HTTP"),
        ({"transactional_id": "x"}, "no setting 'transactional_id': there are no transactions"),
        ({"transactional.id": "x"}, "no setting 'transactional.id': .*enable.idempotence"),
        ({"bootstrap_servers": "https://a:1"}, "https://a:1 .clients speak plain HTTP"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(given: dict[str, object], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        _Settings.of(given)


def test_every_setting_says_what_it_does() -> None:
    found = list(declared(AdminSettings))
    assert [each.key for each in found][:2] == ["bootstrap.servers", "client.id"]
    assert all(each.doc.endswith(".") for each in found)


@pytest.mark.parametrize(
    "client", [Producer, AsyncProducer, Consumer, AsyncConsumer, AdminClient, AsyncAdminClient]
)
def test_settings_in_a_dictionary_are_refused_with_the_way_to_give_them(client: type) -> None:
    with pytest.raises(ConfigError, match=r"takes settings by name: .*\*\*settings"):
        client({"bootstrap.servers": "localhost:1"})
