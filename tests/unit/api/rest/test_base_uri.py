"""The URL by which a client finds its instance again."""

from collections.abc import Mapping

import pytest

from kafkalite.api.rest.base_uri import group_url, instance_url
from kafkalite.api.rest.paths import ConsumersPath

_PATH = ConsumersPath("g/1", "", "create")


def _url(headers: Mapping[str, str], advertised: str | None = None) -> str:
    return group_url(_PATH, lambda name: headers.get(name.decode(), ""), advertised)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"host": "a:1"}, "http://a:1/consumers/g%2F1"),
        ({"host": "[::1]:8"}, "http://[::1]:8/consumers/g%2F1"),
        (
            {"host": "a", "x-forwarded-host": "b", "x-forwarded-proto": "HTTPS"},
            "https://b/consumers/g%2F1",
        ),
        ({"host": "a", "forwarded": "proto=https;host=c"}, "https://c/consumers/g%2F1"),
        ({"host": "a", "forwarded": "for=1.2.3.4"}, "http://a/consumers/g%2F1"),
        ({"host": "a", "x-forwarded-path": "/x/consumers/g%2F1/"}, "http://a/x/consumers/g%2F1"),
        ({"host": "a", "x-forwarded-prefix": "/x"}, "http://a/x/consumers/g%2F1"),
        ({"host": "a", "x-forwarded-prefix": "javascript:"}, "http://a/consumers/g%2F1"),
        ({"host": 'a"<script>'}, "http://localhost/consumers/g%2F1"),
        ({}, "http://localhost/consumers/g%2F1"),
    ],
)
def test_url_is_where_the_client_came_by(headers: Mapping[str, str], expected: str) -> None:
    assert _url(headers) == expected


def test_configured_url_counts_before_all() -> None:
    url = _url({"forwarded": "host=c", "host": "a"}, "https://k.example/rest/")
    assert url == "https://k.example/rest/consumers/g%2F1"
    assert instance_url(url, "a b") == f"{url}/instances/a%20b"
