"""How the control plane answers: the structs of `wire/` that OpenAPI documents, too, as JSON.

The control plane's requests are in `schemas.py`.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from fastapi import Response

from kafkalite.model.errors import LogError
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.admin_messages import (
    AssignmentProposal,
    BrokerDescription,
    BrokerList,
    ClusterDescription,
    ClusterHealth,
    ConfigList,
    DeletedRecords,
    FoundOffset,
    LogDirList,
    PartitionOffsets,
    PartitionOutcome,
    PartitionOutcomes,
    ReassignmentList,
    TopicDescription,
    TopicList,
)
from kafkalite.wire.group_descriptions import GroupDescription, GroupList, OffsetResetResult
from kafkalite.wire.metadata_messages import MetadataResponse
from kafkalite.wire.producer_messages import ProducerIdentity


class Health(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether the process lives, or may be sent requests."""

    status: str
    reasons: list[str] = []


ANSWERS: Final[tuple[type[msgspec.Struct], ...]] = (
    TopicList,
    TopicDescription,
    ConfigList,
    PartitionOffsets,
    FoundOffset,
    DeletedRecords,
    BrokerList,
    BrokerDescription,
    ClusterDescription,
    ClusterHealth,
    ReassignmentList,
    AssignmentProposal,
    PartitionOutcomes,
    LogDirList,
    ProducerIdentity,
    MetadataResponse,
    GroupList,
    GroupDescription,
    OffsetResetResult,
    Health,
)
"""The roots that the OpenAPI document has schemas for."""


def outcome(partition: TopicPartition, error: LogError | None) -> PartitionOutcome:
    """What became of a partition; `error` says why it was refused."""
    if error is None:
        return PartitionOutcome(*partition)
    return PartitionOutcome(*partition, error.code, error.name, error.detail)


def answer(
    document: msgspec.Struct, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A JSON response with `document`."""
    return Response(msgspec.json.encode(document), status, headers, "application/json")
