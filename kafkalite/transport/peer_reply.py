"""The answer of another broker to a request of HTTP's own kind."""

from collections.abc import Mapping
from typing import NamedTuple


class PeerReply(NamedTuple):
    """Status, headers by lower-case name, and the whole body."""

    status: int
    headers: Mapping[str, str]
    content: bytes | bytearray
    """The body as it was read: a large one is a bytearray, and nobody else's."""

    @property
    def body(self) -> bytes:
        """The body; a copy where it is large."""
        return bytes(self.content)
