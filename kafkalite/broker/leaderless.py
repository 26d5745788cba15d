"""What is said of a partition that nobody leads: whose return would end it."""

from kafkalite.model.cluster import PartitionState
from kafkalite.model.errors import LeaderNotAvailableError
from kafkalite.model.ids import NO_LEADER, TopicPartition


def leaderless(partition: TopicPartition, state: PartitionState | None) -> LeaderNotAvailableError:
    """The refusal of what only a leader may do.

    Args:
        partition: of which nobody is known to lead it.
        state: the last that was heard of it; None: it has none yet.
    """
    detail = f"{partition} has no leader at the moment"
    if state is not None and state.leader == NO_LEADER:
        brokers = ", ".join(map(str, state.isr))
        detail += (
            f": it waits for broker {brokers}, the only one in sync"
            if len(state.isr) == 1
            else f": it waits for one of the brokers {brokers}, which are in sync"
        )
    return LeaderNotAvailableError(detail)
