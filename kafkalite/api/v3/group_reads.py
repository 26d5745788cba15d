"""What REST Proxy's version 3 tells of consumer groups."""

from collections.abc import Awaitable, Callable

from kafkalite.api.rest.errors import NOT_FOUND, RestError
from kafkalite.api.v3 import paths
from kafkalite.api.v3.group_resources import (
    assignments_of,
    consumer_of,
    group_of,
    lag_of,
    lag_summary_of,
    summary_of,
)
from kafkalite.api.v3.links import Document, Links
from kafkalite.api.v3.paths import V3Path
from kafkalite.wire.group_descriptions import (
    GroupDescription,
    GroupMember,
    GroupOffset,
    GroupSummary,
)


class V3Groups:
    """Answers about groups. Any broker does: what only a coordinator knows it is asked for."""

    def __init__(
        self,
        list_groups: Callable[[], Awaitable[list[GroupSummary]]],
        describe: Callable[[str], Awaitable[GroupDescription]],
    ) -> None:
        """Assign only.

        Args:
            list_groups: gives all groups, by name.
            describe: gives one group by its name; raises LogError.
        """
        self._list_groups = list_groups
        self._describe = describe

    async def get(self, path: V3Path, links: Links) -> Document:
        """The document of a path that has to do with groups.

        Raises:
            RestError: 404, there is no such thing.
            LogError: there is no such group, or its coordinator does not answer.
        """
        if path.operation == paths.GROUPS:
            found = [group_of(links, each) for each in await self._list_groups()]
            return links.listing("KafkaConsumerGroup", ("consumer-groups",), found)
        name = path.names["consumer_group_id"]
        group = await self._describe(name)
        where = ("consumer-groups", name)
        match path.operation:
            case paths.GROUP:
                document = group_of(links, summary_of(group))
            case paths.CONSUMERS:
                found = [consumer_of(links, name, member) for member in group.members]
                document = links.listing("KafkaConsumer", (*where, "consumers"), found)
            case paths.LAGS:
                found = [lag_of(links, group, each) for each in _committed(group)]
                document = links.listing("KafkaConsumerLag", (*where, "lags"), found)
            case paths.LAG:
                document = lag_of(links, group, _offset(group, path))
            case paths.LAG_SUMMARY:
                most = max(_committed(group), key=lambda each: each.lag or 0)
                document = lag_summary_of(links, group, most)
            case _:
                member = _member(group, path.names["consumer_id"])
                document = _of_consumer(path, links, name, member)
        return document


def _of_consumer(path: V3Path, links: Links, group: str, member: GroupMember) -> Document:
    if path.operation == paths.CONSUMER:
        return consumer_of(links, group, member)
    found = assignments_of(links, group, member)
    if path.operation == paths.ASSIGNMENTS:
        where = ("consumer-groups", group, "consumers", member.member_id, "assignments")
        return links.listing("KafkaConsumerAssignment", where, found)
    wanted = path.names["topic_name"], path.number("partition_id")
    for each in found:
        if (each["topic_name"], each["partition_id"]) == wanted:
            return each
    raise RestError(NOT_FOUND, "Consumer assignment cannot be found.")


def _member(group: GroupDescription, consumer: str) -> GroupMember:
    for member in group.members:
        if member.member_id == consumer:
            return member
    raise RestError(NOT_FOUND, f"Consumer {consumer} cannot be found.")


def _committed(group: GroupDescription) -> list[GroupOffset]:
    found = [each for each in group.offsets if each.committed_offset is not None]
    if not found:
        raise RestError(NOT_FOUND, f"Consumer group {group.group} has committed no offsets.")
    return found


def _offset(group: GroupDescription, path: V3Path) -> GroupOffset:
    wanted = path.names["topic_name"], path.number("partition_id")
    for each in _committed(group):
        if (each.topic, each.partition) == wanted:
            return each
    raise RestError(NOT_FOUND, "Consumer lag cannot be found.")
