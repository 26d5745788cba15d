"""What an operator can say about HTTP itself."""

from collections.abc import Mapping
from typing import NamedTuple

from kafkalite.api.http.connection_limits import UNBOUNDED
from kafkalite.api.http.origins import NO_SITES, Cors
from kafkalite.config.http_keys import HttpKeys, address_limits


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


def http_options(keys: HttpKeys) -> HttpOptions:
    """The options that settings stand for."""
    return HttpOptions(
        max_connections_per_ip=keys.max_connections_per_ip,
        connection_overrides=dict(address_limits(keys.max_connections_per_ip_overrides or ())),
        head_timeout_s=keys.http_request_head_timeout_ms / 1000,
        body_timeout_s=keys.http_request_body_timeout_ms / 1000,
        shutdown_timeout_s=keys.http_shutdown_timeout_ms / 1000,
        compression_min_bytes=keys.http_compression_min_bytes,
        cors=cors_of(keys),
    )


def cors_of(keys: HttpKeys) -> Cors:
    """Which pages settings allow to use the broker."""
    return Cors(
        origins=frozenset(keys.http_cors_allowed_origins or ()),
        methods=keys.http_cors_allowed_methods,
        headers=keys.http_cors_allowed_headers,
        allows_credentials=keys.http_cors_allow_credentials,
        max_age_s=keys.http_cors_max_age_ms // 1000,
    )
