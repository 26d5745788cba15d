"""What can go wrong between two brokers, told apart by what it says about the request.

    PeerError
     +- PeerRefusedError      nobody listens: the request was not sent
     +- PeerUnreachableError  no connection for another reason: the request was not sent
     +- PeerBusyError         our own bound on requests to that broker: it was not sent
     +- PeerTimeoutError      no answer in time: it may have been carried out
     +- PeerBrokenError       reset, or no answer that makes sense: it may have been carried out

No LogError: who asks decides what a client is told.
"""

from typing import ClassVar


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
    """The connection broke, or the answer was none.

    Also an answer that is larger than allowed, or whose status says that the request failed as
    a whole.
    """
