"""Requests about consumer groups, each to any broker that is alive."""

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from kafkalite.cli.answers import PartitionOutcomes
from kafkalite.cli.cluster import Cluster
from kafkalite.cli.group_answers import (
    GroupDescription,
    GroupList,
    GroupSummary,
    OffsetResetResult,
    ResetOffset,
)
from kafkalite.model.errors import LogError, error_by_name
from kafkalite.model.ids import TopicPartition


class GroupRequests:
    """What commands ask about groups; errors as `Cluster` has them. Owned by one command."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def all(self) -> list[GroupSummary]:
        """All groups, sorted by name."""
        return self._cluster.ask("GET", "/v1/groups", GroupList).groups

    def describe(self, group: str) -> GroupDescription:
        """One group; raises GroupIdNotFoundError."""
        return self._cluster.ask("GET", _path(group), GroupDescription)

    def delete(self, group: str) -> None:
        """Delete a group that has no members."""
        self._cluster.tell("DELETE", _path(group))

    def reset(self, group: str, wish: Mapping[str, object]) -> list[ResetOffset]:
        """Have new offsets found, and committed unless the wish says `dry_run`."""
        path = f"{_path(group)}/offsets/reset"
        return self._cluster.ask("POST", path, OffsetResetResult, dict(wish)).offsets

    def delete_offsets(
        self, group: str, topic: str, partition: int | None
    ) -> dict[TopicPartition, LogError | None]:
        """Delete the offsets of a topic, or of one partition; gives why each was not deleted."""
        query: dict[str, object] = {"topic": topic}
        if partition is not None:
            query["partition"] = partition
        path = f"{_path(group)}/offsets?{urlencode(query)}"
        results = self._cluster.ask("DELETE", path, PartitionOutcomes).results
        return {
            TopicPartition(found.topic, found.partition): (
                error_by_name(found.error)(found.message or None) if found.error else None
            )
            for found in results
        }


def _path(group: str) -> str:
    return f"/v1/groups/{quote(group, safe='')}"
