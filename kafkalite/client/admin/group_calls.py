"""Consumer groups: who is in them, and how far they are."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

from kafkalite.client.admin.calls import Call, Calls, given, of_each, outcomes, path, query
from kafkalite.model.errors import LogError
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.admin_messages import PartitionOutcomes
from kafkalite.wire.group_descriptions import (
    GroupDescription,
    GroupList,
    GroupSummary,
    OffsetResetResult,
)
from kafkalite.wire.group_messages import (
    CommittedPartition,
    OffsetCommitRequest,
    OffsetFetchResponse,
    OffsetToCommit,
)

ResetPlace = Literal["earliest", "latest", "current"] | int | datetime | timedelta
"""Where a group may be told to go on; a duration stands for so long before now."""


class GroupCalls:
    """The part of AsyncAdminClient that is about consumer groups."""

    _calls: Calls

    async def list_groups(self) -> list[GroupSummary]:
        """All groups that have members or committed offsets, by name."""
        return (await self._calls.ask(Call("GET", path("groups")), GroupList)).groups

    async def describe_group(self, group: str) -> GroupDescription:
        """A group's members, what each has, committed offsets and lag.

        Raises:
            GroupIdNotFoundError: there is no such group.
        """
        return await self._calls.ask(Call("GET", path("groups", group)), GroupDescription)

    async def describe_groups(
        self, groups: Iterable[str]
    ) -> dict[str, GroupDescription | LogError]:
        """Several groups, each as `describe_group` gives it, or why not."""
        return await of_each(groups, self.describe_group)

    async def delete_group(self, group: str) -> None:
        """Delete a group that has no members, with its offsets.

        Raises:
            NonEmptyGroupError: it has members.
            LogError: it was refused; NetworkError and RequestTimedOutError: it may have been done.
        """
        await self._calls.tell(Call("DELETE", path("groups", group), is_idempotent=False))

    async def delete_groups(self, groups: Iterable[str]) -> dict[str, LogError | None]:
        """Delete several groups; gives why each one was not, None: it was."""
        return await of_each(groups, self.delete_group)

    async def list_group_offsets(
        self, group: str, topics: Iterable[str] | None = None
    ) -> dict[TopicPartition, CommittedPartition]:
        """The committed offsets of a group, by default of all topics."""
        found: dict[TopicPartition, CommittedPartition] = {}
        target = path("groups", group, "offsets")
        for pairs in [()] if topics is None else [(("topic", each),) for each in topics]:
            answer = await self._calls.ask(Call("GET", target + query(pairs)), OffsetFetchResponse)
            found |= {TopicPartition(each.topic, each.partition): each for each in answer.offsets}
        return found

    async def alter_group_offsets(
        self, group: str, offsets: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, LogError | None]:
        """Say where a group without members shall go on; gives why not, of each partition.

        Args:
            group: its id; it need not exist.
            offsets: of the next record to read.
        """
        body = OffsetCommitRequest([OffsetToCommit(*each, at) for each, at in offsets.items()])
        call = Call("POST", path("groups", group, "offsets"), body)
        return outcomes((await self._calls.ask(call, PartitionOutcomes)).results)

    async def reset_group_offsets(
        self,
        group: str,
        to: ResetPlace | None = None,
        *,
        shift_by: int | None = None,
        offsets: Mapping[TopicPartition, int] | None = None,
        topics: Mapping[str, Sequence[int] | None] | Iterable[str] | None = None,
        dry_run: bool = False,
    ) -> OffsetResetResult:
        """Choose where a group without members goes on; an offset beyond the log becomes its end.

        Args:
            group: its id.
            to: a place, an offset, or a time (UTC where it has no zone; a duration: so long before
                now) that stands for the first record that is not older.
            shift_by: instead of that, so many records on, or back.
            offsets: instead of both, one for each partition; `topics` are theirs then.
            topics: names, or names with partitions (None: all of them); by default all partitions
                that the group has committed offsets of.
            dry_run: only say what the new offsets would be.

        Raises:
            NonEmptyGroupError: it has members.
            LogError: it was refused otherwise; nothing is changed then.
        """
        body = given(
            topics=None if topics is None else _scopes(topics),
            all_topics=True if topics is None and offsets is None else None,
            shift_by=shift_by,
            offsets=None if offsets is None else _given_offsets(offsets),
            dry_run=dry_run,
            **_target(to),
        )
        is_idempotent = dry_run or shift_by is None
        call = Call("POST", path("groups", group, "offsets", "reset"), body, is_idempotent)
        return await self._calls.ask(call, OffsetResetResult)

    async def delete_group_offsets(
        self, group: str, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, LogError | None]:
        """Forget committed offsets, of topics that no member is subscribed to.

        Gives why not, of each partition.
        """

        async def delete(partition: TopicPartition) -> LogError | None:
            target = path("groups", group, "offsets") + query(
                [("topic", partition.topic), ("partition", partition.partition)]
            )
            answer = await self._calls.ask(Call("DELETE", target), PartitionOutcomes)
            return outcomes(answer.results)[partition]

        return await of_each(partitions, delete)

    async def delete_topic_offsets(
        self, group: str, topic: str
    ) -> dict[TopicPartition, LogError | None]:
        """Forget a group's committed offsets of all partitions of a topic; gives why not, of each.

        Raises:
            GroupIdNotFoundError: there is no such group.
            LogError: it was refused otherwise.
        """
        target = path("groups", group, "offsets") + query([("topic", topic)])
        return outcomes((await self._calls.ask(Call("DELETE", target), PartitionOutcomes)).results)


def _scopes(
    topics: Mapping[str, Sequence[int] | None] | Iterable[str],
) -> list[Mapping[str, object]]:
    named = topics if isinstance(topics, Mapping) else dict.fromkeys(topics)
    return [given(topic=topic, partitions=numbers) for topic, numbers in named.items()]


def _given_offsets(offsets: Mapping[TopicPartition, int]) -> list[Mapping[str, object]]:
    return [{**each._asdict(), "offset": at} for each, at in offsets.items()]


def _target(to: ResetPlace | None) -> dict[str, object]:
    if isinstance(to, datetime):
        return {"to_datetime": to.isoformat(timespec="milliseconds")}
    if isinstance(to, timedelta):
        return {"by_duration": _duration(to)}
    if isinstance(to, int):
        return {"to_offset": to}
    return {} if to is None else {"to": to}


def _duration(span: timedelta) -> str:
    """As `PnDTnS`: a minus comes before all of it."""
    sign = "-" if span < timedelta() else ""
    span = abs(span)
    return f"{sign}P{span.days}DT{span.seconds}.{span.microseconds:06}S"
