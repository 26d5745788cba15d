"""The tails that this broker serves, bounded in number."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kafkalite.broker.metadata_view import MetadataChange
from kafkalite.broker.tails.feed import TailFeeds
from kafkalite.broker.tails.tail import TailWish, TailWorld, TopicTail
from kafkalite.model.errors import BrokerNotAvailableError


class TopicTails:
    """The table of tails. Lives on the loop; its feeds own tasks. Life: `start`, `stop_waiting`."""

    def __init__(self, world: TailWorld, max_tails: Callable[[], int]) -> None:
        """Nothing is served yet."""
        self._world = world
        self._feeds = TailFeeds(world.reads)
        self._max_tails = max_tails
        self._tails: set[TopicTail] = set()
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._tails)

    def start(self) -> None:
        """Watch what becomes of topics from now on."""
        self._world.view.subscribe(self._on_change)

    @contextmanager
    def tail(self, wish: TailWish) -> Iterator[TopicTail]:
        """A tail that is to be opened; it has its place in the table for as long as this lasts.

        Raises:
            BrokerNotAvailableError: there are as many as may be, or this broker is about to go.
        """
        if self._is_closed:
            raise BrokerNotAvailableError("This broker is stopping; another one serves the stream")
        if len(self._tails) >= self._max_tails():
            raise BrokerNotAvailableError(
                f"This broker serves {self._max_tails()} streams of topics already, which is as "
                "many as it may (topic.max.streams); ask another one, or later"
            )
        tail = TopicTail(wish, self._world, self._feeds)
        self._tails.add(tail)
        try:
            yield tail
        finally:
            tail.close()
            self._tails.discard(tail)

    def stop_waiting(self) -> None:
        """End all tails: this broker is about to go."""
        self._is_closed = True
        for tail in self._tails:
            tail.stop_waiting()

    def _on_change(self, change: MetadataChange) -> None:
        for tail in self._tails:
            if tail.wish.topic in change.topics:
                tail.wake()
