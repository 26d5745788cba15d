"""A group as it is described, by its coordinator: this broker, or another one that is asked."""

from typing import Final
from urllib.parse import quote

import msgspec

from kafkalite.api.groups.picture import described
from kafkalite.broker.broker import Broker
from kafkalite.model.errors import CoordinatorNotAvailableError, error_by_name
from kafkalite.model.group_name import check_group_id
from kafkalite.wire.group_descriptions import GroupDescription

_TIMEOUT_MS: Final = 30_000
_OK: Final = 200


class _Problem(msgspec.Struct):
    error: str = ""
    detail: str = ""


async def group_here(broker: Broker, group: str) -> GroupDescription:
    """A group that `broker` coordinates.

    Raises:
        LogError: there is no such group, or the broker does not coordinate it.
    """
    found = await broker.groups.describe(group)
    committed = await broker.groups.committed(group)
    assigned = {each for member in found.members for each in member.held}
    coordinator = broker.view.brokers.get(broker.id)
    if coordinator is None:
        raise CoordinatorNotAvailableError(f"Broker {broker.id} is not registered at the moment.")
    readable = await broker.offset_lookup.readable(assigned | committed.keys())
    return described(group, found, coordinator, committed, readable)


async def group_anywhere(broker: Broker, group: str) -> GroupDescription:
    """A group, whichever broker coordinates it.

    Raises:
        LogError: there is no such group, or its coordinator does not answer.
    """
    check_group_id(group)
    target = f"/v1/groups/{quote(group, safe='')}"
    sent = await broker.group_routing.forward(group, "GET", target, {}, b"", _TIMEOUT_MS)
    if sent is None:
        return await group_here(broker, group)
    coordinator, reply = sent
    try:
        if reply.status == _OK:
            return msgspec.json.decode(reply.body, type=GroupDescription)
        problem = msgspec.json.decode(reply.body, type=_Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CoordinatorNotAvailableError(
            f"The answer of broker {coordinator.id} cannot be read: {error}"
        ) from error
    raise error_by_name(problem.error)(problem.detail or None)
