"""Carries out what a group decides, in the order that its protocol asks for.

A partition that goes to somebody else is let go in this order: nothing of it is handed out any
more, the listener is told, its offset is committed, and only then the coordinator hears of it.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from kafkalite.client.consumer.listener import CallDue, Partitions, RebalanceListener
from kafkalite.client.consumer.membership import Membership
from kafkalite.client.consumer.positions import GROUP, Positions


class Source(Protocol):
    """Who decides what is consumed; see GroupMember."""

    @property
    def session_due_s(self) -> float: ...
    def start(self) -> None: ...
    def subscribe(self, topics: tuple[str, ...], pattern: str | None) -> None: ...
    def hold(self) -> None: ...
    def note_poll(self, now_s: float) -> None: ...
    def look(self) -> Membership: ...
    def release(self, partitions: Partitions, life: int) -> None: ...
    async def close(self) -> None: ...


class Rebalancing:
    """Steps are taken on the loop, while the caller waits; its listener is called in between."""

    def __init__(
        self,
        source: Source,
        positions: Positions,
        *,
        commit: Callable[[Partitions], Awaitable[None]],
        on_gone: Callable[[Partitions], None],
    ) -> None:
        """Assign only.

        Args:
            source: who decides.
            positions: what is consumed at the moment.
            commit: commits what was handed out of these, where that is wanted; never raises.
            on_gone: told what is not consumed any more.
        """
        self.source = source
        self.listener: RebalanceListener | None = None
        self.known_counts: dict[str, int] = {}
        """Partitions of each topic when consuming began: others are read from their first record,
        because all that they hold is news."""
        self._positions = positions
        self._commit = commit
        self._on_gone = on_gone
        self._life = 0
        self._told: Partitions = frozenset()
        """What the listener knows to be going."""

    async def step(self) -> tuple[bool, CallDue | None]:
        """Go on as far as possible without the listener.

        Gives whether anything came, and the call to make before the next step, if any.

        Raises:
            LogError: the group does not want this member any more.
        """
        now = self.source.look()
        if now.life != self._life:
            self._life = now.life
            self._told = frozenset()
            lost = self._positions.partitions
            # Others may have all of it by now, and go on from what was committed last.
            self._drop(lost)
            if lost and self.listener is not None:
                return False, CallDue("lost", lost, self.listener)
        gone = self._positions.partitions - now.assignment
        if gone:
            if self.listener is not None and self._told != gone:
                self._told = gone
                return False, CallDue("revoked", gone, self.listener)
            await self._commit(gone)
            self._drop(gone)
            self.source.release(gone, now.life)
        self._told = frozenset()
        came = now.assignment - self._positions.partitions
        for each in sorted(came):
            is_new = each.partition >= self.known_counts.get(each.topic, 0)
            self._positions.add(each, GROUP, is_new=is_new)
        if came and self.listener is not None:
            return True, CallDue("assigned", came, self.listener)
        return bool(came), None

    def farewell(self) -> CallDue | None:
        """The call to make before leaving on one's own accord."""
        partitions = self._positions.partitions
        if not partitions or self.listener is None:
            return None
        try:
            is_lost = self.source.look().life != self._life
        except Exception:  # noqa: BLE001 - whatever ended the membership
            is_lost = True
        return CallDue("lost" if is_lost else "revoked", partitions, self.listener)

    def _drop(self, partitions: Partitions) -> None:
        if partitions:
            self._positions.remove(partitions)
            self._on_gone(partitions)
