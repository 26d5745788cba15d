"""Which brokers are there, and what may be asked of them. Pure bookkeeping."""

from collections.abc import Mapping
from dataclasses import dataclass

from kafkalite.model.ids import BrokerId


@dataclass(frozen=True, slots=True)
class BrokerNews:
    """What a change of registrations comes to."""

    affected: frozenset[BrokerId]
    """Came, went, or are another incarnation now."""
    started: frozenset[BrokerId]
    """Those of them that are registered."""


class Brokers:
    """The brokers as the controller sees them.

    A broker is *live* while it is registered and not known to be unreachable. A live one may be
    *leaving*: it serves on, but is about to stop. Both marks are of one incarnation, and go with
    it. Owned by the ControllerMachine.
    """

    def __init__(self) -> None:
        self._registered: dict[BrokerId, int] = {}
        self._unreachable: set[BrokerId] = set()
        self._leaving: set[BrokerId] = set()
        self.live: frozenset[BrokerId] = frozenset()
        self.leaving: frozenset[BrokerId] = frozenset()
        """Those of the live ones that are about to stop."""

    def epoch(self, broker: BrokerId) -> int:
        """Of its registration; -1 where there is none."""
        return self._registered.get(broker, -1)

    def register(self, brokers: Mapping[BrokerId, int]) -> BrokerNews:
        """The registered ones are now these: broker -> broker epoch."""
        before, self._registered = self._registered, dict(brokers)
        affected = frozenset(
            broker
            for broker in before.keys() | brokers.keys()
            if before.get(broker) != brokers.get(broker)
        )
        self._unreachable -= affected
        self._leaving -= affected
        self._count()
        return BrokerNews(affected, affected & brokers.keys())

    def lose(self, broker: BrokerId, epoch: int) -> bool:
        """This incarnation cannot be reached; False where that is no news."""
        return self._mark(self._unreachable, broker, epoch)

    def find(self, broker: BrokerId, epoch: int) -> bool:
        """This incarnation can be reached again; False where that is no news."""
        if broker not in self._unreachable or self.epoch(broker) != epoch:
            return False
        self._unreachable.discard(broker)
        self._count()
        return True

    def leave(self, broker: BrokerId, epoch: int) -> bool:
        """This incarnation is about to stop; False where another one is registered."""
        self._mark(self._leaving, broker, epoch)
        return broker in self._leaving

    def _mark(self, marked: set[BrokerId], broker: BrokerId, epoch: int) -> bool:
        if broker in marked or epoch < 0 or self.epoch(broker) != epoch:
            return False
        marked.add(broker)
        self._count()
        return True

    def _count(self) -> None:
        self.live = frozenset(self._registered.keys() - self._unreachable)
        self.leaving = frozenset(self._leaving & self.live)
