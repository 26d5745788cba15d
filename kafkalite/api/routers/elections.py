"""Elections of leaders, by the controller, wherever it is asked for."""

from fastapi import APIRouter, Response

from kafkalite.api.answers import answer
from kafkalite.api.replies import replies
from kafkalite.api.schemas import ElectLeadersBody
from kafkalite.api.serving import RunningBroker
from kafkalite.model.errors import (
    ElectionNotNeededError,
    EligibleLeadersNotAvailableError,
    InvalidRequestError,
    NotControllerError,
    PreferredLeaderNotAvailableError,
    RequestTimedOutError,
    UnknownTopicOrPartitionError,
    error_by_name,
)
from kafkalite.wire.admin_messages import PartitionOutcome, PartitionOutcomes
from kafkalite.wire.controller_messages import ElectLeaders

router = APIRouter(prefix="/v1/leader-elections", tags=["reassignments"])


@router.post(
    "",
    summary="Elect leaders",
    responses=replies(
        PartitionOutcomes,
        InvalidRequestError,
        ElectionNotNeededError,
        PreferredLeaderNotAvailableError,
        EligibleLeadersNotAvailableError,
        UnknownTopicOrPartitionError,
        NotControllerError,
        RequestTimedOutError,
    ),
)
async def elect_leaders(broker: RunningBroker, body: ElectLeadersBody) -> Response:
    """Have the controller elect leaders: the preferred ones, or, uncleanly, any replica that lives.

    Each partition has its own outcome; where all were meant, those that needed no election are left
    out.
    """
    partitions = (
        None
        if body.partitions is None
        else [(each.topic, each.partition) for each in body.partitions]
    )
    reply = await broker.controller_client.ask(ElectLeaders(body.kind, partitions))
    if reply.error_code:
        raise error_by_name(reply.error)(reply.message or None)
    return answer(
        PartitionOutcomes(
            [
                PartitionOutcome(
                    each.topic, each.partition, each.error_code, each.error, each.message
                )
                for each in reply.elections
            ]
        )
    )
