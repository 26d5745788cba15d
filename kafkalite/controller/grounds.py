"""Why a partition's state has to be looked at again, beyond what state and brokers say. Pure."""

from dataclasses import dataclass

from kafkalite.model.ids import BrokerId

_NOBODY: frozenset[BrokerId] = frozenset()


@dataclass(frozen=True, slots=True)
class Grounds:
    """What was heard of a partition's replicas since its state was decided.

    Each counts once: what a decision took into account is gone when the decision is stored.
    What is heard meanwhile is kept for the next one, even if it is the same again.
    """

    restarted: frozenset[BrokerId] = _NOBODY
    """Another incarnation than the state meant: it may have lost the end of its log."""
    damaged: frozenset[BrokerId] = _NOBODY
    """A part of its log cannot be read."""
    leaving: frozenset[BrokerId] = _NOBODY
    """About to stop."""
    preferred: bool = False
    """The preferred leader was asked for."""
    unclean: bool = False
    """Any leader was asked for, in sync or not."""

    def __or__(self, other: "Grounds") -> "Grounds":
        return Grounds(
            self.restarted | other.restarted,
            self.damaged | other.damaged,
            self.leaving | other.leaving,
            self.preferred or other.preferred,
            self.unclean or other.unclean,
        )


NO_GROUNDS = Grounds()
