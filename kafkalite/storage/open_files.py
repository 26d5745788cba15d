"""A bound on open segment files, so that any number of logs fits any limit on descriptors."""

import resource
from typing import Final, Protocol

from kafkalite.storage.files import Disk

_SHARE_OF_LIMIT: Final = 4
_FEWEST: Final = 16
_MOST: Final = 8192


def default_limit() -> int:
    """How many segment files stay open: a quarter of the process's soft limit, 16 to 8192.

    The rest is for connections, for reads and flushes under way, and for small files.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _MOST
    return max(_FEWEST, min(soft // _SHARE_OF_LIMIT, _MOST))


class FileOwner(Protocol):
    """Who can be asked to let go of its open file."""

    recently_used: bool
    """Set by the owner at each use; it then gets a second chance."""

    def release(self) -> None:
        """Let go of the open file; it is opened again at the next use."""


class OpenFiles:
    """The owners of open files, least recently used first (by second chance, which is cheaper).

    One for all logs of a broker; belongs to their owner, without locks. Only `forget` may come from
    another thread, when a log is closed there.
    """

    def __init__(self, disk: Disk, limit: int | None = None) -> None:
        self.disk = disk
        self.limit = limit if limit is not None else default_limit()
        self._owners: dict[FileOwner, None] = {}

    def __len__(self) -> int:
        return len(self._owners)

    def admit(self, owner: FileOwner) -> None:
        """Make room for the file that `owner` is about to open."""
        owners = self._owners
        while len(owners) >= self.limit:
            oldest = next(iter(owners))
            owners.pop(oldest, None)
            if oldest.recently_used:
                oldest.recently_used = False
                owners[oldest] = None
            else:
                oldest.release()
        owners[owner] = None

    def forget(self, owner: FileOwner) -> None:
        """The owner has let go of its file by itself."""
        self._owners.pop(owner, None)
