"""Moving partitions to other brokers: begin, watch, cancel, and a proposal where to."""

from collections.abc import Mapping

from fastapi import APIRouter, Response

from kafkalite.api.answers import answer, outcome
from kafkalite.api.replies import replies
from kafkalite.api.schemas import CancelReassignmentsBody, ProposeAssignmentBody, ReassignBody
from kafkalite.api.serving import RunningBroker
from kafkalite.broker.control.reassignment import Outcomes
from kafkalite.broker.ports import Assignment
from kafkalite.model.errors import (
    InvalidReplicaAssignmentError,
    InvalidReplicationFactorError,
    InvalidRequestError,
    NoReassignmentInProgressError,
    RequestTimedOutError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.admin_messages import (
    AssignmentProposal,
    PartitionAssignment,
    PartitionOutcomes,
    Reassignment,
    ReassignmentList,
)

router = APIRouter(prefix="/v1/reassignments", tags=["reassignments"])


@router.get(
    "", summary="List reassignments", responses=replies(ReassignmentList, RequestTimedOutError)
)
async def list_reassignments(broker: RunningBroker) -> Response:
    """The reassignments that are in progress, by topic and partition."""
    return answer(
        ReassignmentList(
            [
                Reassignment(
                    *move.partition, list(move.replicas), list(move.adding), list(move.removing)
                )
                for move in await broker.reassignments.moves()
            ]
        )
    )


@router.post(
    "",
    summary="Reassign partitions",
    responses=replies(
        PartitionOutcomes,
        InvalidRequestError,
        InvalidReplicaAssignmentError,
        UnknownTopicOrPartitionError,
        RequestTimedOutError,
    ),
)
async def reassign(broker: RunningBroker, body: ReassignBody) -> Response:
    """Begin to move partitions; one that moves already goes to its new target instead.

    Each partition is taken or refused by itself, and the answer says which.
    """
    targets = {
        TopicPartition(each.topic, each.partition): each.replicas for each in body.partitions
    }
    if len(targets) < len(body.partitions):
        raise InvalidRequestError("A partition is named more than once.")
    return _answer(await broker.reassignments.execute(targets))


@router.post(
    "/cancel",
    summary="Cancel reassignments",
    responses=replies(PartitionOutcomes, NoReassignmentInProgressError, RequestTimedOutError),
)
async def cancel_reassignments(broker: RunningBroker, body: CancelReassignmentsBody) -> Response:
    """Move partitions back to where they were before their reassignment."""
    partitions = (
        None
        if body.partitions is None
        else {TopicPartition(each.topic, each.partition) for each in body.partitions}
    )
    return _answer(await broker.reassignments.cancel(partitions, timeout_ms=body.timeout_ms))


@router.post(
    "/proposal",
    summary="Propose an assignment",
    responses=replies(
        AssignmentProposal,
        InvalidReplicaAssignmentError,
        InvalidReplicationFactorError,
        UnknownTopicOrPartitionError,
    ),
)
async def propose_assignment(broker: RunningBroker, body: ProposeAssignmentBody) -> Response:
    """Spread topics over brokers as if they were created there; changes nothing."""
    proposed = broker.reassignments.propose(body.topics, body.brokers, rack_aware=body.rack_aware)
    current = {name: broker.view.topics[name].assignment for name in proposed}
    return answer(AssignmentProposal(_listed(current), _listed(proposed)))


def _listed(topics: Mapping[str, Assignment]) -> list[PartitionAssignment]:
    return [
        PartitionAssignment(name, number, list(replicas))
        for name, assignment in sorted(topics.items())
        for number, replicas in sorted(assignment.items())
    ]


def _answer(outcomes: Outcomes) -> Response:
    return answer(
        PartitionOutcomes([outcome(partition, error) for partition, error in outcomes.items()])
    )
