"""Addresses that a broker listens on or is known by: `HTTP://host:port`."""

import re
import socket
from typing import NamedTuple

SCHEME = "HTTP"
_LISTENER = re.compile(
    r"(?P<scheme>[A-Za-z0-9_]+)://(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\s:/\[\],]*):(?P<port>[0-9]+)/?"
)
_EVERYWHERE = frozenset({"", "0.0.0.0", "::"})
_MAX_PORT = 65535


class Listener(NamedTuple):
    """A host and a port; prints as it is written in server.properties."""

    host: str
    """A name or an address, an IPv6 one without brackets; empty: every interface."""
    port: int
    """0: any free port, known once the broker listens."""

    @property
    def is_everywhere(self) -> bool:
        """Whether this names no interface in particular, so that nobody could connect to it."""
        return self.host in _EVERYWHERE

    @property
    def url(self) -> str:
        """What HTTP clients write, without a slash at the end."""
        return f"http://{self._shown_host}:{self.port}"

    @property
    def _shown_host(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    def __str__(self) -> str:
        return f"{SCHEME}://{self._shown_host}:{self.port}"


def parse_listener(text: str) -> Listener:
    """Read `HTTP://host:port`; the host may be empty.

    Raises:
        ValueError: it is something else; the text says what to write instead.
    """
    text = text.strip()
    if "," in text:
        raise ValueError(f"{text!r} names several listeners; a broker has one: write one of them")
    parts = _LISTENER.fullmatch(text)
    if parts is None:
        raise ValueError(f"{text!r} is not HTTP://host:port; write HTTP://:9092")
    host, port = parts["host"].strip("[]"), int(parts["port"])
    if parts["scheme"].upper() != SCHEME:
        instead = Listener(host, port if port <= _MAX_PORT else 9092)
        raise ValueError(
            f"{parts['scheme']}:// is not supported yet, brokers speak plain HTTP; write {instead}"
        )
    if port > _MAX_PORT:
        raise ValueError(f"port {port} is not between 0 and {_MAX_PORT}")
    return Listener(host, port)


def reachable_host() -> str:
    """A name of this machine that others may connect to: its host name, if that resolves.

    A machine without a working name can only be reached from itself: `localhost`.
    """
    name = socket.gethostname()
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        return "localhost"
    return name
