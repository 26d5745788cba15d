"""How fast partitions may move: settings that reassignments set while they go on.

The rate is a setting of each broker that takes part; which replicas it holds for, one of topics.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from kafkalite.cli.administration import Administration
from kafkalite.model.errors import PathNotFoundError, UnknownTopicOrPartitionError
from kafkalite.model.ids import TopicPartition

_RATES: Final = ("leader.replication.throttled.rate", "follower.replication.throttled.rate")
_LEADERS: Final = "leader.replication.throttled.replicas"
_FOLLOWERS: Final = "follower.replication.throttled.replicas"


class Copying(NamedTuple):
    """Which brokers a partition is copied from, and to which it is."""

    sources: frozenset[int]
    destinations: frozenset[int]


def set_throttle(admin: Administration, copying: dict[TopicPartition, Copying], rate: int) -> None:
    """Limit what moving these partitions sends and takes to `rate` bytes a second and broker."""
    for topic in sorted({partition.topic for partition in copying}):
        own = {found: each for found, each in copying.items() if found.topic == topic}
        admin.alter_topic_config(
            topic,
            {
                _LEADERS: _listed((p.partition, b) for p, c in own.items() for b in c.sources),
                _FOLLOWERS: _listed(
                    (p.partition, b) for p, c in own.items() for b in c.destinations
                ),
            },
        )
    live = {broker.id for broker in admin.describe_cluster().brokers}
    brokers = {broker for each in copying.values() for broker in each.sources | each.destinations}
    for broker in sorted(brokers & live):
        admin.alter_broker_config(dict.fromkeys(_RATES, str(rate)), broker)


def clear_throttle(admin: Administration, topics: Iterable[str]) -> None:
    """Take the limits away, of all brokers: nobody has noted which took part; and say so."""
    brokers = sorted(broker.id for broker in admin.describe_cluster().brokers)
    print(
        f"Clearing broker-level throttles on broker{'' if len(brokers) == 1 else 's'} "
        f"{','.join(map(str, brokers))}"
    )
    for broker in brokers:
        try:
            admin.alter_broker_config(dict.fromkeys(_RATES), broker)
        except PathNotFoundError:
            continue  # it has stopped since, and will be started without
    names = sorted(set(topics))
    print(
        f"Clearing topic-level throttles on topic{'' if len(names) == 1 else 's'} {','.join(names)}"
    )
    for name in names:
        try:
            admin.alter_topic_config(name, {_LEADERS: None, _FOLLOWERS: None})
        except UnknownTopicOrPartitionError:
            continue  # it was deleted


def _listed(replicas: Iterable[tuple[int, int]]) -> str | None:
    """`partition:broker,..`; None: there are none."""
    return ",".join(f"{partition}:{broker}" for partition, broker in sorted(replicas)) or None
