"""The URL that a client came by, and by which it finds its instance again at any broker."""

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from kafkalite.api.rest.paths import ConsumersPath

BASE_HEADER: Final = "kafkalite-client-base"
"""Says, in a request that a broker sent on, how its client reaches the group's path."""

_HOST: Final = re.compile(r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_PATH: Final = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")
_SCHEMES: Final = frozenset({"http", "https"})


def group_url(path: ConsumersPath, header: Callable[[bytes], str], advertised: str | None) -> str:
    """Where a client finds its group.

    That is below the URL that was configured, else where the proxies before us say that the client
    sent its request to, else where it came.

    Args:
        path: of the request.
        header: gives a header by its lower-case name, empty where there is none.
        advertised: the URL that was configured.
    """
    own_path = f"/consumers/{quote(path.group, safe='')}"
    forwarded_path = _good_path(header(b"x-forwarded-path"))
    if advertised is None and forwarded_path:
        return f"{_authority(header)}{forwarded_path}"
    return origin_url(header, advertised) + own_path


def origin_url(header: Callable[[bytes], str], advertised: str | None) -> str:
    """What a client's URLs begin with, up to our paths; as `group_url` finds it."""
    if advertised is not None:
        return advertised.rstrip("/")
    return f"{_authority(header)}{_good_path(header(b'x-forwarded-prefix'))}"


def _authority(header: Callable[[bytes], str]) -> str:
    """Scheme and host that a client sent its request to."""
    scheme, host = _forwarded(header(b"forwarded"))
    if not host:
        host = _first(header(b"x-forwarded-host"))
        scheme = _first(header(b"x-forwarded-proto")).lower()
        if not host:
            host = header(b"host")
    if _HOST.fullmatch(host) is None:
        host = "localhost"
    if scheme not in _SCHEMES:
        scheme = "http"
    return f"{scheme}://{host}"


def instance_url(group: str, name: str) -> str:
    """Where a client finds an instance, given where it finds its group."""
    return f"{group}/instances/{quote(name, safe='')}"


def _forwarded(text: str) -> tuple[str, str]:
    """Scheme and host of the first entry of a Forwarded header; empty where it names none."""
    pairs = [pair.partition("=") for pair in text.partition(",")[0].split(";")]
    found = {name.strip().lower(): given.strip().strip('"') for name, _, given in pairs}
    return found.get("proto", "").lower(), found.get("host", "")


def _first(text: str) -> str:
    return text.partition(",")[0].strip()


def _good_path(text: str) -> str:
    path = _first(text)
    return path.rstrip("/") if _PATH.fullmatch(path) else ""
