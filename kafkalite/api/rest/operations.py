"""What a broker does for the consumer instances that it serves, one method for each path."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple

import msgspec

from kafkalite.api.rest.base_uri import instance_url
from kafkalite.api.rest.consumer_bodies import (
    ConsumerDefaults,
    parse_commit,
    parse_create,
    parse_partitions,
    parse_positions,
    parse_subscription,
)
from kafkalite.api.rest.errors import (
    PARTITION_NOT_FOUND,
    TOPIC_NOT_FOUND,
    RestAnswer,
    RestError,
    refusal,
)
from kafkalite.api.rest.media import check_accepts_records, records_type
from kafkalite.api.rest.paths import CREATE, INSTANCE, ConsumersPath
from kafkalite.api.rest.query import parse_partitions_query, parse_records_query
from kafkalite.api.rest.replying import joined
from kafkalite.broker.consumers.errors import ConsumerError
from kafkalite.broker.consumers.instance import ConsumerInstance
from kafkalite.broker.consumers.instances import ConsumerInstances
from kafkalite.broker.consumers.messenger import Messenger
from kafkalite.broker.metadata_view import MetadataView
from kafkalite.broker.ports import StoreError
from kafkalite.model.errors import LogError, NotCoordinatorError
from kafkalite.model.group_name import check_group_id
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.rest_records import PoisonRecordError

MAX_TIMEOUT_MS: Final = 30_000
"""The longest that a request for records waits."""
_TRANSFORMED: Final = (RestError, LogError, ConsumerError, PoisonRecordError, StoreError)
_NO_CONTENT: Final = RestAnswer(204)


class ConsumerRequest(NamedTuple):
    """A request for consumers, read whole."""

    method: str
    path: ConsumersPath
    query: bytes
    accept: str
    body: bytes
    group_url: str
    """By which the client finds its group."""
    messenger: Messenger | None = None
    """The broker that sent it on."""
    is_again: bool = False
    """Whether it is sent on again, because the answer was lost."""


class ConsumerOptions(NamedTuple):
    """What the operator says about consumers over HTTP."""

    defaults: ConsumerDefaults
    request_timeout_ms: int
    """How long a request for records waits where neither it nor its instance says."""
    may_take_over: bool
    """Whether a name may be taken over by whoever creates the same again."""


_Serve = Callable[[ConsumerInstance, ConsumerRequest], Awaitable[RestAnswer]]


class ConsumerOperations:
    """Serves requests here, whoever coordinates the group. Lives on the loop; keeps nothing."""

    def __init__(
        self,
        instances: ConsumerInstances,
        view: MetadataView,
        options: Callable[[], ConsumerOptions],
    ) -> None:
        self._instances = instances
        self._view = view
        self._options = options
        self._served: Mapping[tuple[str, str], _Serve] = {
            ("POST", "subscription"): self._subscribe,
            ("GET", "subscription"): self._subscription,
            ("DELETE", "subscription"): self._unsubscribe,
            ("POST", "assignments"): self._assign,
            ("GET", "assignments"): self._assignments,
            ("POST", "positions"): self._seek,
            ("POST", "positions/beginning"): self._seek_to_beginning,
            ("POST", "positions/end"): self._seek_to_end,
            ("GET", "records"): self._records,
            ("POST", "offsets"): self._commit,
            ("GET", "offsets"): self._offsets,
        }

    async def serve(self, request: ConsumerRequest) -> RestAnswer:
        """Answer a request.

        Raises:
            NotCoordinatorError: another broker serves the instance by now.
        """
        path = request.path
        try:
            check_group_id(path.group)
            if path.operation == CREATE:
                return await self._create(request)
            if path.operation == INSTANCE:
                await self._instances.delete(path.group, path.name)
                return _NO_CONTENT
            instance = await self._instances.find(path.group, path.name)
        except NotCoordinatorError:
            raise
        except _TRANSFORMED as error:
            return refusal(error)
        with instance.used():
            try:
                return await self._served[request.method, path.operation](instance, request)
            except NotCoordinatorError:
                raise
            except _TRANSFORMED as error:
                return refusal(error, instance.definition.dialect)

    async def _create(self, request: ConsumerRequest) -> RestAnswer:
        options = self._options()
        wanted = parse_create(request.body, options.defaults)
        name = await self._instances.create(
            request.path.group,
            wanted.name,
            wanted.definition,
            may_take_over=options.may_take_over,
        )
        return _json({"instance_id": name, "base_uri": instance_url(request.group_url, name)})

    # -- what is read ---------------------------------------------------------------------------

    async def _subscribe(self, instance: ConsumerInstance, request: ConsumerRequest) -> RestAnswer:
        wanted = parse_subscription(request.body)
        if wanted.topics or wanted.pattern is not None:
            await instance.subscribe(wanted.topics, wanted.pattern)
        else:
            await instance.unsubscribe()
        return _NO_CONTENT

    async def _subscription(self, instance: ConsumerInstance, _: ConsumerRequest) -> RestAnswer:
        topics: dict[str, list[int]] = {}
        for topic, number in instance.assignment.partitions:
            topics.setdefault(topic, []).append(number)
        named = sorted(topics) if instance.definition.pattern is not None or topics else []
        return _json(
            {
                "topics": list(instance.definition.topics) or named,
                "partitions": [{topic: numbers} for topic, numbers in topics.items()],
            }
        )

    async def _unsubscribe(self, instance: ConsumerInstance, _: ConsumerRequest) -> RestAnswer:
        await instance.unsubscribe()
        return _NO_CONTENT

    async def _assign(self, instance: ConsumerInstance, request: ConsumerRequest) -> RestAnswer:
        await instance.assign(parse_partitions(request.body))
        return _NO_CONTENT

    async def _assignments(self, instance: ConsumerInstance, _: ConsumerRequest) -> RestAnswer:
        return _json({"partitions": [each._asdict() for each in instance.assignment.partitions]})

    # -- positions ------------------------------------------------------------------------------

    async def _seek(self, instance: ConsumerInstance, request: ConsumerRequest) -> RestAnswer:
        wanted = parse_positions(request.body)
        instance.assignment.check([*wanted.offsets, *wanted.times])
        moments: dict[int, list[TopicPartition]] = {}
        for partition, time_ms in wanted.times.items():
            moments.setdefault(time_ms, []).append(partition)
        for time_ms, partitions in moments.items():
            await instance.assignment.seek_to_time(partitions, time_ms)
        instance.assignment.seek(wanted.offsets)
        return _NO_CONTENT

    async def _seek_to_beginning(
        self, instance: ConsumerInstance, request: ConsumerRequest
    ) -> RestAnswer:
        await instance.assignment.seek_to_beginning(parse_partitions(request.body))
        return _NO_CONTENT

    async def _seek_to_end(
        self, instance: ConsumerInstance, request: ConsumerRequest
    ) -> RestAnswer:
        await instance.assignment.seek_to_end(parse_partitions(request.body))
        return _NO_CONTENT

    # -- records --------------------------------------------------------------------------------

    async def _records(self, instance: ConsumerInstance, request: ConsumerRequest) -> RestAnswer:
        wanted = instance.definition.format
        check_accepts_records(request.accept, wanted)
        query = parse_records_query(request.query)
        timeout_ms = query.timeout_ms
        if timeout_ms is None:
            timeout_ms = instance.definition.request_timeout_ms
        if timeout_ms is None:
            timeout_ms = self._options().request_timeout_ms
        rows = await instance.poll(min(timeout_ms, MAX_TIMEOUT_MS), query.max_bytes, query.on_error)
        return RestAnswer(200, b"[%b]" % await joined(rows), records_type(wanted))

    # -- offsets --------------------------------------------------------------------------------

    async def _commit(self, instance: ConsumerInstance, request: ConsumerRequest) -> RestAnswer:
        dialect = instance.definition.dialect
        offsets = parse_commit(request.body, dialect)
        if offsets is None:
            await instance.commit_delivered()
        else:
            for partition in offsets:
                self._check_exists(partition)
            await instance.commit(offsets)
        return _json([]) if dialect == "confluent" else _NO_CONTENT

    async def _offsets(self, instance: ConsumerInstance, request: ConsumerRequest) -> RestAnswer:
        if request.body.strip():
            partitions = parse_partitions(request.body)
        else:
            asked = parse_partitions_query(request.query)
            partitions = instance.assignment.partitions if asked is None else asked
        found = await instance.committed(partitions)
        return _json(
            {
                "offsets": [
                    {**place._asdict(), "offset": kept.offset, "metadata": kept.metadata}
                    for place, kept in found.items()
                ]
            }
        )

    def _check_exists(self, partition: TopicPartition) -> None:
        topic = self._view.topics.get(partition.topic)
        if topic is None:
            raise RestError(TOPIC_NOT_FOUND, f"Topic {partition.topic} not found")
        if partition.partition not in topic.assignment:
            raise RestError(PARTITION_NOT_FOUND, f"Partition {partition.partition} not found")


def _json(document: object) -> RestAnswer:
    return RestAnswer(200, msgspec.json.encode(document))
