"""What REST Proxy's version 3 tells of the cluster, its brokers and its topics."""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from urllib.parse import parse_qs

from kafkalite.api.rest.errors import (
    BAD_REQUEST,
    NOT_FOUND,
    PARTITION_NOT_FOUND,
    RestError,
)
from kafkalite.api.v3 import paths
from kafkalite.api.v3.errors import TOPIC_NOT_FOUND
from kafkalite.api.v3.links import Document, Links
from kafkalite.api.v3.paths import V3Path
from kafkalite.api.v3.resources import (
    broker_of,
    cluster_of,
    config_of,
    partition_of,
    partition_with_offsets_of,
    replica_of,
    topic_of,
)
from kafkalite.broker.metadata_view import MetadataView
from kafkalite.broker.offset_lookup import OffsetLookup
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.config.broker_config import ConfigEntry
from kafkalite.config.kafka_keys import topic_refusal
from kafkalite.config.names import nearest
from kafkalite.model.cluster import Broker, PartitionState, Topic
from kafkalite.model.errors import LogError
from kafkalite.model.ids import BrokerId, TopicPartition
from kafkalite.model.offsets import OffsetRange


class V3Metadata:
    """Answers from the broker's picture of the cluster. Lives on the loop.

    Any broker answers; only a partition's offsets are asked for at its leader.
    """

    def __init__(
        self,
        view: MetadataView,
        partitions: PartitionTable,
        offset_lookup: OffsetLookup,
        configs_of: Callable[[Topic], Sequence[ConfigEntry]],
    ) -> None:
        """Assign only; `configs_of` gives all settings of a topic as they are in force."""
        self._view = view
        self._partitions = partitions
        self._offset_lookup = offset_lookup
        self._configs_of = configs_of

    async def get(self, path: V3Path, links: Links, raw_query: bytes) -> Document:
        """The document of a path that has nothing to do with groups.

        Raises:
            RestError: 404, there is no such thing.
            LogError: a partition's leader does not say where it stands.
        """
        if "topic_name" not in path.names:
            return self._get_above_topics(path, links)
        topic = self.topic(path)
        if "partition_id" in path.names:
            return await self._get_partition(path, links, topic, raw_query)
        match path.operation:
            case paths.CONFIGS:
                found = [config_of(links, topic, entry) for entry in self._configs_of(topic)]
                where = ("topics", topic.name, "configs")
                document = links.listing("KafkaTopicConfig", where, found)
            case paths.CONFIG:
                document = config_of(links, topic, self.config(topic, path.names["name"]))
            case paths.PARTITIONS:
                found = [self._partition(links, topic, each) for each in sorted(topic.assignment)]
                where = ("topics", topic.name, "partitions")
                document = links.listing("KafkaPartition", where, found)
            case _:
                document = topic_of(links, topic)
        return document

    def _get_above_topics(self, path: V3Path, links: Links) -> Document:
        brokers, topics = self._view.brokers, self._view.topics
        match path.operation:
            case paths.CLUSTERS:
                document = links.clusters([cluster_of(links, self._view.controller)])
            case paths.BROKERS:
                found = [broker_of(links, brokers[each]) for each in sorted(brokers)]
                document = links.listing("KafkaBroker", ("brokers",), found)
            case paths.BROKER:
                document = broker_of(links, self._broker(path))
            case paths.BROKER_REPLICAS:
                document = self._replicas_of_broker(links, self._broker(path).id)
            case paths.TOPICS:
                found = [topic_of(links, topics[name]) for name in sorted(topics)]
                document = links.listing("KafkaTopic", ("topics",), found)
            case _:
                document = cluster_of(links, self._view.controller)
        return document

    def topic(self, path: V3Path) -> Topic:
        """The topic that a path names.

        Raises:
            RestError: 404, there is none.
        """
        topic = self._view.topics.get(path.names["topic_name"])
        if topic is None:
            raise RestError(TOPIC_NOT_FOUND, "This server does not host this topic-partition.")
        return topic

    def config(self, topic: Topic, name: str) -> ConfigEntry:
        """A setting of a topic.

        Raises:
            RestError: 404, topics have none of that name.
        """
        known = {entry.name: entry for entry in self._configs_of(topic)}
        if name not in known:
            raise _no_config(topic, name, known)
        return known[name]

    def check_configs(self, topic: Topic, names: Iterable[str]) -> None:
        """Refuse names of settings that topics do not have.

        Raises:
            RestError: 404, for the first of them.
        """
        known = {entry.name for entry in self._configs_of(topic)}
        for name in names:
            if name not in known:
                raise _no_config(topic, name, known)

    async def _get_partition(
        self, path: V3Path, links: Links, topic: Topic, raw_query: bytes
    ) -> Document:
        number = path.number("partition_id")
        if number is None:
            raise RestError(NOT_FOUND, "HTTP 404 Not Found")
        if number not in topic.assignment:
            raise RestError(PARTITION_NOT_FOUND, f"Partition {number} not found.")
        state = self._state(topic, number)
        match path.operation:
            case paths.PARTITION:
                return self._partition(links, topic, number)
            case paths.OFFSET:
                _check_offset_type(raw_query)
                readable = self._readable(TopicPartition(topic.name, number))
                return partition_with_offsets_of(
                    self._partition(links, topic, number), await readable
                )
            case paths.REPLICAS:
                found = [
                    replica_of(links, topic, number, each, state)
                    for each in topic.assignment[number]
                ]
                where = ("topics", topic.name, "partitions", number, "replicas")
                return links.listing("KafkaReplica", where, found)
        broker = path.number("broker_id")
        if broker is None or BrokerId(broker) not in topic.assignment[number]:
            raise RestError(NOT_FOUND, f"Replica {path.names['broker_id']} cannot be found.")
        return replica_of(links, topic, number, BrokerId(broker), state)

    def _partition(self, links: Links, topic: Topic, number: int) -> Document:
        return partition_of(links, topic, number, self._state(topic, number))

    def _state(self, topic: Topic, number: int) -> PartitionState | None:
        return self._view.states.get(TopicPartition(topic.name, number))

    def _broker(self, path: V3Path) -> Broker:
        number = path.number("broker_id")
        broker = None if number is None else self._view.brokers.get(BrokerId(number))
        if broker is None:
            raise RestError(NOT_FOUND, f"Broker {path.names['broker_id']} cannot be found.")
        return broker

    def _replicas_of_broker(self, links: Links, broker: BrokerId) -> Document:
        found = [
            replica_of(links, topic, number, broker, self._state(topic, number))
            for _, topic in sorted(self._view.topics.items())
            for number in sorted(topic.assignment)
            if broker in topic.assignment[number]
        ]
        return links.listing("KafkaReplica", ("brokers", broker, "partition-replicas"), found)

    async def _readable(self, wanted: TopicPartition) -> OffsetRange:
        with contextlib.suppress(LogError):  # where it lives elsewhere its leader is asked
            await self._partitions.get_opened(*wanted)
        found = (await self._offset_lookup.readable([wanted]))[wanted]
        if isinstance(found, LogError):
            raise found
        return found


def _no_config(topic: Topic, name: str, known: Iterable[str]) -> RestError:
    refusal = topic_refusal(name)
    why = nearest(name, known) if refusal is None else f": it {refusal}"
    return RestError(NOT_FOUND, f"Config {name} cannot be found for topic {topic.name}{why}.")


def _check_offset_type(raw_query: bytes) -> None:
    wanted = parse_qs(raw_query.decode("latin-1")).get("offset_type", ["earliest_and_latest"])
    if wanted != ["earliest_and_latest"]:
        raise RestError(BAD_REQUEST, "Bad Request: offset_type can only be earliest_and_latest")
