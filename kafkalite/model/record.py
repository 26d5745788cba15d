"""A record as people see it, before encoding and after decoding."""

from typing import Final, NamedTuple

from kafkalite.model.offsets import NO_OFFSET

Header = tuple[str, bytes | None]

NO_TIMESTAMP: Final = -1
"""Where a time belongs, in milliseconds since the Unix epoch, and there is none."""


class Record(NamedTuple):
    """One record. `offset` is NO_OFFSET until a leader has given it one."""

    value: bytes | None
    key: bytes | None = None
    timestamp: int = NO_TIMESTAMP
    """Milliseconds since the Unix epoch; NO_TIMESTAMP where the producer left it to the broker."""
    headers: tuple[Header, ...] = ()
    offset: int = NO_OFFSET
