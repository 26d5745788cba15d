"""What the data path needs of an HTTP client."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from kafkalite.wire.batch import Buffer


class Answer(NamedTuple):
    """A status and the whole body."""

    status: int
    body: Buffer


class NotSentError(Exception):
    """Nothing of the request can have arrived."""


class InDoubtError(Exception):
    """The request may have been carried out."""


class HttpClient(Protocol):
    """Posts to a server of this machine over connections that it keeps. Lives on one loop."""

    async def post(
        self, host: str, port: int, target: str, parts: Sequence[bytes], timeout_s: float
    ) -> Answer:
        """Send the parts as one body, once, and give the answer whatever its status.

        Raises:
            NotSentError: nothing was sent.
            InDoubtError: anything else.
        """

    async def get(self, host: str, port: int, target: str, timeout_s: float) -> Answer:
        """Ask for something; raises as `post` does."""

    async def close(self) -> None:
        """Close all connections."""
