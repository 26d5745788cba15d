"""Bodies of `POST /v1/metadata`, in JSON: who leads what, for clients that go there themselves.

One request for any number of topics, and no more of each than it takes to send to the right broker.
"""

import msgspec

from kafkalite.model.ids import NO_EPOCH, NO_LEADER


class BrokerPlace(msgspec.Struct, frozen=True):
    """A live broker, and where it is."""

    id: int
    host: str
    port: int
    url: str
    rack: str | None = None


class PartitionLeader(msgspec.Struct, frozen=True):
    """Who leads a partition; they come in the order of their numbers, from 0."""

    leader: int = NO_LEADER
    """-1 while there is none."""
    leader_epoch: int = NO_EPOCH


class TopicLeaders(msgspec.Struct, frozen=True):
    """The leaders of a topic's partitions, or why they are not known."""

    name: str
    topic_id: str = ""
    error_code: int = 0
    error: str = ""
    message: str = ""
    partitions: list[PartitionLeader] = []


class MetadataResponse(msgspec.Struct, frozen=True):
    """The live brokers, and the topics that were asked for, in the order in which they were."""

    cluster_id: str
    controller: int
    """-1 while there is none."""
    brokers: list[BrokerPlace]
    topics: list[TopicLeaders]
