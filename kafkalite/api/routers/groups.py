"""Consumer groups: list, describe, delete, reset offsets. The rest: `api/groups/endpoint.py`."""

import time
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request, Response

from kafkalite.api.answers import answer
from kafkalite.api.groups.listing import groups_everywhere, groups_here
from kafkalite.api.groups.reading import group_here
from kafkalite.api.groups.route import NO_COORDINATOR_ANSWERS, GroupRoute
from kafkalite.api.groups.schemas import ResetOffsetsBody
from kafkalite.api.replies import replies
from kafkalite.api.serving import RunningBroker
from kafkalite.broker.forwarding import FORWARDED_HEADER
from kafkalite.broker.groups.offset_reset import ResetTo, ResetWish
from kafkalite.model.errors import (
    GroupIdNotFoundError,
    InvalidGroupIdError,
    InvalidRequestError,
    LeaderNotAvailableError,
    NonEmptyGroupError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import TopicPartition
from kafkalite.model.offsets import NO_OFFSET
from kafkalite.wire.group_descriptions import (
    GroupDescription,
    GroupList,
    OffsetResetResult,
    ResetOffset,
)
from kafkalite.wire.iso_time import datetime_ms, duration_ms

router = APIRouter(prefix="/v1/groups", tags=["groups"], route_class=GroupRoute)

GroupName = Annotated[str, Path(description="Id of a consumer group.", examples=["billing"])]
_WORDS: Final = {
    "earliest": ResetTo.EARLIEST,
    "latest": ResetTo.LATEST,
    "current": ResetTo.CURRENT,
}


@router.get("", summary="List groups", responses=replies(GroupList))
async def list_groups(broker: RunningBroker, request: Request) -> Response:
    """All groups by name, with their states: those that have members or committed offsets."""
    # What another broker asks, it asks of every one.
    is_for_broker = FORWARDED_HEADER in request.headers
    return answer(
        GroupList(await (groups_here(broker) if is_for_broker else groups_everywhere(broker)))
    )


@router.get(
    "/{group}",
    summary="Describe a group",
    responses=replies(
        GroupDescription, InvalidGroupIdError, GroupIdNotFoundError, *NO_COORDINATOR_ANSWERS
    ),
)
async def describe_group(broker: RunningBroker, group: GroupName) -> Response:
    """A group's members and what each has, committed offsets and lag."""
    return answer(await group_here(broker, group))


@router.delete(
    "/{group}",
    summary="Delete a group",
    status_code=204,
    responses=replies(
        None,
        InvalidGroupIdError,
        GroupIdNotFoundError,
        NonEmptyGroupError,
        *NO_COORDINATOR_ANSWERS,
    ),
    response_description="It is gone.",
)
async def delete_group(broker: RunningBroker, group: GroupName) -> Response:
    """Delete a group that has no members, with its committed offsets."""
    await broker.groups.delete(group)
    return Response(status_code=204)


@router.post(
    "/{group}/offsets/reset",
    summary="Reset offsets of a group",
    responses=replies(
        OffsetResetResult,
        InvalidRequestError,
        InvalidGroupIdError,
        NonEmptyGroupError,
        UnknownTopicOrPartitionError,
        LeaderNotAvailableError,
        *NO_COORDINATOR_ANSWERS,
    ),
)
async def reset_offsets(
    broker: RunningBroker, group: GroupName, body: ResetOffsetsBody
) -> Response:
    """Choose where a group without members goes on; by default only say where that would be.

    An offset beyond the log becomes the end of it that is nearer, and `warning` says so. Nothing is
    committed unless all new offsets are known.
    """
    new = await broker.offset_reset.reset(group, _wish(body), dry_run=body.dry_run)
    return answer(
        OffsetResetResult(
            group,
            body.dry_run,
            [
                ResetOffset(
                    each.partition.topic,
                    each.partition.partition,
                    None if each.before == NO_OFFSET else each.before,
                    each.offset,
                    each.warning,
                )
                for each in new
            ],
        )
    )


def _wish(body: ResetOffsetsBody) -> ResetWish:
    """What the body asks for; it has exactly one target."""
    if body.offsets is not None:
        given = {TopicPartition(each.topic, each.partition): each.offset for each in body.offsets}
        return ResetWish(ResetTo.GIVEN, given=given)
    topics = None if body.topics is None else {each.topic: each.partitions for each in body.topics}
    if body.to is not None:
        return ResetWish(_WORDS[body.to], topics=topics)
    if body.to_offset is not None:
        return ResetWish(ResetTo.OFFSET, body.to_offset, topics)
    if body.shift_by is not None:
        return ResetWish(ResetTo.SHIFT, body.shift_by, topics)
    if body.to_datetime is not None:
        return ResetWish(ResetTo.TIME, datetime_ms(body.to_datetime), topics)
    now_ms = time.time_ns() // 1_000_000
    return ResetWish(ResetTo.TIME, now_ms - duration_ms(body.by_duration or ""), topics)
