"""The tree of znodes, and the edit that changes it under one zxid. Pure.

Nothing here asks who may do what or whether a version fits: those rules are in `operations.py`.
"""

import struct
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from kafkalite.zkserver import acl, paths
from kafkalite.zkserver.acl import AclList
from kafkalite.zkserver.watches import EventType

_STAT = struct.Struct("!qqqqiiiqiiq")
_VERSION_MASK = 0x7FFFFFFF

# The owner of a znode that is not ephemeral says what else it is (ZooKeeper's EphemeralType).
CONTAINER = -(1 << 63)
_TTL_MARK = -(1 << 56)
_TTL_MASK = (1 << 40) - 1
MAX_TTL_MS = _TTL_MASK


def ttl_owner(ttl_ms: int) -> int:
    """The owner that marks a znode to be removed after `ttl_ms` without change or children."""
    return _TTL_MARK | ttl_ms


def ttl_of(owner: int) -> int | None:
    """The time to live that `owner` stands for, in milliseconds, or None."""
    return owner & _TTL_MASK if owner != CONTAINER and owner < 0 else None


class ZnodeRecord(NamedTuple):
    """What is stored of a znode; its children are found by their paths."""

    path: str
    data: bytes | None
    acl: AclList
    czxid: int
    mzxid: int
    pzxid: int
    ctime: int
    mtime: int
    version: int
    cversion: int
    aversion: int
    owner: int


class Znode:
    """One znode. Changed by `Edit` only.

    `cversion` counts the children ever created, so it is also the next sequence number below
    this znode: deletions do not take it back.
    """

    __slots__ = (
        "acl", "aversion", "children", "ctime", "cversion", "czxid", "data", "mtime", "mzxid",
        "owner", "pzxid", "version",
    )  # fmt: skip

    def __init__(self, data: bytes | None, acl_list: AclList, owner: int = 0) -> None:
        self.data = data
        self.acl = acl_list
        self.owner = owner
        self.czxid = self.mzxid = self.pzxid = 0
        self.ctime = self.mtime = 0
        self.version = self.cversion = self.aversion = 0
        self.children: set[str] = set()

    @property
    def is_ephemeral(self) -> bool:
        return self.owner > 0

    def stat(self) -> bytes:
        """The Stat structure as it goes over the wire."""
        child_count = len(self.children)
        # Clients see creations and deletions counted; only creations are kept. Java's int wraps.
        shown = (self.cversion * 2 - child_count + (1 << 31)) % (1 << 32) - (1 << 31)
        return _STAT.pack(
            self.czxid,
            self.mzxid,
            self.ctime,
            self.mtime,
            self.version,
            shown,
            self.aversion,
            self.owner if self.is_ephemeral else 0,
            len(self.data or b""),
            child_count,
            self.pzxid,
        )


class Tree:
    """All znodes by path. Owned by the machine, used on its thread only; read freely, change
    with `edit()`."""

    def __init__(self) -> None:
        self._nodes: dict[str, Znode] = {}
        self.ephemerals: dict[int, set[str]] = {}
        """Paths of ephemeral znodes by owning session; no empty sets."""
        self.perishable: set[str] = set()
        """Paths of containers and of znodes with a time to live."""
        self.data_size = 0
        """Bytes of paths and data."""
        for path in paths.SYSTEM_PATHS:
            self._insert(path, Znode(b"", acl.OPEN))
        config = self._nodes[paths.CONFIG]
        config.acl, config.aversion = acl.READ_ONLY, -1

    def __len__(self) -> int:
        return len(self._nodes)

    def get(self, path: str) -> Znode | None:
        return self._nodes.get(path)

    def restore(self, records: Iterator[ZnodeRecord]) -> None:
        """Take in stored znodes, in any order, over the ones ZooKeeper makes itself."""
        for record in records:
            path = record.path
            node = self._nodes.get(path)
            if node is None:
                node = Znode(record.data, record.acl, record.owner)
                self._nodes[path] = node
                self._account(path, node)
            node.data, node.acl = record.data, record.acl
            node.czxid, node.mzxid, node.pzxid = record.czxid, record.mzxid, record.pzxid
            node.ctime, node.mtime = record.ctime, record.mtime
            node.version, node.cversion = record.version, record.cversion
            node.aversion = record.aversion
        for path in self._nodes:
            if path != paths.ROOT:
                parent, name = paths.split(path)
                self._nodes[parent].children.add(name)

    def record(self, path: str) -> ZnodeRecord | None:
        """What is to be stored of the znode at `path`, None when there is none."""
        node = self._nodes.get(path)
        if node is None:
            return None
        return ZnodeRecord(
            path,
            node.data,
            node.acl,
            node.czxid,
            node.mzxid,
            node.pzxid,
            node.ctime,
            node.mtime,
            node.version,
            node.cversion,
            node.aversion,
            node.owner,
        )

    def edit(self, zxid: int, wall_ms: int) -> "Edit":
        """Begin to change the tree; see `Edit`."""
        return Edit(self, zxid, wall_ms)

    def expired(self, wall_ms: int) -> list[str]:
        """Containers that have lost their last child, and znodes whose time to live is over."""
        return [path for path in self.perishable if self._is_expired(path, wall_ms)]

    def _is_expired(self, path: str, wall_ms: int) -> bool:
        node = self._nodes[path]
        if node.children:
            return False
        ttl_ms = ttl_of(node.owner)
        if ttl_ms is None:
            return node.cversion > 0
        return wall_ms - node.mtime > ttl_ms

    def _insert(self, path: str, node: Znode) -> None:
        self._nodes[path] = node
        if path != paths.ROOT:
            parent, name = paths.split(path)
            self._nodes[parent].children.add(name)
        self._account(path, node)

    def _account(self, path: str, node: Znode) -> None:
        self.data_size += len(path) + len(node.data or b"")
        if node.is_ephemeral:
            self.ephemerals.setdefault(node.owner, set()).add(path)
        elif node.owner:
            self.perishable.add(path)

    def _remove(self, path: str) -> Znode:
        node = self._nodes.pop(path)
        parent, name = paths.split(path)
        self._nodes[parent].children.discard(name)
        self.data_size -= len(path) + len(node.data or b"")
        self.perishable.discard(path)
        owned = self.ephemerals.get(node.owner)
        if owned is not None:
            owned.discard(path)
            if not owned:
                del self.ephemerals[node.owner]
        return node


class Edit:
    """Changes of the tree under one zxid: visible at once, and undone together by `rollback()`.

    Each method demands a valid path and, but for `create`, that the znode is there.
    """

    __slots__ = ("_tree", "_undo", "_wall_ms", "_zxid", "events", "touched")

    def __init__(self, tree: Tree, zxid: int, wall_ms: int) -> None:
        self._tree = tree
        self._zxid = zxid
        self._wall_ms = wall_ms
        self._undo: list[Callable[[], object]] = []
        self.events: list[tuple[EventType, str]] = []
        """What watchers may want to hear, in order."""
        self.touched: set[str] = set()
        """Paths to be stored: changed, made or gone."""

    @property
    def tree(self) -> Tree:
        return self._tree

    def create(self, path: str, data: bytes | None, acl_list: AclList, owner: int) -> Znode:
        """Make a znode below an existing parent."""
        parent_path = paths.split(path)[0]
        parent = self._require(parent_path)
        node = Znode(data, acl_list, owner)
        node.czxid = node.mzxid = node.pzxid = self._zxid
        node.ctime = node.mtime = self._wall_ms
        self._touch_parent(parent_path, parent, parent.cversion + 1)
        self._tree._insert(path, node)
        self._undo.append(partial(self._tree._remove, path))
        self.touched.add(path)
        self.events += [(EventType.CREATED, path), (EventType.CHILDREN_CHANGED, parent_path)]
        return node

    def delete(self, path: str) -> None:
        """Remove a znode that has no children."""
        parent_path = paths.split(path)[0]
        parent = self._require(parent_path)
        node = self._tree._remove(path)
        self._undo.append(partial(self._tree._insert, path, node))
        self._touch_parent(parent_path, parent, parent.cversion)
        self.touched.add(path)
        self.events += [(EventType.DELETED, path), (EventType.CHILDREN_CHANGED, parent_path)]

    def set_data(self, path: str, data: bytes | None) -> Znode:
        node = self._require(path)
        self._undo.append(
            partial(self._set_data, node, node.data, node.version, node.mzxid, node.mtime)
        )
        version = (node.version + 1) & _VERSION_MASK
        self._set_data(node, data, version, self._zxid, self._wall_ms)
        self.touched.add(path)
        self.events.append((EventType.DATA_CHANGED, path))
        return node

    def set_acl(self, path: str, acl_list: AclList) -> Znode:
        node = self._require(path)
        self._undo.append(partial(_set_acl, node, node.acl, node.aversion))
        _set_acl(node, acl_list, (node.aversion + 1) & _VERSION_MASK)
        self.touched.add(path)
        return node

    def rollback(self) -> None:
        """Undo everything; the edit is over."""
        for undo in reversed(self._undo):
            undo()
        self._undo.clear()
        self.events.clear()
        self.touched.clear()

    def _require(self, path: str) -> Znode:
        node = self._tree.get(path)
        if node is None:
            raise LookupError(path)
        return node

    def _touch_parent(self, path: str, parent: Znode, cversion: int) -> None:
        self._undo.append(partial(_set_children_version, parent, parent.cversion, parent.pzxid))
        _set_children_version(parent, cversion, self._zxid)
        self.touched.add(path)

    def _set_data(
        self, node: Znode, data: bytes | None, version: int, mzxid: int, mtime: int
    ) -> None:
        self._tree.data_size += len(data or b"") - len(node.data or b"")
        node.data, node.version, node.mzxid, node.mtime = data, version, mzxid, mtime


def _set_acl(node: Znode, acl_list: AclList, aversion: int) -> None:
    node.acl, node.aversion = acl_list, aversion


def _set_children_version(parent: Znode, cversion: int, pzxid: int) -> None:
    parent.cversion, parent.pzxid = cversion, pzxid
