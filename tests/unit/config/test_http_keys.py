"""Origins, header names and addresses with limits are what they should be, or refused."""

import pytest
from pydantic import ValidationError

from kafkalite.config.http_keys import HttpKeys, address_limits


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("*", ("*",)),
        ("https://App.example.com", ("https://app.example.com",)),
        ("http://a:8080 , https://[::1]:3", ("http://a:8080", "https://[::1]:3")),
    ],
)
def test_origins_are_read(text: str, origins: tuple[str, ...]) -> None:
    keys = HttpKeys.model_validate({"http.cors.allowed.origins": text})
    assert keys.http_cors_allowed_origins == origins


@pytest.mark.parametrize(
    "text",
    ["app.example.com", "https://a/", "https://a?b", "ftp://a", "null", "https://*.a/x", ","],
)
def test_what_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        HttpKeys.model_validate({"http.cors.allowed.origins": text})


def test_hosts_are_read() -> None:
    keys = HttpKeys.model_validate({"http.allowed.hosts": "Kafka.example.com., .lan,a_b-1, *"})
    assert keys.http_allowed_hosts == ("kafka.example.com", ".lan", "a_b-1", "*")


@pytest.mark.parametrize(
    "text", ["http://a", "a:9092", "*.a", "a..b", "a/b", "[::1]", "..a", ".", ","]
)
def test_what_is_no_name_of_a_host_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        HttpKeys.model_validate({"http.allowed.hosts": text})


@pytest.mark.parametrize("text", ["X Y", "a\r\nb", "é", ":"])
def test_what_is_no_header_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        HttpKeys.model_validate({"http.cors.allowed.headers": text})


def test_addresses_are_read_with_their_limits() -> None:
    text = "127.0.0.1:5, ::1:7, [fe80:0::1]:9, ::ffff:10.0.0.7:11"
    keys = HttpKeys.model_validate({"max.connections.per.ip.overrides": text})
    assert dict(address_limits(keys.max_connections_per_ip_overrides or ())) == {
        "127.0.0.1": 5,
        "::1": 7,
        "fe80::1": 9,
        "10.0.0.7": 11,
    }


@pytest.mark.parametrize("text", ["localhost:5", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:-1", ":5"])
def test_what_is_no_address_with_a_limit_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        HttpKeys.model_validate({"max.connections.per.ip.overrides": text})
