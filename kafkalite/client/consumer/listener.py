"""Who wants to know which partitions come and go."""

from collections.abc import Awaitable, Callable, Collection
from typing import Literal, NamedTuple, Protocol

from kafkalite.model.ids import TopicPartition

Partitions = frozenset[TopicPartition]


class RebalanceListener(Protocol):
    """Called from within `poll` and `close`, and may use the consumer: `commit`, `seek`, ...

    With an AsyncConsumer any of them may be a coroutine function. What they raise comes out of the
    poll, after the step that they were called for.
    """

    def on_revoked(self, partitions: Collection[TopicPartition], /) -> Awaitable[None] | None:
        """These go to somebody else, who waits for this to return: the last time to commit."""

    def on_assigned(self, partitions: Collection[TopicPartition], /) -> Awaitable[None] | None:
        """These came; nothing was read of them yet, so this is the time to seek."""

    def on_lost(self, partitions: Collection[TopicPartition], /) -> Awaitable[None] | None:
        """These may be somebody else's already: what was done last cannot be committed."""


class Listener:
    """A listener that does nothing; override what is of interest."""

    def on_revoked(self, partitions: Collection[TopicPartition], /) -> Awaitable[None] | None:
        """See RebalanceListener."""

    def on_assigned(self, partitions: Collection[TopicPartition], /) -> Awaitable[None] | None:
        """See RebalanceListener."""

    def on_lost(self, partitions: Collection[TopicPartition], /) -> Awaitable[None] | None:
        """See RebalanceListener."""


class CallDue(NamedTuple):
    """A call of the listener that is due, in the consumer's own thread."""

    kind: Literal["revoked", "assigned", "lost"]
    partitions: Partitions
    listener: RebalanceListener

    def make(self) -> Awaitable[None] | None:
        """Make it."""
        calls: dict[str, Callable[[Collection[TopicPartition]], Awaitable[None] | None]] = {
            "revoked": self.listener.on_revoked,
            "assigned": self.listener.on_assigned,
            "lost": self.listener.on_lost,
        }
        return calls[self.kind](self.partitions)
