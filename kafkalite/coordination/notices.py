"""Change notices: sequential znodes under one parent, read once each, in order."""

from collections.abc import Callable
from typing import Final

from kafkalite.coordination import codec, paths
from kafkalite.coordination.bridge import KazooBridge
from kafkalite.coordination.operations import Create, Znode

_SEQUENCE_DIGITS: Final = 10


class NoticeReader:
    """Reads what is new under a parent znode, and sets the watch that says when to look again.

    A notice is a hint: whoever missed some reads everything again. One owner, on the event loop.
    """

    def __init__(self, bridge: KazooBridge, parent: str, watch: Callable[[], None]) -> None:
        self._bridge = bridge
        self._parent = parent
        self._watch = watch
        self._last = -1
        self._count = 0

    @property
    def count(self) -> int:
        """How many there were when last looked."""
        return self._count

    async def skip(self) -> None:
        """Pass over what is there: everything that the notices speak of is about to be read."""
        names = await self._list()
        self._last = max((sequence for sequence, _ in names), default=-1)

    async def read_new(self) -> list[tuple[str, Znode]] | None:
        """Path and znode of each notice that is new, oldest first.

        None when some were removed before they were read: read everything.
        """
        names = await self._list()
        new = [(sequence, name) for sequence, name in names if sequence > self._last]
        if not new:
            return []
        # ZooKeeper numbers them without a gap, and who finds one too many reads too much.
        expected = range(self._last + 1, self._last + 1 + len(new))
        if [sequence for sequence, _ in new] != list(expected):
            return None
        paths = [f"{self._parent}/{name}" for _, name in new]
        znodes = await self._bridge.get_many(paths)
        found = [(path, znode) for path, znode in zip(paths, znodes, strict=True) if znode]
        if len(found) < len(paths):
            return None
        self._last = new[-1][0]
        return found

    async def _list(self) -> list[tuple[int, str]]:
        names = await self._bridge.children(self._parent, self._watch) or []
        self._count = len(names)
        return sorted(
            (int(name[-_SEQUENCE_DIGITS:]), name)
            for name in names
            if name[-_SEQUENCE_DIGITS:].isdecimal()
        )


def topic_notice(name: str) -> Create:
    """The operation that tells everybody to read a topic again."""
    return Create(paths.state_change(), codec.encode_change_notice([name]), sequential=True)


async def oldest_notices(bridge: KazooBridge, parent: str, keep: int) -> list[str]:
    """Paths of all notices but the newest `keep`, oldest first."""
    names = await bridge.children(parent) or []
    names.sort(key=lambda name: name[-_SEQUENCE_DIGITS:])
    return [f"{parent}/{name}" for name in names[: max(0, len(names) - keep)]]
