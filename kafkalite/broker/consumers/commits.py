"""The commits of one instance: by itself, of all it was given, or of what the client names."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from kafkalite.broker.consumers.membership import Membership
from kafkalite.broker.consumers.ports import Groups
from kafkalite.broker.consumers.positions import ConsumerPositions
from kafkalite.broker.ports import StoreError
from kafkalite.model.errors import LogError, StaleMemberEpochError
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.group_messages import MAX_COMMITS, OffsetCommitRequest, OffsetToCommit

_ATTEMPTS: Final = 5
_PAUSE_S: Final = 0.1
"""Until an answer is in that has raised our epoch meanwhile."""

_log = logging.getLogger(__name__)


class OffsetToKeep(NamedTuple):
    """What a client commits of a partition."""

    offset: int
    """Of the next record to read."""
    metadata: str = ""


class ConsumerCommits:
    """Commits one after the other, so that an older one never comes last. Lives on the loop."""

    def __init__(
        self,
        groups: Groups,
        group: str,
        positions: ConsumerPositions,
        identity: Callable[[], Membership],
    ) -> None:
        """Assign only; `identity` says as whom to commit now."""
        self._groups = groups
        self._group = group
        self._positions = positions
        self._identity = identity
        self._turn = asyncio.Lock()

    async def by_itself(self, partitions: Iterable[TopicPartition] | None = None) -> None:
        """Commit what was dealt with, of some partitions or of all; what fails waits for later."""
        try:
            await self.all_dealt_with(partitions)
        except (LogError, StoreError) as error:
            _log.info("An instance of group %s could not commit: %s", self._group, error)

    async def all_dealt_with(self, partitions: Iterable[TopicPartition] | None = None) -> None:
        """Commit what was dealt with.

        Raises:
            LogError: some of it was refused.
        """
        async with self._turn:
            offsets = self._positions.to_commit(partitions)
            await self._send({place: OffsetToKeep(offset) for place, offset in offsets.items()})

    async def given(self, offsets: Mapping[TopicPartition, OffsetToKeep]) -> None:
        """Commit these.

        Raises:
            LogError: some of it was refused.
        """
        async with self._turn:
            await self._send(offsets)

    async def try_given(
        self, offsets: Mapping[TopicPartition, OffsetToKeep]
    ) -> dict[TopicPartition, LogError]:
        """Commit these; gives why some of them were refused.

        Raises:
            LogError: it is not known of any of them whether it is committed.
        """
        async with self._turn:
            return await self._try_send(offsets)

    async def _send(self, offsets: Mapping[TopicPartition, OffsetToKeep]) -> None:
        for reason in (await self._try_send(offsets)).values():
            raise reason

    async def _try_send(
        self, offsets: Mapping[TopicPartition, OffsetToKeep]
    ) -> dict[TopicPartition, LogError]:
        left = dict(offsets)
        refused: dict[TopicPartition, LogError] = {}
        for attempt in range(_ATTEMPTS):
            if not left:
                break
            refused = await self._send_once(left)
            left = {place: left[place] for place in refused}
            if not any(isinstance(reason, StaleMemberEpochError) for reason in refused.values()):
                break
            if attempt < _ATTEMPTS - 1:
                await asyncio.sleep(_PAUSE_S)
        return refused

    async def _send_once(
        self, offsets: Mapping[TopicPartition, OffsetToKeep]
    ) -> dict[TopicPartition, LogError]:
        """Those that were not committed, and why not."""
        refused: dict[TopicPartition, LogError] = {}
        places = list(offsets)
        for begin in range(0, len(places), MAX_COMMITS):
            part = places[begin : begin + MAX_COMMITS]
            identity = self._identity()
            request = OffsetCommitRequest(
                [
                    OffsetToCommit(*place, offsets[place].offset, metadata=offsets[place].metadata)
                    for place in part
                ],
                member_id=identity.member_id,
                member_epoch=identity.epoch,
            )
            try:
                results = await self._groups.commit(self._group, request)
            except StaleMemberEpochError as error:
                refused.update(dict.fromkeys(part, error))
                continue
            for place, refusal in zip(part, results, strict=True):
                if refusal is None:
                    self._positions.committed({place: offsets[place].offset})
                else:
                    refused[place] = refusal
        return refused
