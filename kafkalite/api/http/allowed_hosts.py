"""Which hosts a broker answers for: whose names `Host` may have.

A page of an attacker's has its own name resolve to the broker's address once the browser has loaded
it ("DNS rebinding"). From then on it is, to the browser, a page of the broker itself, and may do
and read what it likes: where a page is from says nothing. That name is in `Host`, and none of ours.

Names that nobody can have on the internet are no danger: addresses, names without a dot, and those
below `localhost` and `internal`.
"""

import ipaddress
from typing import Final, NamedTuple

from kafkalite.config.http_keys import ANY_HOST

_PRIVATE: Final = (".localhost", ".internal")


class AllowedHosts(NamedTuple):
    """Names of hosts. Asked about each connection, and again where it names another one."""

    names: frozenset[str]
    """In lower case, beside those that are no danger; `.example.com` stands for example.com and all
    below it, ANY_HOST for whatever there is."""

    def allows(self, host: bytes) -> bool:
        """Whether a request may name this host: a header's text, with or without a port."""
        if ANY_HOST in self.names:
            return True
        name = _name_of(host.decode("latin-1").lower())
        return _is_no_danger(name) or any(
            name == allowed or (allowed.startswith(".") and f".{name}".endswith(allowed))
            for allowed in self.names
        )


def _name_of(host: str) -> str:
    """Without the port, the brackets of an IPv6 address and the dot that may end a name."""
    host = host.strip()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].removesuffix(".")


def _is_no_danger(name: str) -> bool:
    if name.endswith(_PRIVATE):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." not in name
    return True


ANY_HOSTS: Final = AllowedHosts(frozenset({ANY_HOST}))
"""All that there are."""
