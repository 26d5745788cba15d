"""Where a broker's HTTP is: what people write, and what brokers say of each other."""

import re
from typing import Final, NamedTuple, Self

from kafkalite.client.errors import ConfigError

DEFAULT_PORT: Final = 9092
UNKNOWN_ID: Final = -1
"""Of a broker that is known by its address only."""

_MAX_PORT: Final = 65_535
_ADDRESS: Final = re.compile(
    r"(?:http://)?(?:\[(?P<v6>[0-9A-Fa-f:.]+(?:%[A-Za-z0-9_.-]+)?)\]|(?P<host>[A-Za-z0-9._-]+))"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)


class BrokerAddress(NamedTuple):
    """A broker that can be asked; `id` is UNKNOWN_ID where only the address was given."""

    id: int
    host: str
    """A name or an address, one of IPv6 without brackets."""
    port: int

    @classmethod
    def parse(cls, text: str, broker_id: int = UNKNOWN_ID) -> Self:
        """From `host`, `host:port`, `[::1]:port` or a URL of these, port 9092 where none is given.

        Raises:
            ConfigError: it is none of them.
        """
        found = _ADDRESS.fullmatch(text.strip())
        port = DEFAULT_PORT if found is None else int(found["port"] or DEFAULT_PORT)
        if found is None or not 0 < port <= _MAX_PORT:
            why = ""
            if text.strip().startswith("https://"):
                why = " (clients speak plain HTTP; a proxy in front of the brokers may end TLS)"
            raise ConfigError(f"Invalid url in bootstrap.servers: {text.strip()}{why}")
        return cls(broker_id, found["v6"] or found["host"], port)

    @property
    def netloc(self) -> str:
        """`host:port` as URLs have it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """Where its HTTP API lives."""
        return f"http://{self.netloc}"
