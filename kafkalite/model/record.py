"""A record as people see it, before encoding and after decoding."""

from typing import NamedTuple

Header = tuple[str, bytes | None]


class Record(NamedTuple):
    """One record. `offset` is -1 until a leader has given it one."""

    value: bytes | None
    key: bytes | None = None
    timestamp: int = -1
    """Milliseconds since the Unix epoch; -1 where the producer left it to the broker."""
    headers: tuple[Header, ...] = ()
    offset: int = -1
