"""Which brokers hold which partition: Kafka's spreading rule, and the check of a manual one. Pure.

The rule, for brokers in a row and partition p: the first replica is on broker `start + p`, so that
leaders go round; the others follow at a distance that grows by one each time the leaders have gone
round, so that the followers of one leader are spread as well. With racks the row alternates between
racks, and a broker is passed over while another rack has no replica of the partition yet.
"""

from collections.abc import Mapping, Sequence

from kafkalite.model.errors import (
    InvalidPartitionsError,
    InvalidReplicaAssignmentError,
    InvalidReplicationFactorError,
)
from kafkalite.model.ids import BrokerId


def spread(
    brokers: Mapping[BrokerId, str | None],
    partition_count: int,
    replication_factor: int,
    *,
    start: int,
    shift: int,
    first_partition: int = 0,
) -> dict[int, tuple[BrokerId, ...]]:
    """Assign partitions `first_partition .. first_partition + partition_count - 1`.

    Args:
        brokers: live broker -> its rack; racks count only where every broker has one.
        partition_count: how many to assign.
        replication_factor: replicas a partition.
        start: index of the first leader in the row of brokers; any number, taken modulo.
        shift: distance of the first follower; any number, taken modulo.
        first_partition: number of the first of them, when a topic grows.

    Raises:
        InvalidPartitionsError: fewer than one.
        InvalidReplicationFactorError: below 1, or above the number of brokers.
    """
    if partition_count < 1:
        raise InvalidPartitionsError("The partitions must be greater than 0")
    if replication_factor < 1:
        raise InvalidReplicationFactorError("The replication factor must be greater than 0")
    if replication_factor > len(brokers):
        raise InvalidReplicationFactorError(
            f"Replication factor: {replication_factor} larger than available brokers: "
            f"{len(brokers)}."
        )
    racks = {broker: rack for broker, rack in brokers.items() if rack is not None}
    if len(racks) < len(brokers):
        # Racks known of some brokers only say nothing: each broker is a rack of its own.
        racks = {broker: str(broker) for broker in brokers}
    row = alternate_racks(racks)
    return {
        number: _replicas(
            row, racks, replication_factor, number + start, shift + number // len(row)
        )
        for number in range(first_partition, first_partition + partition_count)
    }


def alternate_racks(racks: Mapping[BrokerId, str]) -> list[BrokerId]:
    """The brokers in a row in which neighbours are in different racks as far as possible."""
    by_rack: dict[str, list[BrokerId]] = {}
    for broker in sorted(racks):
        by_rack.setdefault(racks[broker], []).append(broker)
    if len(by_rack) == len(racks):
        return sorted(racks)
    queues = [by_rack[rack] for rack in sorted(by_rack)]
    longest = max(map(len, queues), default=0)
    return [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]


def _replicas(
    row: Sequence[BrokerId],
    racks: Mapping[BrokerId, str],
    replication_factor: int,
    first: int,
    shift: int,
) -> tuple[BrokerId, ...]:
    rack_count = len(set(racks.values()))
    chosen = [row[first % len(row)]]
    used_racks = {racks[chosen[0]]}
    if rack_count < len(row):
        shift *= rack_count  # a step that stays in the alternation of the racks
    step = 0
    while len(chosen) < replication_factor:
        distance = 1 + (shift + step) % (len(row) - 1)
        candidate = row[(first + distance) % len(row)]
        step += 1
        rack_is_due = racks[candidate] not in used_racks or len(used_racks) == rack_count
        if candidate not in chosen and rack_is_due:
            chosen.append(candidate)
            used_racks.add(racks[candidate])
    return tuple(chosen)


def check_assignment(
    assignment: Mapping[int, Sequence[int]],
    live: Mapping[BrokerId, object],
    first_partition: int = 0,
) -> dict[int, tuple[BrokerId, ...]]:
    """Check an assignment that somebody wrote by hand; gives it with ids as BrokerId.

    Args:
        assignment: partition -> replicas, preferred leader first.
        live: the live brokers.
        first_partition: what the lowest partition has to be, when a topic grows.

    Raises:
        InvalidReplicaAssignmentError: it names a partition twice or leaves one out, a broker twice
            or one that does not live, or its partitions have different factors.
    """
    if sorted(assignment) != list(range(first_partition, first_partition + len(assignment))):
        raise InvalidReplicaAssignmentError(
            f"Partitions should be consecutive from {first_partition} on, "
            f"not {_listed(sorted(assignment))}"
        )
    if not assignment:
        raise InvalidReplicaAssignmentError("The replica assignment is empty")
    factor = len(assignment[first_partition])
    for number, replicas in sorted(assignment.items()):
        if not replicas:
            raise InvalidReplicaAssignmentError(f"No replica is assigned to partition id {number}.")
        if len(set(replicas)) != len(replicas):
            raise InvalidReplicaAssignmentError(
                f"Duplicate brokers not allowed in replica assignment: {_listed(replicas)} "
                f"for partition id {number}."
            )
        unknown = sorted(set(replicas) - set(live))
        if unknown:
            raise InvalidReplicaAssignmentError(
                f"Unknown broker(s) in replica assignment: {_listed(unknown)}."
            )
        if len(replicas) != factor:
            raise InvalidReplicaAssignmentError(
                f"Inconsistent replication factor between partitions: partition "
                f"{first_partition} has {factor}, partition {number} has {len(replicas)}."
            )
    return {
        number: tuple(BrokerId(replica) for replica in replicas)
        for number, replicas in sorted(assignment.items())
    }


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
