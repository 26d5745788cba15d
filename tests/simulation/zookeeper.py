"""A model of a ZooKeeper ensemble: znodes, versions, zxids, sessions, watches.

It answers one request at a time and in order, as an ensemble does for writes. How its clients are
connected, and when they hear, is `kazoo_client.py`'s. Pure: uses no loop and no clock but what
it is given.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from kafkalite.coordination.operations import (
    ANY_VERSION,
    Check,
    Create,
    Delete,
    Operation,
    SetData,
    Znode,
)

_SEQUENCE: Final = "{:010d}"


class RefusedError(Exception):
    """A request is refused; `reason` is the name of kazoo's exception."""

    def __init__(self, reason: str, index: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.index = index
        """Which operation of a transaction."""


@dataclass(slots=True)
class _Node:
    data: bytes
    created: int
    modified: int
    modified_ms: int
    owner: int = 0
    version: int = 0
    sequence: int = 0
    """Children ever made."""
    children: dict[str, None] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Session:
    """A session, for as long as the ensemble remembers it."""

    id: int
    password: bytes
    timeout_s: float
    is_alive: bool = True
    silent_since: float | None = None
    """When it was heard of last, while nothing is heard of it."""
    watches: dict[tuple[str, str], Callable[[], None]] = field(default_factory=dict)
    """(`data` or `children`, path) -> whom to tell, once."""


class ZooKeeperModel:
    """See the module. `on_write` is told of each znode that was written, changed or deleted."""

    def __init__(self, wall_ms: Callable[[], int]) -> None:
        self._wall_ms = wall_ms
        self._nodes: dict[str, _Node] = {"/": _Node(b"", 0, 0, 0)}
        self._sessions: dict[int, Session] = {}
        self._zxid = 0
        self._next_session = 0x1000
        self.on_write: list[Callable[[str, bytes | None, int], None]] = []
        """Path, data (None: deleted) and version."""

    # -- sessions -------------------------------------------------------------------------------

    def begin_session(self, timeout_s: float) -> Session:
        self._next_session += 1
        session = Session(self._next_session, self._next_session.to_bytes(16, "big"), timeout_s)
        self._sessions[session.id] = session
        return session

    def find_session(self, session_id: int, password: bytes) -> Session | None:
        session = self._sessions.get(session_id)
        return session if session is not None and session.password == password else None

    def end_session(self, session: Session) -> None:
        """Close or expire a session: its ephemeral znodes go."""
        if not session.is_alive:
            return
        session.is_alive = False
        session.watches.clear()
        del self._sessions[session.id]
        owned = [path for path, node in self._nodes.items() if node.owner == session.id]
        for path in owned:
            self._zxid += 1
            self._delete(path)

    def expire_silent(self, now: float) -> list[Session]:
        """End the sessions that were silent for their timeout; gives them."""
        expired = [
            session
            for session in self._sessions.values()
            if session.silent_since is not None and now - session.silent_since >= session.timeout_s
        ]
        for session in expired:
            self.end_session(session)
        return expired

    def touch_all(self, now: float) -> None:
        """Give every session its full timeout again."""
        for session in self._sessions.values():
            if session.silent_since is not None:
                session.silent_since = now

    # -- reading --------------------------------------------------------------------------------

    def get(self, path: str) -> Znode | None:
        node = self._nodes.get(path)
        if node is None:
            return None
        return Znode(
            node.data, node.version, node.created, node.modified, node.owner, node.modified_ms
        )

    def children(self, path: str) -> list[str] | None:
        node = self._nodes.get(path)
        return None if node is None else list(node.children)

    def watch(self, session: Session, kind: str, path: str, tell: Callable[[], None]) -> None:
        """Tell once when the data of `path`, or its existence, or its children change."""
        session.watches[kind, path] = tell

    # -- writing --------------------------------------------------------------------------------

    def commit(self, operations: Sequence[Operation], session: Session) -> list[int]:
        """Do all or nothing; gives the versions.

        Raises:
            RefusedError: nothing was done.
        """
        undo: list[Callable[[], None]] = []
        heard: list[Callable[[], None]] = []
        self._zxid += 1
        versions = []
        for index, operation in enumerate(operations):
            try:
                versions.append(self._do(operation, session, undo, heard))
            except RefusedError as error:
                for step in reversed(undo):
                    step()
                raise RefusedError(error.reason, index) from None
        for tell in heard:
            tell()
        return versions

    def ensure(self, path: str, session: Session) -> None:
        """Create a znode and those above it, where missing."""
        parts = path.strip("/").split("/")
        for count in range(1, len(parts) + 1):
            above = "/" + "/".join(parts[:count])
            if above not in self._nodes:
                self.commit([Create(above)], session)

    def _do(
        self,
        operation: Operation,
        session: Session,
        undo: list[Callable[[], None]],
        heard: list[Callable[[], None]],
    ) -> int:
        path = operation.path
        node = self._nodes.get(path)
        if isinstance(operation, Create):
            return self._create(operation, session, undo, heard)
        if node is None:
            raise RefusedError("NoNodeError")
        if operation.version not in {ANY_VERSION, node.version}:
            raise RefusedError("BadVersionError")
        if isinstance(operation, Check):
            return node.version
        if isinstance(operation, SetData):
            before = node.data, node.version, node.modified, node.modified_ms
            node.data, node.version = operation.data, node.version + 1
            node.modified, node.modified_ms = self._zxid, self._wall_ms()
            undo.append(lambda: _restore(node, before))
            heard.append(lambda: self._changed(path, node.data, node.version))
            return node.version
        assert isinstance(operation, Delete)
        if node.children:
            raise RefusedError("NotEmptyError")
        parent, name = _split(path)
        del self._nodes[path]
        siblings = dict(self._nodes[parent].children)
        del self._nodes[parent].children[name]

        def put_back() -> None:
            self._nodes[path] = node
            self._nodes[parent].children = siblings

        undo.append(put_back)
        heard.append(lambda: self._gone(path))
        return 0

    def _create(
        self,
        operation: Create,
        session: Session,
        undo: list[Callable[[], None]],
        heard: list[Callable[[], None]],
    ) -> int:
        parent, name = _split(operation.path)
        above = self._nodes.get(parent)
        if above is None:
            raise RefusedError("NoNodeError")
        if operation.sequential:
            name += _SEQUENCE.format(above.sequence)
        path = f"{parent.rstrip('/')}/{name}"
        if path in self._nodes:
            raise RefusedError("NodeExistsError")
        owner = session.id if operation.ephemeral else 0
        self._nodes[path] = _Node(operation.data, self._zxid, self._zxid, self._wall_ms(), owner)
        above.children[name] = None
        above.sequence += 1

        def take_back() -> None:
            del self._nodes[path]
            del above.children[name]
            above.sequence -= 1

        undo.append(take_back)
        heard.append(lambda: self._made(path, parent, operation.data))
        return 0

    def _delete(self, path: str) -> None:
        parent, name = _split(path)
        del self._nodes[path]
        del self._nodes[parent].children[name]
        self._gone(path)

    # -- telling --------------------------------------------------------------------------------

    def _made(self, path: str, parent: str, data: bytes) -> None:
        self._fire("data", path)
        self._fire("children", parent)
        self._report(path, data, 0)

    def _changed(self, path: str, data: bytes, version: int) -> None:
        self._fire("data", path)
        self._report(path, data, version)

    def _gone(self, path: str) -> None:
        self._fire("data", path)
        self._fire("children", path)
        self._fire("children", _split(path)[0])
        self._report(path, None, 0)

    def _fire(self, kind: str, path: str) -> None:
        for session in list(self._sessions.values()):
            tell = session.watches.pop((kind, path), None)
            if tell is not None:
                tell()

    def _report(self, path: str, data: bytes | None, version: int) -> None:
        for told in self.on_write:
            told(path, data, version)


def _split(path: str) -> tuple[str, str]:
    parent, _, name = path.rpartition("/")
    return parent or "/", name


def _restore(node: _Node, before: tuple[bytes, int, int, int]) -> None:
    node.data, node.version, node.modified, node.modified_ms = before
