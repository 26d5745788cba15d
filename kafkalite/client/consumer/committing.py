"""Commits offsets of a group, as often as it takes and no longer than it makes sense."""

import asyncio
import time
from collections.abc import Collection, Mapping
from typing import Final

from kafkalite.client.consumer.commits import CommitLedger, OffsetAndMetadata, Offsets
from kafkalite.client.consumer.failures import CommitFailedError
from kafkalite.client.consumer.group_requests import GroupRequests
from kafkalite.client.consumer.membership import GroupMember, Membership
from kafkalite.client.consumer.ports import Pauses
from kafkalite.model.errors import (
    FencedMemberEpochError,
    IllegalGenerationError,
    LogError,
    RequestTimedOutError,
    StaleMemberEpochError,
    UnknownMemberIdError,
)
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.group_messages import NO_MEMBER, NO_MEMBER_EPOCH

_EPOCH_WAIT_S: Final = 1.0
"""How long the answer may be under way that explains why an epoch is stale."""
_ONE_ATTEMPT_S: Final = 5.0
"""How long one request may take, where another one could be sent."""
_FENCED: Final = (UnknownMemberIdError, FencedMemberEpochError, IllegalGenerationError)
_NOBODY: Final = Membership(NO_MEMBER, NO_MEMBER_EPOCH, 0, frozenset())


class Committing:
    """Owned by a consumer, on the loop. One commit at a time, so that none overtakes another."""

    def __init__(self, requests: GroupRequests, ledger: CommitLedger, pauses: Pauses) -> None:
        self._requests = requests
        self._ledger = ledger
        self._pauses = pauses
        self._turn = asyncio.Lock()
        self.member: GroupMember | None = None
        """Who commits; None: nobody in particular, of a group without members."""

    async def commit(self, offsets: Offsets, timeout_s: float, *, tries_again: bool = True) -> None:
        """Commit `offsets`.

        Raises:
            CommitFailedError: the member is out, or does not hold a partition any more.
            LogError: it did not go well in time, or never will.
        """
        due_s = time.monotonic() + timeout_s
        async with self._turn:
            left = dict(offsets)
            life: int | None = None
            self._pauses.reset()
            while left:
                member = _NOBODY if self.member is None else self.member.look()
                if life not in (None, member.life):
                    raise CommitFailedError
                life = member.life
                error = await self._attempt(left, member, due_s)
                if error is None:
                    return
                if isinstance(error, _FENCED):
                    raise CommitFailedError(str(error)) from error
                is_stale = isinstance(error, StaleMemberEpochError) and self.member is not None
                if not (error.retriable or is_stale) or not tries_again:
                    raise error
                if time.monotonic() >= due_s:
                    raise RequestTimedOutError(f"Offsets were not committed in time: {error}")
                if is_stale and self.member is not None:
                    await self.member.wait_for_epoch_after(member.epoch, _EPOCH_WAIT_S)
                else:
                    await asyncio.sleep(self._pauses.next_pause())

    async def committed(
        self, partitions: Collection[TopicPartition], timeout_s: float | None = None
    ) -> Mapping[TopicPartition, OffsetAndMetadata]:
        """What is committed of `partitions`; raises LogError."""
        found = await self._requests.committed(timeout_s or _ONE_ATTEMPT_S)
        wanted = {each: found[each] for each in partitions if each in found}
        self._ledger.note(wanted)
        return wanted

    async def _attempt(
        self, left: dict[TopicPartition, OffsetAndMetadata], member: Membership, due_s: float
    ) -> LogError | None:
        """Commit what is `left`, and leave in it what was refused; gives why."""
        timeout_s = min(_ONE_ATTEMPT_S, max(due_s - time.monotonic(), 0.1))
        try:
            outcomes = await self._requests.commit(
                left, timeout_s, member_id=member.member_id, member_epoch=member.epoch
            )
        except LogError as error:
            return error
        refusal: LogError | None = None
        for each, refused in outcomes.items():
            if refused is None:
                self._ledger.note({each: left.pop(each)})
            elif refusal is None or not refused.retriable:
                refusal = type(refused)(f"{each}: {refused.detail}")
        return refusal
