"""What can go wrong between two brokers, told apart by what it says about the request.

    PeerError
     +- PeerRefusedError      nobody listens: the request was not sent
     +- PeerUnreachableError  no connection for another reason: the request was not sent
     +- PeerBusyError         our own bound on requests to that broker: it was not sent
     +- PeerTimeoutError      no answer in time: it may have been carried out
     +- PeerBrokenError       reset, or no answer that makes sense: it may have been carried out
         +- PeerProblemError  an answer, and it says that the request was not carried out

No LogError: who asks decides what a client is told.
"""

from typing import ClassVar

from kafkalite.model.errors import LogError


class PeerError(Exception):
    """Another broker could not be asked, or did not answer; the message is a sentence."""

    was_sent: ClassVar[bool] = True
    """Whether any of the request may have reached the other side: if so, it may have acted."""


class PeerRefusedError(PeerError):
    """Nobody listens at the broker's address: its process is gone."""

    was_sent = False


class PeerUnreachableError(PeerError):
    """No connection, in time or at all, and not because it was refused: says nothing of death."""

    was_sent = False


class PeerBusyError(PeerError):
    """So many requests to this broker wait for a connection that this one was given up."""

    was_sent = False


class PeerTimeoutError(PeerError):
    """The request was sent, and there was no whole answer in time."""


class PeerBrokenError(PeerError):
    """The connection broke, or the answer was none that can be read within its bound."""


class PeerProblemError(PeerBrokenError):
    """The other broker refused the request as a whole, and said why: nothing was done.

    Not raised by `request`, which gives any answer.
    """

    was_sent = False

    def __init__(self, message: str, error: LogError) -> None:
        """Build with a sentence, and the other broker's refusal as it was meant for a client."""
        super().__init__(message)
        self.error = error
