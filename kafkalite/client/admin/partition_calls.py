"""Partitions: offsets, deleting records, who leads, and where replicas are."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from kafkalite.client.admin.calls import Call, Calls, given, of_each, outcomes, path, query
from kafkalite.model.errors import LogError
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.admin_messages import (
    AssignmentProposal,
    DeletedRecords,
    FoundOffset,
    PartitionOffsets,
    PartitionOutcomes,
    Reassignment,
    ReassignmentList,
)

At = Literal["earliest", "latest", "max-timestamp"] | int
"""A place in a partition; a number is a time in milliseconds since 1970."""


class PartitionCalls:
    """The part of AsyncAdminClient that is about partitions."""

    _calls: Calls

    async def describe_offsets(self, partition: TopicPartition) -> PartitionOffsets:
        """Where a partition begins and ends, and up to where it can be read."""
        return await self._calls.ask(Call("GET", _path(partition, "offsets")), PartitionOffsets)

    async def list_offsets(
        self, places: Mapping[TopicPartition, At]
    ) -> dict[TopicPartition, FoundOffset | LogError]:
        """The offsets at places in partitions; -1 where there is no such record.

        Args:
            places: `earliest` (the first record), `latest` (after the last one that can be read),
                `max-timestamp` (the newest one), or a time: the first record that is not older.
        """

        async def find(partition: TopicPartition) -> FoundOffset:
            target = _path(partition, "offsets") + query([("at", places[partition])])
            return await self._calls.ask(Call("GET", target), FoundOffset)

        return await of_each(places, find)

    async def delete_records(
        self, before: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int | LogError]:
        """Delete the records below an offset of each partition; -1: all that can be read.

        Gives the first offset that is left.
        """

        async def delete(partition: TopicPartition) -> int:
            offset = before[partition]
            call = Call(
                "POST",
                _path(partition, "delete-records"),
                {"before_offset": offset},
                is_idempotent=offset >= 0,
            )
            return (await self._calls.ask(call, DeletedRecords)).low_watermark

        return await of_each(before, delete)

    async def elect_leaders(
        self,
        kind: Literal["preferred", "unclean"] = "preferred",
        partitions: Iterable[TopicPartition] | None = None,
    ) -> dict[TopicPartition, LogError | None]:
        """Have leaders elected; gives why not, of each partition.

        Args:
            kind: `preferred`, the first of the replicas; `unclean`, any that lives, where there is
                no leader: records may be lost.
            partitions: None: all; those that need no election are then left out.
        """
        named = None if partitions is None else [_named(each) for each in partitions]
        body = given(kind=kind, partitions=named)
        call = Call("POST", path("leader-elections"), body, is_idempotent=False)
        return outcomes((await self._calls.ask(call, PartitionOutcomes)).results)

    async def reassign_partitions(
        self, targets: Mapping[TopicPartition, Sequence[int]]
    ) -> dict[TopicPartition, LogError | None]:
        """Begin to move partitions to other brokers; gives why not, of each.

        Args:
            targets: the broker ids that it shall be on, the preferred leader first.
        """
        named = [{**_named(each), "replicas": list(ids)} for each, ids in targets.items()]
        call = Call("POST", path("reassignments"), {"partitions": named})
        return outcomes((await self._calls.ask(call, PartitionOutcomes)).results)

    async def list_reassignments(self) -> list[Reassignment]:
        """The partitions that are on the move."""
        call = Call("GET", path("reassignments"))
        return (await self._calls.ask(call, ReassignmentList)).reassignments

    async def cancel_reassignments(
        self, partitions: Iterable[TopicPartition] | None = None
    ) -> dict[TopicPartition, LogError | None]:
        """Move partitions back, by default all that move; gives why not, of each.

        Waits until they are back.
        """
        named = None if partitions is None else [_named(each) for each in partitions]
        body = given(partitions=named, timeout_ms=self._calls.timeout_ms)
        call = Call("POST", path("reassignments", "cancel"), body, is_idempotent=False)
        return outcomes((await self._calls.ask(call, PartitionOutcomes)).results)

    async def propose_assignment(
        self, topics: Sequence[str], brokers: Sequence[int], *, rack_aware: bool = True
    ) -> AssignmentProposal:
        """Where topics are, and where they would be if they were created on `brokers`."""
        body = {"topics": topics, "brokers": brokers, "rack_aware": rack_aware}
        call = Call("POST", path("reassignments", "proposal"), body)
        return await self._calls.ask(call, AssignmentProposal)


def _path(partition: TopicPartition, what: str) -> str:
    return path("topics", partition.topic, "partitions", partition.partition, what)


def _named(partition: TopicPartition) -> dict[str, object]:
    return {"topic": partition.topic, "partition": partition.partition}
