"""What REST Proxy tells of topics and partitions, from the broker's picture of the cluster."""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from kafkalite.api.rest import topics_paths as paths
from kafkalite.api.rest.errors import (
    NOT_FOUND,
    PARTITION_NOT_FOUND,
    TOPIC_DETAILS_NOT_FOUND,
    TOPIC_NOT_FOUND,
    RestAnswer,
    RestError,
)
from kafkalite.api.rest.topics_paths import TopicsPath
from kafkalite.broker.metadata_view import MetadataView
from kafkalite.broker.offset_lookup import OffsetLookup
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.model.cluster import Topic
from kafkalite.model.errors import LogError
from kafkalite.model.ids import NO_LEADER, TopicPartition
from kafkalite.model.internal_topics import INTERNAL_TOPICS

_encode: Final = msgspec.json.Encoder().encode


class RestMetadata:
    """Answers about topics, partitions and brokers. Lives on the loop; holds nothing of a request.

    Any broker answers; only a partition's offsets are asked for at its leader.
    """

    def __init__(
        self,
        view: MetadataView,
        partitions: PartitionTable,
        offset_lookup: OffsetLookup,
        configs_of: Callable[[Topic], Mapping[str, str | None]],
    ) -> None:
        """Assign only; `configs_of` gives all settings of a topic as they are in force."""
        self._view = view
        self._partitions = partitions
        self._offset_lookup = offset_lookup
        self._configs_of = configs_of

    async def get(self, path: TopicsPath) -> RestAnswer:
        """The answer to GET of a path.

        Raises:
            RestError: 404, there is no such topic or partition.
            LogError: the partition's leader does not say where it stands.
        """
        match path.operation:
            case paths.TOPICS:
                document: object = sorted(self._view.topics.keys() - INTERNAL_TOPICS)
            case paths.BROKERS:
                document = {"brokers": sorted(self._view.brokers)}
            case paths.TOPIC:
                document = self._describe(path.topic)
            case paths.PARTITIONS:
                document = self._describe_partitions(self._topic(path.topic))
            case paths.PARTITION:
                document = self._describe_partition(*self.partition_of(path))
            case paths.OFFSETS:
                document = await self._offsets(*self.partition_of(path))
            case _:
                raise RestError(NOT_FOUND, "HTTP 404 Not Found")
        return RestAnswer(200, _encode(document))

    def partition_of(self, path: TopicsPath) -> tuple[Topic, int]:
        """The topic and partition that a path names.

        Raises:
            RestError: 404, there is no such topic or partition.
        """
        topic = self._topic(path.topic)
        number = path.partition
        if number is None or number not in topic.assignment:
            raise RestError(PARTITION_NOT_FOUND, f"Partition {number} not found")
        return topic, number

    def _topic(self, name: str, code: int = TOPIC_NOT_FOUND) -> Topic:
        topic = self._view.topics.get(name)
        if topic is None:
            raise RestError(code, f"Topic {name} not found")
        return topic

    def _describe(self, name: str) -> dict[str, Any]:
        topic = self._topic(name, TOPIC_DETAILS_NOT_FOUND)
        return {
            "name": name,
            "configs": self._configs_of(topic),
            "partitions": self._describe_partitions(topic),
        }

    def _describe_partitions(self, topic: Topic) -> list[dict[str, Any]]:
        return [self._describe_partition(topic, number) for number in sorted(topic.assignment)]

    def _describe_partition(self, topic: Topic, number: int) -> dict[str, Any]:
        state = self._view.states.get(TopicPartition(topic.name, number))
        leader, in_sync = (NO_LEADER, ()) if state is None else (state.leader, tuple(state.isr))
        return {
            "partition": number,
            "leader": leader,
            "replicas": [
                {"broker": broker, "leader": broker == leader, "in_sync": broker in in_sync}
                for broker in topic.assignment[number]
            ],
        }

    async def _offsets(self, topic: Topic, number: int) -> dict[str, int]:
        wanted = TopicPartition(topic.name, number)
        with contextlib.suppress(LogError):  # where it lives elsewhere its leader is asked
            await self._partitions.get_opened(*wanted)
        found = (await self._offset_lookup.readable([wanted]))[wanted]
        if isinstance(found, LogError):
            raise found
        return {"beginning_offset": found.start, "end_offset": found.end}
