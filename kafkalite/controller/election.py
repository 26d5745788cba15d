"""Who leads a partition: pure functions of its state and of who is alive.

Rules (Kafka's):

1. The leader is the first replica, in assignment order, that is alive and in the ISR.
2. With none the partition is offline: leader -1, and the ISR stays, because only its members are
   known to hold everything.
3. Every change of leader raises the leader epoch, going offline included.
4. A dead broker leaves every ISR that has a living member.
5. A broker that was started again since the state was written is another incarnation: it may have
   lost the end of its log. It leaves the ISR where another member remains, and where it still leads
   it leads in a new epoch.
"""

from collections.abc import Collection, Sequence

from kafkalite.model.cluster import PartitionState
from kafkalite.model.ids import NO_LEADER, BrokerId, ControllerEpoch, LeaderEpoch


def first_state(
    replicas: Sequence[BrokerId],
    live: Collection[BrokerId],
    controller_epoch: ControllerEpoch,
    leader_epoch: int = 0,
) -> PartitionState | None:
    """The state of a partition that has none: led by the first live replica, all live ones in sync.

    None when no replica is alive: it waits for one.
    """
    isr = tuple(replica for replica in replicas if replica in live)
    if not isr:
        return None
    return PartitionState(isr[0], LeaderEpoch(leader_epoch), isr, controller_epoch)


def next_state(
    state: PartitionState,
    replicas: Sequence[BrokerId],
    live: Collection[BrokerId],
    restarted: Collection[BrokerId],
    controller_epoch: ControllerEpoch,
) -> PartitionState | None:
    """What the state has to become now that these brokers live; None when it may stay.

    Args:
        state: as stored.
        replicas: the assignment, preferred leader first.
        live: ids of the live brokers.
        restarted: brokers of which another incarnation was meant when `state` was written.
        controller_epoch: of the controller that decides.
    """
    in_sync = tuple(member for member in state.isr if member in live)
    unbroken = tuple(member for member in in_sync if member not in restarted)
    isr = unbroken or in_sync or state.isr
    if state.leader in isr and state.leader in live and state.leader not in restarted:
        leader = state.leader
        leader_epoch = state.leader_epoch
    else:
        leader = next((r for r in replicas if r in live and r in isr), NO_LEADER)
        if leader == NO_LEADER and state.is_offline:
            return None
        leader_epoch = LeaderEpoch(state.leader_epoch + 1)
    if (leader, leader_epoch, isr) == (state.leader, state.leader_epoch, state.isr):
        return None
    return PartitionState(leader, leader_epoch, isr, controller_epoch, state.version)
