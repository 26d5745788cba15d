"""What the operator settled for the controller to decide by."""

from dataclasses import dataclass
from typing import Final

from kafkalite.model.cluster import Topic

_UNCLEAN: Final = "unclean.leader.election.enable"


@dataclass(frozen=True, slots=True)
class ControllerPolicy:
    """The controller's settings, as they are now."""

    deletes_topics: bool = True
    """delete.topic.enable"""
    elects_unclean: bool = False
    """unclean.leader.election.enable, of topics that do not say it themselves."""
    rebalances_leaders: bool = True
    """auto.leader.rebalance.enable"""
    imbalance_check_interval_ms: int = 300_000
    """leader.imbalance.check.interval.seconds"""
    imbalance_percentage: int = 10
    """leader.imbalance.per.broker.percentage: how many of the partitions that prefer a broker may
    be led by others before their leaders are moved back."""

    def elects_unclean_for(self, topic: Topic) -> bool:
        """Whether a replica that is not in sync may lead a partition of `topic`."""
        own = topic.config.get(_UNCLEAN)
        return self.elects_unclean if own is None else own.strip().lower() == "true"
