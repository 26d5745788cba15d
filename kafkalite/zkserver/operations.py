"""ZooKeeper's rules: what each request does, and which error it gets in which order. Pure.

Each function gives the body of the answer or raises ZooKeeperError; a function that raises has
changed nothing. The order of the checks is ZooKeeper's, since clients see which comes first.
"""

import enum
from collections.abc import Callable, Collection
from typing import NamedTuple

from kafkalite.zkserver import acl, paths, replies
from kafkalite.zkserver.acl import Identity, Permission
from kafkalite.zkserver.errors import ErrorCode, ZooKeeperError
from kafkalite.zkserver.jute import pack_buffer, pack_string
from kafkalite.zkserver.requests import (
    CheckRequest,
    CreateRequest,
    DeleteRequest,
    MultiRequest,
    OpCode,
    SetAclRequest,
    SetDataRequest,
    WriteRequest,
)
from kafkalite.zkserver.tree import CONTAINER, MAX_TTL_MS, Edit, Tree, Znode, ttl_owner


class Caller(NamedTuple):
    """Who asks."""

    session_id: int
    identities: Collection[Identity]


class _CreateMode(enum.IntEnum):
    PERSISTENT = 0
    EPHEMERAL = 1
    PERSISTENT_SEQUENTIAL = 2
    EPHEMERAL_SEQUENTIAL = 3
    CONTAINER = 4
    PERSISTENT_WITH_TTL = 5
    PERSISTENT_SEQUENTIAL_WITH_TTL = 6


_SEQUENTIAL = {
    _CreateMode.PERSISTENT_SEQUENTIAL,
    _CreateMode.EPHEMERAL_SEQUENTIAL,
    _CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL,
}
_WITH_TTL = {_CreateMode.PERSISTENT_WITH_TTL, _CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL}
_PLAIN = set(_CreateMode) - _WITH_TTL - {_CreateMode.CONTAINER}
_EPHEMERAL = {_CreateMode.EPHEMERAL, _CreateMode.EPHEMERAL_SEQUENTIAL}


# -- writes ---------------------------------------------------------------------------------------


def write(edit: Edit, op: OpCode, request: WriteRequest, caller: Caller) -> bytes:
    """Do one write."""
    if isinstance(request, CreateRequest):
        return _create(edit, op, request, caller)
    if isinstance(request, SetDataRequest):
        return _set_data(edit, request, caller)
    if isinstance(request, DeleteRequest):
        return _delete(edit, request, caller)
    if isinstance(request, CheckRequest):
        return _check(edit, request, caller)
    return _set_acl(edit, request, caller)


def multi(edit: Edit, request: MultiRequest, caller: Caller) -> bytes:
    """Do all writes, or none: the body then says which one failed and how."""
    results: list[tuple[int, bytes]] = []
    for index, (asked_op, operation) in enumerate(request.operations):
        op = _op_in_transaction(asked_op, operation)
        try:
            results.append((op, write(edit, op, operation, caller)))
        except ZooKeeperError as error:
            edit.rollback()
            return replies.multi_failure(len(request.operations), index, error.code)
    return replies.multi_results(results)


def _op_in_transaction(op: OpCode, request: WriteRequest) -> OpCode:
    """ZooKeeper keeps the flags of a creation here, not which of its requests it came by."""
    if not isinstance(request, CreateRequest):
        return op
    return OpCode.CREATE if request.flags in _PLAIN else OpCode.CREATE2


def close_session(edit: Edit, session_id: int) -> None:
    """Delete what the session owns; ephemeral znodes have no children, so any order does."""
    for path in sorted(edit.tree.ephemerals.get(session_id, ())):
        edit.delete(path)


def delete_if_expired(edit: Edit, path: str) -> None:
    """Delete a container or a znode whose time is over, unless it has gone or grown meanwhile."""
    node = edit.tree.get(path)
    if node is not None and not node.children:
        edit.delete(path)


def _create(edit: Edit, op: OpCode, request: CreateRequest, caller: Caller) -> bytes:
    mode, owner = _mode_and_owner(request, caller.session_id)
    path = request.path
    # The last name may be empty here: a sequence number still follows it.
    if "/" not in path or "\0" in path:
        raise ZooKeeperError(ErrorCode.BAD_ARGUMENTS)
    parent_path = paths.split(path)[0]
    resolved = acl.resolve(request.acl, caller.identities)
    parent = _existing(edit.tree, parent_path)
    acl.check(parent.acl, Permission.CREATE, caller.identities)
    if mode in _SEQUENTIAL:
        path = f"{path}{parent.cversion:010d}"
    paths.validate(path)
    if edit.tree.get(path) is not None:
        raise ZooKeeperError(ErrorCode.NODE_EXISTS)
    if parent.is_ephemeral:
        raise ZooKeeperError(ErrorCode.NO_CHILDREN_FOR_EPHEMERALS)
    node = edit.create(path, request.data, resolved, owner)
    body = pack_string(path)
    return body if op is OpCode.CREATE else body + node.stat()


def _mode_and_owner(request: CreateRequest, session_id: int) -> tuple[_CreateMode, int]:
    try:
        mode = _CreateMode(request.flags)
    except ValueError:
        raise ZooKeeperError(ErrorCode.BAD_ARGUMENTS) from None
    if mode in _WITH_TTL:
        if not 0 < request.ttl_ms <= MAX_TTL_MS:
            raise ZooKeeperError(ErrorCode.BAD_ARGUMENTS)
        return mode, ttl_owner(request.ttl_ms)
    if mode in _EPHEMERAL:
        return mode, session_id
    return mode, CONTAINER if mode is _CreateMode.CONTAINER else 0


def _delete(edit: Edit, request: DeleteRequest, caller: Caller) -> bytes:
    path = request.path
    if "/" not in path or "\0" in path or path in paths.SYSTEM_PATHS:
        raise ZooKeeperError(ErrorCode.BAD_ARGUMENTS)
    parent = _existing(edit.tree, paths.split(path)[0])
    acl.check(parent.acl, Permission.DELETE, caller.identities)
    node = _existing(edit.tree, path)
    _check_version(node.version, request.version)
    if node.children:
        raise ZooKeeperError(ErrorCode.NOT_EMPTY)
    edit.delete(path)
    return b""


def _set_data(edit: Edit, request: SetDataRequest, caller: Caller) -> bytes:
    node = _at(edit.tree, request.path)
    acl.check(node.acl, Permission.WRITE, caller.identities)
    _check_version(node.version, request.version)
    return edit.set_data(request.path, request.data).stat()


def _set_acl(edit: Edit, request: SetAclRequest, caller: Caller) -> bytes:
    paths.validate(request.path)
    resolved = acl.resolve(request.acl, caller.identities)
    node = _existing(edit.tree, request.path)
    acl.check(node.acl, Permission.ADMIN, caller.identities)
    _check_version(node.aversion, request.version)
    return edit.set_acl(request.path, resolved).stat()


def _check(edit: Edit, request: CheckRequest, caller: Caller) -> bytes:
    node = _at(edit.tree, request.path)
    acl.check(node.acl, Permission.READ, caller.identities)
    _check_version(node.version, request.version)
    return b""


# -- reads ----------------------------------------------------------------------------------------


def _exists(tree: Tree, path: str, _caller: Caller) -> bytes:
    return _at(tree, path).stat()


def _get_data(tree: Tree, path: str, caller: Caller) -> bytes:
    node = _at(tree, path)
    acl.check(node.acl, Permission.READ, caller.identities)
    return pack_buffer(node.data) + node.stat()


def _get_acl(tree: Tree, path: str, caller: Caller) -> bytes:
    node = _at(tree, path)
    acl.check(node.acl, Permission.READ | Permission.ADMIN, caller.identities)
    shown = node.acl
    if not acl.allows(shown, Permission.ADMIN, caller.identities):
        shown = acl.without_digests(shown)
    return replies.acls(shown) + node.stat()


def _get_children(tree: Tree, path: str, caller: Caller) -> bytes:
    node = _at(tree, path)
    acl.check(node.acl, Permission.READ, caller.identities)
    return replies.names(node.children)


def _get_children_and_stat(tree: Tree, path: str, caller: Caller) -> bytes:
    return _get_children(tree, path, caller) + _at(tree, path).stat()


def _sync(_tree: Tree, path: str, _caller: Caller) -> bytes:
    return pack_string(path)


READS: dict[OpCode, Callable[[Tree, str, Caller], bytes]] = {
    OpCode.EXISTS: _exists,
    OpCode.GET_DATA: _get_data,
    OpCode.GET_CHILDREN: _get_children,
    OpCode.GET_CHILDREN2: _get_children_and_stat,
    OpCode.GET_ACL: _get_acl,
    OpCode.SYNC: _sync,
}


# -- shared checks --------------------------------------------------------------------------------


def _at(tree: Tree, path: str) -> Znode:
    node = tree.get(path)
    if node is None:
        # A path that is in the tree is valid; only the others need the look.
        paths.validate(path)
        raise ZooKeeperError(ErrorCode.NO_NODE)
    return node


def _existing(tree: Tree, path: str) -> Znode:
    node = tree.get(path)
    if node is None:
        raise ZooKeeperError(ErrorCode.NO_NODE)
    return node


def _check_version(version: int, expected: int) -> None:
    if expected not in {-1, version}:
        raise ZooKeeperError(ErrorCode.BAD_VERSION)
