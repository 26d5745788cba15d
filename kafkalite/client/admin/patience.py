"""When an administrative request that did not go well is sent again.

A request that was refused because something is not so at the moment was not carried out: it is
sent again whatever it does. One that nobody has answered may have been: only what does the same
when it is done twice is sent again, and the error of others says so.
"""

from typing import Final

from kafkalite.client.errors import NotSentError
from kafkalite.model.errors import (
    BrokerNotAvailableError,
    CorruptMessageError,
    LogError,
    NetworkError,
    RequestTimedOutError,
    UnknownTopicOrPartitionError,
)

_FINAL: Final = (UnknownTopicOrPartitionError, CorruptMessageError)
"""Retriable, but an administrator wants to hear it now."""
_IN_DOUBT: Final = (NetworkError, RequestTimedOutError)


class Patience:
    """What is tried again, how often, and for how long. Subclasses know better."""

    def __init__(self, retries: int, retry_for_ms: int) -> None:
        """Assign only.

        Args:
            retries: how often a call is tried again.
            retry_for_ms: after how long, counted from its beginning, it is not any more.
        """
        self.retries = retries
        self.retry_for_ms = retry_for_ms

    def may_repeat(self, error: LogError, *, is_idempotent: bool) -> bool:
        """Whether a call may be tried again after `error`.

        Args:
            error: what came of it.
            is_idempotent: whether carrying it out twice does the same as once.

        Raises:
            Exception: the call shall end with this, and with it what it is a part of.
        """
        if isinstance(error, NotSentError | BrokerNotAvailableError):
            return True
        if isinstance(error, _IN_DOUBT):
            return is_idempotent
        return error.retriable and not isinstance(error, _FINAL)
