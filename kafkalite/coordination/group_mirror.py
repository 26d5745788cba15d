"""Shows groups as Kafka's old tools, and people with a shell of ZooKeeper, expect them.

`/consumers/G/ids/M` and `/consumers/G/owners/T/P` are ephemeral and say who is in a group and what
each may consume. Nothing here reads them: they may be late, and what cannot be written is left out.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from kafkalite.broker.groups.ports import GroupPicture, Look
from kafkalite.broker.ports import StoreError
from kafkalite.coordination import group_codec, paths
from kafkalite.coordination.bridge import KazooBridge
from kafkalite.coordination.errors import TransactionFailedError
from kafkalite.coordination.operations import Create, Delete, Operation
from kafkalite.model.clock import Clock

_log = logging.getLogger(__name__)

_ZNODES_A_TRANSACTION: Final = 50
_MAX_ATTEMPTS: Final = 3
_AGAIN_AFTER_S: Final = 1.0

Znodes = dict[str, bytes]
"""Path -> data."""


class GroupMirror:
    """Writes what groups look like, one transaction at a time so that commits are not held up.

    Owns one task. Life: `start`, `show`, `stop`. On the event loop.
    """

    def __init__(self, bridge: KazooBridge, clock: Clock) -> None:
        self._bridge = bridge
        self._clock = clock
        self._wanted: dict[str, Look] = {}
        """Of the groups that are not shown as they are to be."""
        self._shown: dict[str, Znodes] = {}
        """What this session has written, by group."""
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="group-mirror")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    def show(self, group: str, look: Look) -> None:
        """See GroupStore."""
        self._wanted[group] = look
        self._news.set()

    def forget(self) -> None:
        """The session is gone, and what it showed with it."""
        self._shown.clear()

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._wanted:
                group, look = next(iter(self._wanted.items()))
                del self._wanted[group]
                try:
                    await self._write(group, look())
                except StoreError as error:
                    _log.debug("Showing group %s: %s", group, error)
                    self._wanted.setdefault(group, look)
                    await asyncio.sleep(_AGAIN_AFTER_S)
                except Exception:  # noqa: BLE001 - one group's looks must not take those of all
                    _log.exception("Showing group %s failed", group)

    async def _write(self, group: str, picture: GroupPicture | None) -> None:
        shown = self._shown.setdefault(group, {})
        wanted = {} if picture is None else self._znodes(group, picture, shown)
        doomed = [path for path in shown if path not in wanted]
        new = [path for path, data in wanted.items() if shown.get(path) != data]
        if new:
            await self._make_places(new)
        for start in range(0, len(doomed) + len(new), _ZNODES_A_TRANSACTION):
            some = (doomed + new)[start : start + _ZNODES_A_TRANSACTION]
            await self._replace(some, wanted, shown)
        if not shown:
            self._shown.pop(group, None)

    def _znodes(self, group: str, picture: GroupPicture, shown: Znodes) -> Znodes:
        now_ms = self._clock.wall_ms()
        znodes = {
            paths.group_member(group, member_id): group_codec.encode_mirrored_member(member, now_ms)
            for member_id, member in picture.members.items()
        }
        # The time is that of the first look: a member that stays the same is not written again.
        for path, data in znodes.items():
            before = shown.get(path)
            if before is not None and group_codec.is_same_member(before, data):
                znodes[path] = before
        for partition, member_id in picture.owners.items():
            znodes[paths.group_owner(group, *partition)] = member_id.encode()
        return znodes

    async def _make_places(self, new: Sequence[str]) -> None:
        """Create what is above znodes, group by group and topic by topic, where it is missing."""
        for above in sorted({path.rpartition("/")[0] for path in new}):
            await self._bridge.ensure(above)

    async def _replace(self, some: Sequence[str], wanted: Znodes, shown: Znodes) -> None:
        """Make znodes as they are wanted, whoever wrote what is there; others' are not removed."""
        for _ in range(_MAX_ATTEMPTS):
            found = await self._bridge.get_many(some)
            session = self._bridge.session
            own = 0 if session is None else session.session_id
            there = {
                path
                for path, znode in zip(some, found, strict=True)
                if znode is not None and (path in wanted or znode.owner == own)
            }
            operations: list[Operation] = [Delete(path) for path in some if path in there]
            operations += [
                Create(path, wanted[path], ephemeral=True) for path in some if path in wanted
            ]
            try:
                if operations:
                    await self._bridge.commit(operations)
            except TransactionFailedError as error:
                # A former coordinator's session ended meanwhile, or the group is gone.
                _log.debug("Showing a group: %s", error)
            else:
                for path in some:
                    if path in wanted:
                        shown[path] = wanted[path]
                    else:
                        shown.pop(path, None)
                return
        _log.info("%d znodes that show a group's members cannot be written", len(some))
