"""Known mistakes of consumer groups, planted in the product to see whether the checkers bite.

As `bugs.py` does for the log: each replaces something of the product's own code, from here.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final
from unittest.mock import patch

from kafkalite.broker.groups.coordinated_group import CoordinatedGroup
from kafkalite.broker.groups.table import GroupTable
from kafkalite.coordination import group_store, paths
from kafkalite.coordination.group_offsets import _Piece
from kafkalite.coordination.operations import ANY_VERSION, Check, SetData
from kafkalite.groups import machine
from kafkalite.groups.machine import GroupMachine
from kafkalite.groups.reconciliation import with_targets
from kafkalite.groups.state import Member
from kafkalite.groups.timers import MemberTimers

Replacements = Sequence[tuple[Any, str, Any]]

GROUP_BUGS: Final[dict[str, Callable[[], Replacements]]] = {}


@contextlib.contextmanager
def group_bug_planted(name: str) -> Iterator[None]:
    """Within it the product makes the named mistake."""
    with contextlib.ExitStack() as stack:
        for owner, attribute, replacement in GROUP_BUGS[name]():
            stack.enter_context(patch.object(owner, attribute, replacement))
        yield


def _bug(plant: Callable[[], Replacements]) -> Callable[[], Replacements]:
    GROUP_BUGS[plant.__name__] = plant
    return plant


@_bug
def commit_without_version_check() -> Replacements:
    """An offset is written whatever has become of the group's state."""
    anyway = property(lambda piece: [Check(paths.group_state(piece.commit.group), ANY_VERSION)])
    return ((_Piece, "checks", anyway),)


@_bug
def store_without_compare_and_set() -> Replacements:
    """A coordinator writes its state over whatever is stored."""

    def overwriting(path: str, data: bytes, _version: int = ANY_VERSION) -> SetData:
        return SetData(path, data, ANY_VERSION)

    return ((group_store, "SetData", overwriting),)


@_bug
def release_before_acknowledgement() -> Replacements:
    """What is taken from a member is given to the next one before it has let go."""

    def taking(members: Any, targets: Any) -> dict[str, Member]:
        return {
            name: replace(member, held=member.held & member.target)
            for name, member in with_targets(members, targets).items()
        }

    return ((machine, "with_targets", taking),)


@_bug
def release_by_late_reports() -> Replacements:
    """Whatever a member does not name it has let go of, also where it does not know of it yet."""

    def believing(member: Member, request: Any, *_: Any) -> Member:
        gone = frozenset() if request.owned is None else member.to_release - request.owned
        return replace(member, held=member.held - gone) if gone else member

    return ((machine, "released", believing),)


@_bug
def answer_before_it_is_stored() -> Replacements:
    """A member is granted what only this coordinator knows of."""
    heartbeat, answer = GroupMachine.heartbeat, GroupMachine.answer

    def at_once(self: GroupMachine, request: Any, now_ms: int) -> bool:
        heartbeat(self, request, now_ms)
        self.state_to_store()
        self._is_dirty, self._in_flight = True, None
        return False

    def of_what_is_known(self: GroupMachine, request: Any) -> Any:
        with patch.object(self, "_stored", replace(self._stored, members=self._members)):
            return answer(self, request)

    return ((GroupMachine, "heartbeat", at_once), (GroupMachine, "answer", of_what_is_known))


@_bug
def accept_any_commit() -> Replacements:
    """Who commits is not looked at."""
    return ((machine, "commit_errors", lambda *given: dict.fromkeys(given[3])),)


@_bug
def expire_nobody() -> Replacements:
    """The dead keep what they have."""
    expired = MemberTimers.expired

    def nobody(self: MemberTimers, members: Any, now_ms: int) -> list[str]:
        expired(self, members, now_ms)
        return []

    return ((MemberTimers, "expired", nobody),)


@_bug
def expire_who_lives() -> Replacements:
    """Only a member's first heartbeat counts as a sign of life."""
    heard = MemberTimers.heard

    def once(self: MemberTimers, member: Member, now_ms: int) -> None:
        if member.id not in self._heard_ms:
            heard(self, member, now_ms)

    return ((MemberTimers, "heard", once),)


@_bug
def coordinate_without_looking() -> Replacements:
    """A quiet coordinator never asks whether it is still the one (GRP-14)."""

    async def sure(self: CoordinatedGroup) -> None:
        self._check_open()

    return ((CoordinatedGroup, "_make_sure", sure),)


@_bug
def coordinate_without_claiming() -> Replacements:
    """A new coordinator does not make the state its own (GRP-11)."""

    async def reading(self: GroupTable, name: str, create: bool) -> Any:
        stored = await self._around.store.load(name)
        return stored if stored is not None or not create else await claim(self, name, create)

    claim = GroupTable._claim
    return ((GroupTable, "_claim", reading),)
