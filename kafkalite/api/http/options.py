"""What an operator can say about HTTP itself."""

import ipaddress
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from kafkalite.api.http.allowed_hosts import ANY_HOSTS, AllowedHosts
from kafkalite.api.http.connection_limits import UNBOUNDED
from kafkalite.api.http.origins import NO_SITES, Cors
from kafkalite.config.http_keys import ANY_HOST, HttpKeys, address_limits
from kafkalite.config.keys import BrokerSettings
from kafkalite.config.listener import Listener


class HttpOptions(NamedTuple):
    """Of one server; the defaults are those of the settings."""

    max_connections_per_ip: int = UNBOUNDED
    connection_overrides: Mapping[str, int] | None = None
    """In place of `max_connections_per_ip`, for some addresses."""
    head_timeout_s: float = 30.0
    """In which a request's line and headers must have come."""
    body_timeout_s: float = 30.0
    """How long a client may pause within a body."""
    shutdown_timeout_s: float = 10.0
    """How long requests in work may take, and answers to be read, when the server stops."""
    compression_min_bytes: int = 1024
    """Of an answer that is worth being compressed."""
    cors: Cors = NO_SITES
    """Which pages of other sites may use the broker."""
    hosts: AllowedHosts = ANY_HOSTS
    """Which of them requests may name."""


def http_options(keys: BrokerSettings, address: str, advertised: Listener) -> HttpOptions:
    """The options that settings stand for.

    Args:
        keys: the settings.
        address: that the broker listens on, whatever name the settings have for it.
        advertised: where others are told that it is.
    """
    return HttpOptions(
        max_connections_per_ip=keys.max_connections_per_ip,
        connection_overrides=dict(address_limits(keys.max_connections_per_ip_overrides or ())),
        head_timeout_s=keys.http_request_head_timeout_ms / 1000,
        body_timeout_s=keys.http_request_body_timeout_ms / 1000,
        shutdown_timeout_s=keys.http_shutdown_timeout_ms / 1000,
        compression_min_bytes=keys.http_compression_min_bytes,
        cors=cors_of(keys),
        hosts=_allowed_hosts(keys, address, advertised),
    )


def _allowed_hosts(keys: BrokerSettings, address: str, advertised: Listener) -> AllowedHosts:
    names = keys.http_allowed_hosts
    if names is None:
        # Others come to a machine by any name that leads there. To itself, that is no way.
        names = () if ipaddress.ip_address(address).is_loopback else (ANY_HOST,)
    proxy = urlsplit(keys.rest_advertised_url or "").hostname or ""
    own = (keys.listeners.host, advertised.host, proxy)
    own_names = (name.lower().removesuffix(".") for name in own if name)
    return AllowedHosts(frozenset((*names, *own_names)))


def cors_of(keys: HttpKeys) -> Cors:
    """Which pages settings allow to use the broker."""
    return Cors(
        origins=frozenset(keys.http_cors_allowed_origins or ()),
        methods=keys.http_cors_allowed_methods,
        headers=keys.http_cors_allowed_headers,
        allows_credentials=keys.http_cors_allow_credentials,
        max_age_s=keys.http_cors_max_age_ms // 1000,
    )
