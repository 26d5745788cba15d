"""The answer of another broker to a request of HTTP's own kind."""

from collections.abc import Mapping
from typing import NamedTuple


class PeerReply(NamedTuple):
    """Status, headers by lower-case name, and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes
