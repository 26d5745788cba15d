"""One-shot watches: who wants to know about what. Pure."""

import enum
from collections import defaultdict
from typing import Generic, NamedTuple, TypeVar

Watcher = TypeVar("Watcher")


class EventType(enum.IntEnum):
    """ZooKeeper's event types as they stand in a watch event."""

    CREATED = 1
    DELETED = 2
    DATA_CHANGED = 3
    CHILDREN_CHANGED = 4


class WatchKind(enum.Enum):
    """DATA: set by getData, and by exists even where no znode is. CHILDREN: by getChildren."""

    DATA = "data"
    CHILDREN = "children"


class _Watch(NamedTuple):
    kind: WatchKind
    path: str


class WatchTable(Generic[Watcher]):
    """Who watches what; a watch is gone once it has fired or its watcher has left.

    Owned by the machine, used on its thread only. Watchers are told in the order in which they
    came, so that a run can be repeated exactly.
    """

    def __init__(self) -> None:
        self._watchers: dict[_Watch, dict[Watcher, None]] = {}
        self._watches: defaultdict[Watcher, set[_Watch]] = defaultdict(set)

    def __len__(self) -> int:
        return sum(map(len, self._watchers.values()))

    def add(self, kind: WatchKind, path: str, watcher: Watcher) -> None:
        watch = _Watch(kind, path)
        self._watchers.setdefault(watch, {})[watcher] = None
        self._watches[watcher].add(watch)

    def remove_watcher(self, watcher: Watcher) -> None:
        """Forget all watches of one that has left."""
        for watch in self._watches.pop(watcher, ()):
            watchers = self._watchers[watch]
            del watchers[watcher]
            if not watchers:
                del self._watchers[watch]

    def fire(self, event: EventType, path: str) -> list[Watcher]:
        """Take out the watches that `event` at `path` triggers; gives whom to tell, each once."""
        if event is EventType.CHILDREN_CHANGED:
            return list(self._take(WatchKind.CHILDREN, path))
        watchers = self._take(WatchKind.DATA, path)
        if event is EventType.DELETED:
            # One event ends both kinds, so a watcher of both hears of the deletion once.
            watchers = {**watchers, **self._take(WatchKind.CHILDREN, path)}
        return list(watchers)

    def _take(self, kind: WatchKind, path: str) -> dict[Watcher, None]:
        watch = _Watch(kind, path)
        watchers = self._watchers.pop(watch, None)
        if watchers is None:
            return {}
        for watcher in watchers:
            watches = self._watches[watcher]
            watches.discard(watch)
            if not watches:
                del self._watches[watcher]
        return watchers
