"""A group is described by its coordinator: what another broker's answer becomes."""

import asyncio
from collections.abc import Mapping
from typing import cast

import msgspec
import pytest

from kafkalite.api.groups.reading import group_anywhere
from kafkalite.broker.broker import Broker
from kafkalite.model import cluster
from kafkalite.model.errors import (
    CoordinatorNotAvailableError,
    GroupIdNotFoundError,
    InvalidGroupIdError,
)
from kafkalite.model.ids import BrokerId
from kafkalite.transport.peer_reply import PeerReply
from kafkalite.wire.group_descriptions import GroupCoordinatorPlace, GroupDescription

_PLACE = GroupCoordinatorPlace(1, "h", 1, "http://h:1")
_GROUP = GroupDescription("a b", "Empty", 3, "", _PLACE, [], [])


class _Elsewhere:
    """Stands for a broker that coordinates no group, and for the way to the one that does."""

    def __init__(self, status: int, body: bytes) -> None:
        self.group_routing = self
        self.asked: list[tuple[str, str, str]] = []
        self._reply = PeerReply(status, {}, body)

    async def forward(
        self,
        group: str,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout_ms: int,
    ) -> tuple[cluster.Broker, PeerReply]:
        assert (headers, body, timeout_ms > 0) == ({}, b"", True)
        self.asked.append((group, method, target))
        return cluster.Broker(BrokerId(1), "h", 1), self._reply

    def describe(self, group: str = "a b") -> GroupDescription:
        return asyncio.run(group_anywhere(cast("Broker", self), group))


def test_description_is_that_of_the_coordinator() -> None:
    elsewhere = _Elsewhere(200, msgspec.json.encode(_GROUP))
    assert elsewhere.describe() == _GROUP
    assert elsewhere.asked == [("a b", "GET", "/v1/groups/a%20b")]


def test_refusal_is_that_of_the_coordinator() -> None:
    problem = {"error": "GROUP_ID_NOT_FOUND", "detail": "no such group"}
    with pytest.raises(GroupIdNotFoundError, match="no such group"):
        _Elsewhere(404, msgspec.json.encode(problem)).describe()


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"{}"), (200, b"\xff"), (502, b"<html>"), (500, b"[" * 100_000)]
)
def test_answer_that_cannot_be_read_is_none(status: int, body: bytes) -> None:
    with pytest.raises(CoordinatorNotAvailableError, match="broker 1 cannot be read"):
        _Elsewhere(status, body).describe()


def test_name_that_no_group_can_have_is_asked_of_nobody() -> None:
    elsewhere = _Elsewhere(200, b"")
    with pytest.raises(InvalidGroupIdError):
        elsewhere.describe("")
    assert elsewhere.asked == []
