"""How the replicas do that a broker leads and follows, and on the controller those of all."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple, Self

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from kafkalite.broker.cluster_health import ClusterHealth, assess
from kafkalite.broker.metadata_view import MetadataView
from kafkalite.broker.partition import Partition
from kafkalite.broker.probes import ReplicationProbe
from kafkalite.config.keys import BrokerSettings
from kafkalite.config.topic_config import topic_settings
from kafkalite.model.cluster import Broker, PartitionState, Topic
from kafkalite.model.ids import NO_LEADER, BrokerId, TopicPartition

_COUNTERS: Final[tuple[tuple[str, str, Callable[[ReplicationProbe], float]], ...]] = (
    ("isr_shrinks", "In-sync replicas that became fewer.", lambda probe: probe.isr_shrinks),
    ("isr_expands", "In-sync replicas that became more.", lambda probe: probe.isr_expands),
    ("replica_bytes_out", "Bytes given to followers.", lambda probe: probe.follower_bytes),
    ("replica_fetches_out", "Fetches of followers answered.", lambda p: p.follower_fetches),
    ("replica_sessions", "Fetch sessions that followers began.", lambda p: p.sessions_begun),
    ("replica_bytes_in", "Bytes taken from leaders.", lambda probe: probe.leader_bytes),
    ("replica_fetches_in", "Fetches that leaders answered.", lambda p: p.leader_fetches),
    ("replica_fetch_errors", "Fetches from leaders that failed.", lambda p: p.leader_errors),
)
"""Metric, meaning, where the number is kept."""

_OF_THE_CLUSTER: Final[tuple[tuple[str, str, Callable[[ClusterHealth], float]], ...]] = (
    ("partitions", "Partitions in the cluster.", lambda all_: all_.partitions),
    ("offline_partitions", "Of them, without a leader.", lambda all_: len(all_.offline)),
    (
        "under_replicated_partitions",
        "Of them, with too few in sync.",
        lambda all_: len(all_.under_replicated),
    ),
    (
        "under_min_isr_partitions",
        "Of them, refusing acks=all.",
        lambda all_: len(all_.under_min_isr),
    ),
    ("reassigning_partitions", "Of them, on the move.", lambda all_: all_.moving),
)


def replication_families(
    held: Iterable[Partition], view: MetadataView, probe: ReplicationProbe
) -> Iterator[Metric]:
    """The metrics of the partitions in `held`."""
    for name, meaning, value in _COUNTERS:
        yield CounterMetricFamily(f"kafkalite_{name}", meaning, value=value(probe))
    counts: Counter[str] = Counter()
    lags: dict[BrokerId, int] = {}
    for partition in held:
        if partition.is_leader:
            _count_led(partition, view, counts)
            _note_lags(partition, lags)
        elif partition.state is not None and partition.state.leader == NO_LEADER:
            counts["offline"] += 1
    for name, meaning in (
        ("offline", "Partitions with a log here and no leader."),
        ("under_replicated", "Partitions led here with too few replicas in sync."),
        ("under_min_isr", "Of those led here, refusing acks=all."),
        ("at_min_isr", "Of those led here, one more failure from that."),
        ("reassigning", "Of those led here, on the move."),
    ):
        yield GaugeMetricFamily(f"kafkalite_{name}_partitions", meaning, value=counts[name])
    yield GaugeMetricFamily(
        "kafkalite_max_follower_lag",
        "Records that the follower furthest behind lacks of a partition.",
        value=max(lags.values(), default=0),
    )
    each = GaugeMetricFamily(
        "kafkalite_follower_lag", "The same of each follower.", labels=["follower"]
    )
    for follower in sorted(lags):
        each.add_metric([str(follower)], lags[follower])
    yield each


def _count_led(partition: Partition, view: MetadataView, counts: Counter[str]) -> None:
    name, number = partition.topic_partition
    in_sync, least = len(partition.isr), partition.settings.min_insync_replicas
    topic = view.topics.get(name)
    added = () if topic is None else topic.adding.get(number, ())
    # Who is only on the way to become a replica is not missed yet.
    counts["under_replicated"] += in_sync < len(partition.replicas) - len(added)
    counts["under_min_isr"] += in_sync < least
    counts["at_min_isr"] += in_sync == least
    counts["reassigning"] += topic is not None and (
        number in topic.adding or number in topic.removing
    )


def _note_lags(partition: Partition, lags: dict[BrokerId, int]) -> None:
    leading = partition.leading
    if leading is None:
        return
    start, _, end = partition.offsets
    for follower in partition.replicas:
        progress = leading.progress(follower)
        if progress is not None:
            lag = max(end - max(progress.end_offset, start), 0)
            lags[follower] = max(lag, lags.get(follower, 0))


class ClusterThen(NamedTuple):
    """The cluster as it was at a moment, for another thread to look at."""

    brokers: Mapping[BrokerId, Broker]
    topics: Mapping[str, Topic]
    states: Mapping[TopicPartition, PartitionState]

    @classmethod
    def of(cls, view: MetadataView) -> Self:
        """As it is now."""
        return cls(dict(view.brokers), dict(view.topics), dict(view.states))


def cluster_families(cluster: ClusterThen, settings: BrokerSettings) -> Iterator[Metric]:
    """The metrics of all partitions there are; thousands take a while: not for the loop."""
    health = assess(
        cluster, lambda topic: topic_settings(settings, topic.config).min_insync_replicas
    )
    for name, meaning, value in _OF_THE_CLUSTER:
        yield GaugeMetricFamily(f"kafkalite_cluster_{name}", meaning, value=value(health))
