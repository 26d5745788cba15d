"""Topics created, altered and deleted as REST Proxy's version 3 has it."""

from typing import Final

import msgspec

from kafkalite.api.rest.errors import BAD_TOPIC_REQUEST, RestAnswer, RestError
from kafkalite.api.v3 import paths
from kafkalite.api.v3.bodies import (
    AlterConfigsBody,
    AlterTopicBody,
    CreateTopicBody,
    UpdateConfigBody,
    decode_body,
)
from kafkalite.api.v3.errors import BAD_PAYLOAD, MEDIA
from kafkalite.api.v3.links import Links
from kafkalite.api.v3.metadata import V3Metadata
from kafkalite.api.v3.paths import V3Path
from kafkalite.api.v3.resources import topic_of
from kafkalite.broker.control.topic_admin import TopicAdmin
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.config.topic_config import check_topic_config
from kafkalite.model.cluster import Topic
from kafkalite.model.errors import InvalidTopicError

_TIMEOUT_MS: Final = 30_000
_NO_CONTENT: Final = RestAnswer(204)
_encode: Final = msgspec.json.Encoder().encode


class V3TopicAdmin:
    """Changes topics, and waits until this broker sees it. Holds nothing of a request."""

    def __init__(
        self, topics: TopicAdmin, partitions: PartitionTable, metadata: V3Metadata
    ) -> None:
        """Assign only."""
        self._topics = topics
        self._partitions = partitions
        self._metadata = metadata

    async def change(self, method: str, path: V3Path, links: Links, body: bytes) -> RestAnswer:
        """Do what a request asks for, whose method is none that only reads.

        Raises:
            RestError, LogError: it is refused, or nobody knows yet what becomes of it.
        """
        if path.operation == paths.TOPICS:
            return await self._create(links, decode_body(body, CreateTopicBody))
        topic = self._metadata.topic(path)
        match method, path.operation:
            case "PATCH", _:
                return await self._grow(links, topic, decode_body(body, AlterTopicBody))
            case "DELETE", paths.TOPIC:
                await self._topics.delete_topic(topic.name, timeout_ms=_TIMEOUT_MS)
                return _NO_CONTENT
            case "POST", _:
                return await self._alter_configs(topic, decode_body(body, AlterConfigsBody))
        name = self._metadata.config(topic, path.names["name"]).name
        value = decode_body(body, UpdateConfigBody).text if method == "PUT" else None
        await self._topics.alter_topic_config(topic.name, {name: value})
        return _NO_CONTENT

    async def _create(self, links: Links, wanted: CreateTopicBody) -> RestAnswer:
        config = {}
        for entry in wanted.configs or ():
            if entry.text is None:
                raise _no_value(entry.name)
            config[entry.name] = entry.text
        is_dry = bool(wanted.validate_only)
        try:
            topic = await self._topics.create_topic(
                wanted.topic_name,
                wanted.partitions_count,
                wanted.replication_factor,
                wanted.assignment,
                config,
                timeout_ms=_TIMEOUT_MS,
                validate_only=is_dry,
            )
        except InvalidTopicError as error:
            raise RestError(
                BAD_PAYLOAD, f"Payload error. Invalid topic name. {error.detail}"
            ) from error
        document = topic_of(links, topic)
        if is_dry:
            return RestAnswer(200, _encode(document), MEDIA)
        await self._partitions.wait_until_settled(_TIMEOUT_MS / 1000)
        location = (b"location", document["metadata"]["self"].encode("latin-1"))
        return RestAnswer(201, _encode(document), MEDIA, [location])

    async def _grow(self, links: Links, topic: Topic, wanted: AlterTopicBody) -> RestAnswer:
        grown = await self._topics.create_partitions(
            topic.name, wanted.partitions_count, timeout_ms=_TIMEOUT_MS
        )
        await self._partitions.wait_until_settled(_TIMEOUT_MS / 1000)
        return RestAnswer(200, _encode(topic_of(links, grown)), MEDIA)

    async def _alter_configs(self, topic: Topic, wanted: AlterConfigsBody) -> RestAnswer:
        changes: dict[str, str | None] = {}
        for entry in wanted.data:
            if entry.operation == "DELETE":
                changes[entry.name] = None
            elif entry.text is None:
                raise _no_value(entry.name)
            else:
                changes[entry.name] = entry.text
        self._metadata.check_configs(topic, changes)
        if wanted.validate_only:
            check_topic_config({name: text for name, text in changes.items() if text is not None})
        else:
            await self._topics.alter_topic_config(topic.name, changes)
        return _NO_CONTENT


def _no_value(name: str) -> RestError:
    return RestError(BAD_TOPIC_REQUEST, f"Null value not supported for topic configs: {name}")
