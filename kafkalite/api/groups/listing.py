"""All groups of the cluster with their states: each broker tells of those that it coordinates."""

import asyncio
from typing import Final

import msgspec

from kafkalite.broker.broker import Broker
from kafkalite.model import cluster
from kafkalite.model.errors import LogError
from kafkalite.model.ids import NO_LEADER
from kafkalite.wire.group_descriptions import GroupList, GroupSummary

_PATH: Final = "/v1/groups"
_TIMEOUT_MS: Final = 10_000
_UNKNOWN: Final = "Unknown"
"""State of a group whose coordinator does not answer."""


async def groups_here(broker: Broker) -> list[GroupSummary]:
    """The groups that this broker coordinates, by name."""
    names = [
        group
        for group in await broker.groups.group_ids()
        if broker.group_routing.coordinator(group).id == broker.id
    ]
    return [
        GroupSummary(each.group, each.state, each.assignor, each.member_count, broker.id)
        for each in await broker.groups.summaries(names)
    ]


async def groups_everywhere(broker: Broker) -> list[GroupSummary]:
    """All groups, by name; of those whose coordinator does not answer nothing but the name."""
    others = [each for each in broker.view.brokers.values() if each.id != broker.id]
    here, *elsewhere = await asyncio.gather(
        groups_here(broker), *[_ask(broker, other) for other in others]
    )
    # Two may say that they coordinate a group, while it moves from one to the other.
    found = {each.group: each for answer in elsewhere for each in answer}
    found |= {each.group: each for each in here}
    for group in await broker.groups.group_ids():
        found.setdefault(group, GroupSummary(group, _UNKNOWN, "", 0, NO_LEADER))
    return [found[group] for group in sorted(found)]


async def _ask(broker: Broker, other: cluster.Broker) -> list[GroupSummary]:
    try:
        reply = await broker.forwarding.request(other, "GET", _PATH, {}, b"", _TIMEOUT_MS)
        return msgspec.json.decode(reply.body, type=GroupList).groups
    except (LogError, msgspec.MsgspecError, UnicodeDecodeError):
        return []
