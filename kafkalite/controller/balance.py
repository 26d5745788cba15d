"""Whether leaders are where they are meant to be. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from kafkalite.model.ids import BrokerId, TopicPartition


@dataclass(frozen=True, slots=True)
class Leadership:
    """Who leads a partition, and who should."""

    partition: TopicPartition
    leader: BrokerId
    preferred: BrokerId


def displaced(leaderships: Iterable[Leadership], percentage: int) -> list[TopicPartition]:
    """The partitions to move back, of brokers that miss too many of theirs.

    Args:
        leaderships: of all partitions.
        percentage: how many of the partitions that prefer a broker others may lead.
    """
    total: dict[BrokerId, int] = {}
    missed: dict[BrokerId, list[TopicPartition]] = {}
    for leadership in leaderships:
        preferred = leadership.preferred
        total[preferred] = total.get(preferred, 0) + 1
        if leadership.leader != preferred:
            missed.setdefault(preferred, []).append(leadership.partition)
    return [
        partition
        for broker, partitions in sorted(missed.items())
        if len(partitions) * 100 > percentage * total[broker]
        for partition in partitions
    ]
