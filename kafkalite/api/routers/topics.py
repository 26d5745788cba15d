"""Topics: list, create, describe, alter, delete."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Response

from kafkalite.api.answers import answer
from kafkalite.api.replies import replies
from kafkalite.api.schemas import AlterTopicBody, CreateTopicBody, TimeoutQuery
from kafkalite.api.serving import RunningBroker, TopicName, known_topic
from kafkalite.broker.metadata_view import MetadataView
from kafkalite.model.cluster import Topic
from kafkalite.model.errors import (
    InvalidConfigError,
    InvalidPartitionsError,
    InvalidReplicaAssignmentError,
    InvalidReplicationFactorError,
    InvalidTopicError,
    RequestTimedOutError,
    TopicAlreadyExistsError,
    TopicDeletionDisabledError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import NO_LEADER, TopicPartition
from kafkalite.wire.admin_messages import (
    PartitionDescription,
    TopicDescription,
    TopicList,
    TopicSummary,
)

router = APIRouter(prefix="/v1/topics", tags=["topics"])


@router.get("", summary="List topics", responses=replies(TopicList))
async def list_topics(broker: RunningBroker) -> Response:
    """All topics by name, with their own settings."""
    topics = broker.view.topics
    return answer(
        TopicList(
            [
                TopicSummary(
                    name=name,
                    topic_id=topics[name].topic_id,
                    partition_count=topics[name].partition_count,
                    replication_factor=topics[name].replication_factor,
                    config=topics[name].config,
                )
                for name in sorted(topics)
            ]
        )
    )


@router.post(
    "",
    summary="Create a topic",
    status_code=201,
    responses=replies(
        TopicDescription,
        InvalidTopicError,
        TopicAlreadyExistsError,
        InvalidPartitionsError,
        InvalidReplicationFactorError,
        InvalidReplicaAssignmentError,
        InvalidConfigError,
        RequestTimedOutError,
        status=201,
    ),
)
async def create_topic(broker: RunningBroker, body: CreateTopicBody) -> Response:
    """Create a topic and wait until this broker sees it.

    Answers 201 with the topic's description, or 200 with what it would be where `validate_only` is
    set.
    """
    topic = await broker.topics.create_topic(
        body.name,
        body.partitions,
        body.replication_factor,
        None if body.replica_assignment is None else dict(enumerate(body.replica_assignment)),
        body.config,
        timeout_ms=body.timeout_ms,
        validate_only=body.validate_only,
    )
    if body.validate_only:
        return answer(_describe(topic, broker.view))
    await broker.partitions.wait_until_settled(body.timeout_ms / 1000)
    description = _describe(topic, broker.view)
    return answer(description, 201, {"location": f"/v1/topics/{quote(topic.name)}"})


@router.get(
    "/{topic}",
    summary="Describe a topic",
    responses=replies(TopicDescription, UnknownTopicOrPartitionError),
)
async def describe_topic(broker: RunningBroker, topic: TopicName) -> Response:
    """A topic's settings, and leader and replicas of each of its partitions."""
    return answer(_describe(known_topic(broker, topic), broker.view))


@router.patch(
    "/{topic}",
    summary="Alter a topic",
    responses=replies(
        TopicDescription,
        UnknownTopicOrPartitionError,
        InvalidPartitionsError,
        InvalidReplicaAssignmentError,
        InvalidConfigError,
        RequestTimedOutError,
    ),
)
async def alter_topic(broker: RunningBroker, topic: TopicName, body: AlterTopicBody) -> Response:
    """Add partitions, change settings, or both, in this order; answers with the description.

    The two are separate changes: where the settings are refused, the partitions stay added.
    """
    altered = known_topic(broker, topic)
    if body.partition_count is not None:
        first_new = altered.partition_count
        assignment = body.replica_assignment
        altered = await broker.topics.create_partitions(
            topic,
            body.partition_count,
            None if assignment is None else dict(enumerate(assignment, first_new)),
            timeout_ms=body.timeout_ms,
        )
        await broker.partitions.wait_until_settled(body.timeout_ms / 1000)
    if body.config:
        altered = await broker.topics.alter_topic_config(topic, body.config)
    return answer(_describe(altered, broker.view))


@router.delete(
    "/{topic}",
    summary="Delete a topic",
    status_code=204,
    responses=replies(
        None, UnknownTopicOrPartitionError, TopicDeletionDisabledError, RequestTimedOutError
    ),
    response_description="It is gone.",
)
async def delete_topic(
    broker: RunningBroker, topic: TopicName, query: Annotated[TimeoutQuery, Query()]
) -> Response:
    """Delete a topic with all its records and wait until it is gone."""
    await broker.topics.delete_topic(topic, timeout_ms=query.timeout_ms)
    return Response(status_code=204)


def _describe(topic: Topic, view: MetadataView) -> TopicDescription:
    return TopicDescription(
        name=topic.name,
        topic_id=topic.topic_id,
        partition_count=topic.partition_count,
        replication_factor=topic.replication_factor,
        config=topic.config,
        partitions=[
            _describe_partition(topic, number, view) for number in sorted(topic.assignment)
        ],
    )


def _describe_partition(topic: Topic, number: int, view: MetadataView) -> PartitionDescription:
    state = view.states.get(TopicPartition(topic.name, number))
    return PartitionDescription(
        partition=number,
        leader=NO_LEADER if state is None else state.leader,
        leader_epoch=-1 if state is None else state.leader_epoch,
        replicas=list(topic.assignment[number]),
        isr=[] if state is None else list(state.isr),
        adding_replicas=list(topic.adding.get(number, ())),
        removing_replicas=list(topic.removing.get(number, ())),
    )
