"""Broker 0 of a cluster of three that leads partition 0 of `t`; broker n leads partition n."""

from collections.abc import Mapping

from kafkalite.broker.append import AppendPath
from kafkalite.broker.fetch import FetchPath
from kafkalite.broker.metadata_view import (
    ClusterPicture,
    ClusterUpdate,
    MetadataView,
    StateAt,
    TopicAt,
)
from kafkalite.broker.probes import DataProbe
from kafkalite.broker.replication.leadership_proof import LeadershipProof
from kafkalite.model.cluster import Topic
from kafkalite.model.ids import BrokerId, TopicId, TopicPartition
from tests.support.fake_metadata import fake_brokers
from tests.support.forwarding import forwarding, up_to_date
from tests.support.leading_peers import LeadingPeers
from tests.support.partitions import Logs, OpenPartitions, led_by

PARTITIONS = 4
"""The last of them has no leader."""
PATIENCE_MS = 150


class SendingOn:
    """The paths of broker 0, and what a test may do to the cluster."""

    def __init__(
        self,
        logs: Logs,
        *,
        max_requests: int = 10,
        max_bytes: int = 64 << 20,
        patience_ms: int = PATIENCE_MS,
    ) -> None:
        self.peers = LeadingPeers()
        self.refused: list[int] = []
        self.view = MetadataView()
        replicas = tuple(BrokerId(each) for each in range(3))
        assignment: Mapping[int, tuple[BrokerId, ...]] = dict.fromkeys(range(PARTITIONS), replicas)
        topic = Topic("t", TopicId("AAAAAAAAAAAAAAAAAAAAAA"), assignment)
        self.view.replace(
            ClusterPicture(
                "cluster",
                brokers={broker.id: broker for broker in fake_brokers(range(3))},
                topics={"t": TopicAt(topic, 1)},
            )
        )
        self.partitions = [logs.partition(number) for number in range(PARTITIONS)]
        self._revision = 10
        for number, leader in enumerate((0, 1, 2, -1)):
            self.elect(number, leader, epoch=0)
        self.forwarding = forwarding(
            self.view,
            self.peers,
            on_refused=lambda broker: self.refused.append(broker.id),
            max_requests=max_requests,
            max_bytes=max_bytes,
            patience_ms=patience_ms,
        )
        table, self.probe = OpenPartitions(*self.partitions).table(), DataProbe()
        self.append_path = AppendPath(table, self.forwarding, self.probe)
        self.fetch_path = FetchPath(
            table,
            self.forwarding,
            LeadershipProof(up_to_date, logs.clock),
            logs.clock,
            self.probe,
            max_bytes=1 << 22,
            max_wait_ms=60_000,
        )

    def elect(self, number: int, leader: int, *, epoch: int) -> None:
        """Let everybody know of a new leader."""
        self._revision += 1
        state = led_by(leader, epoch=epoch, isr=(max(leader, 0),))
        place = TopicPartition("t", number)
        self.partitions[number].apply(state, tuple(BrokerId(each) for each in range(3)))
        self.view.apply(ClusterUpdate(states={place: StateAt(state, self._revision)}))
