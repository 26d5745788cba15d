"""All partitions of some topics, for one who shares them with nobody."""

import asyncio
from collections.abc import Callable
from typing import Final

from kafkalite.client.consumer.listener import Partitions
from kafkalite.client.consumer.membership import Membership
from kafkalite.client.consumer.ports import ClusterView, Pauses
from kafkalite.model.errors import LogError
from kafkalite.model.ids import TopicPartition

_LONGEST_LOOK_S: Final = 5.0
"""How often to look for new partitions at least: the cluster's view is no older than its age."""


class TopicsAlone:
    """What a GroupMember is to a group, as far as a consumer sees it. On the loop."""

    session_due_s = float("inf")

    def __init__(
        self,
        topics: tuple[str, ...],
        cluster: ClusterView,
        pauses: Pauses,
        on_news: Callable[[], None],
        *,
        max_age_s: float,
    ) -> None:
        """Assign only.

        Args:
            topics: what to consume all of.
            cluster: says what there is.
            pauses: between attempts to ask it.
            on_news: called when there is something to `look` at.
            max_age_s: after how long new partitions shall be known.
        """
        self._topics = topics
        self._cluster = cluster
        self._pauses = pauses
        self._on_news = on_news
        self._look_s = min(_LONGEST_LOOK_S, max_age_s)
        self._assignment: Partitions = frozenset()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run(), name="topics")

    def subscribe(self, topics: tuple[str, ...], pattern: str | None) -> None:
        """Want these from now on; a pattern takes a group."""
        assert pattern is None
        self._topics = topics
        if self._task is not None:
            self._task.cancel()
            self.start()

    def hold(self) -> None:
        """Nobody minds how long a poll waits."""

    def note_poll(self, now_s: float) -> None:
        """Nor when it was."""

    def look(self) -> Membership:
        """All partitions that were found."""
        return Membership("", -1, 0, self._assignment)

    def release(self, partitions: Partitions, life: int) -> None:
        """Nobody waits for them."""

    async def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def _run(self) -> None:
        while True:
            found: set[TopicPartition] = set()
            is_complete = True
            for topic in self._topics:
                try:
                    count = await self._cluster.partitions(topic)
                except LogError:
                    is_complete = False
                    count = sum(each.topic == topic for each in self._assignment)
                found |= {TopicPartition(topic, number) for number in range(count)}
            if found != self._assignment:
                self._assignment = frozenset(found)
                self._on_news()
            if is_complete:
                self._pauses.reset()
            await asyncio.sleep(self._look_s if is_complete else self._pauses.next_pause())
