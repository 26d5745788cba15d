"""The settings of the server, as values."""

import dataclasses
from pathlib import Path

DEFAULT_PORT = 2181


@dataclasses.dataclass(frozen=True)
class ZooKeeperConfig:
    """ZooKeeper's settings under Python names; defaults are ZooKeeper's, but for the address."""

    data_dir: Path
    port: int = DEFAULT_PORT
    """0: a free one, see `ZooKeeperServer.port`."""
    address: str = "127.0.0.1"
    """Where to listen; empty: everywhere. This server is for one machine."""
    tick_ms: int = 2000
    max_connections_per_address: int = 60
    """0: unlimited."""
    min_session_timeout_ms: int = -1
    """-1: two ticks."""
    max_session_timeout_ms: int = -1
    """-1: twenty ticks."""
    four_letter_words: frozenset[str] = frozenset({"srvr"})
    """The words that are answered; `*` stands for all."""

    @property
    def least_session_timeout_ms(self) -> int:
        timeout_ms = self.min_session_timeout_ms
        return 2 * self.tick_ms if timeout_ms == -1 else timeout_ms

    @property
    def largest_session_timeout_ms(self) -> int:
        timeout_ms = self.max_session_timeout_ms
        return 20 * self.tick_ms if timeout_ms == -1 else timeout_ms
