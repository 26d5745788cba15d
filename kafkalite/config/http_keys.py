"""Settings of HTTP itself; a section of `keys.py`, where all of them come together."""

import ipaddress
import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator

from kafkalite.config.setting import Boolean, NotNegative, Positive, Section, setting

ANY_ORIGIN: Final = "*"
"""Of http.cors.allowed.origins: pages of all sites."""
ANY_HOST: Final = "*"
"""Of http.allowed.hosts: whatever a request names."""

_HOST_NAME: Final = re.compile(r"\.?[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_DEFAULT_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_DEFAULT_HEADERS: Final = (
    "Accept",
    "Authorization",
    "Content-Encoding",
    "Content-Type",
    "Last-Event-ID",
    "X-Request-Id",
)


def _items(value: object) -> object:
    """Text with commas as a tuple without what is empty; anything else as it is."""
    if not isinstance(value, str):
        return value
    items = tuple(item.strip() for item in value.split(",") if item.strip())
    if not items:
        raise ValueError("a value is needed")
    return items


def _origin(text: str) -> str:
    if text == ANY_ORIGIN:
        return text
    parts = urlsplit(text)
    is_bare = not (parts.path or parts.query or parts.fragment or parts.username)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not is_bare:
        raise ValueError(f"{text!r} is not an origin such as https://app.example.com, nor *")
    return text.lower()


def _host(text: str) -> str:
    name = text.lower().removesuffix(".")
    if name != ANY_HOST and not _HOST_NAME.fullmatch(name):
        raise ValueError(f"{text!r} is not a name such as kafka.example.com, without a port, nor *")
    return name


def _token(text: str) -> str:
    if not text.isascii() or not text.replace("-", "").replace("_", "").isalnum():
        raise ValueError(f"{text!r} is not a name such as Content-Type")
    return text


def _address_limit(text: str) -> str:
    address, _, limit = text.rpartition(":")
    try:
        ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address with a limit: 10.0.0.7:200") from None
    if not (limit.isascii() and limit.isdigit() and len(limit) < 10):
        raise ValueError(f"{text!r} has no limit: write 10.0.0.7:200")
    return text


def address_limits(overrides: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Each address of `max.connections.per.ip.overrides`, as sockets write it, with its limit.

    One of IPv4 is written as such, however it was given.
    """
    for text in overrides:
        named, _, limit = text.rpartition(":")
        address = ipaddress.ip_address(named.strip("[]"))
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        yield str(address), int(limit)


_Origins = Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], BeforeValidator(_items)]
_Hosts = Annotated[tuple[Annotated[str, AfterValidator(_host)], ...], BeforeValidator(_items)]
_Tokens = Annotated[tuple[Annotated[str, AfterValidator(_token)], ...], BeforeValidator(_items)]
_AddressLimits = Annotated[
    tuple[Annotated[str, AfterValidator(_address_limit)], ...], BeforeValidator(_items)
]


class HttpKeys(Section):
    """HTTP"""

    max_connections_per_ip: NotNegative = setting(
        2**31 - 1,
        "How many connections one address may have open at once; one more is answered 503 and "
        "closed.",
    )
    max_connections_per_ip_overrides: _AddressLimits | None = setting(
        None,
        "Other limits for some addresses: `10.0.0.7:200,::1:1000`. Addresses, no names.",
    )
    http_request_head_timeout_ms: Positive = setting(
        30_000,
        "In which a request's line and headers must have come whole, from their first byte on; "
        "else it is answered 408 and the connection closed.",
        ours=True,
    )
    http_request_body_timeout_ms: Positive = setting(
        30_000,
        "How long a client may pause within a body. A body must also come at 512 bytes a second, "
        "once so long has gone by, unless its answer has begun. Else 408.",
        ours=True,
    )
    http_shutdown_timeout_ms: Positive = setting(
        10_000,
        "How long requests that are in work may take, and answers to be read, when the broker "
        "stops; what is left then is cut off.",
        ours=True,
    )
    http_compression_min_bytes: NotNegative = setting(
        1_024,
        "Answers in JSON or text are compressed from this size on, where clients accept it.",
        ours=True,
    )
    http_allowed_hosts: _Hosts | None = setting(
        None,
        "For which names of hosts requests are answered, beside addresses, names without a dot, "
        "those below `localhost` and `internal`, and the broker's own in listeners, "
        "advertised.listeners and rest.advertised.url: `kafka.example.com,.lan.example.com` (the "
        "name and all below it), or `*`. Others are 421. Not set: no others where the broker "
        "listens on a loopback address, else all.",
        ours=True,
    )
    http_cors_allowed_origins: _Origins | None = setting(
        None,
        "Whose web pages may use the broker from a browser: origins such as "
        "`https://app.example.com`, or `*` for those of all sites. Not set: only pages of the "
        "broker itself.",
        ours=True,
    )
    http_cors_allowed_methods: _Tokens = setting(_DEFAULT_METHODS, "What they may do.", ours=True)
    http_cors_allowed_headers: _Tokens = setting(
        _DEFAULT_HEADERS, "Which headers of a request they may set.", ours=True
    )
    http_cors_allow_credentials: Boolean = setting(
        False,
        "Whether they may send cookies and logins that the browser has; not with the origin `*`.",
        ours=True,
    )
    http_cors_max_age_ms: NotNegative = setting(
        600_000, "How long a browser may remember what it was allowed.", ours=True
    )
