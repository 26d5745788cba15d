"""The operations of a transaction, and what is read of a znode."""

from dataclasses import dataclass
from typing import Final, NamedTuple

ANY_VERSION: Final = -1


class Znode(NamedTuple):
    """A znode as read."""

    data: bytes
    version: int
    created: int
    """zxid that created it."""
    modified: int
    """zxid that wrote the data."""
    owner: int
    """Session of an ephemeral znode; 0 for one that is not."""
    modified_ms: int = 0
    """When the data were written, by the server's wall clock."""


@dataclass(frozen=True, slots=True)
class Create:
    path: str
    data: bytes = b""
    ephemeral: bool = False
    sequential: bool = False


@dataclass(frozen=True, slots=True)
class SetData:
    path: str
    data: bytes
    version: int
    """The version it replaces; ANY_VERSION: whatever there is."""


@dataclass(frozen=True, slots=True)
class Delete:
    path: str
    version: int = ANY_VERSION


@dataclass(frozen=True, slots=True)
class Check:
    """Fail unless the znode has this version; ANY_VERSION: unless it exists."""

    path: str
    version: int = ANY_VERSION


Operation = Create | SetData | Delete | Check
