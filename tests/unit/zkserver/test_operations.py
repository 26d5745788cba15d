"""ZooKeeper's rules: which error comes first, and who may do what."""

import pytest

from kafkalite.zkserver import acl, operations
from kafkalite.zkserver.acl import ANYONE, OPEN, READ_ONLY, Acl, AclList, Identity, Permission
from kafkalite.zkserver.errors import ErrorCode, ZooKeeperError
from kafkalite.zkserver.operations import Caller
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
from kafkalite.zkserver.tree import CONTAINER, Tree, Znode, ttl_of

_OWNER = acl.digest_identity(b"owner:secret")
_CALLER = Caller(7, [Identity("ip", "127.0.0.1")])
_OWNING_CALLER = Caller(8, [_OWNER])
_ANYBODY = [Acl(31, ANYONE)]
_OPS: dict[type[WriteRequest], OpCode] = {
    CreateRequest: OpCode.CREATE,
    DeleteRequest: OpCode.DELETE,
    SetDataRequest: OpCode.SET_DATA,
    SetAclRequest: OpCode.SET_ACL,
    CheckRequest: OpCode.CHECK,
}


def _allowing(*permissions: Permission) -> AclList:
    """Everything to the owner, `permissions` to anybody."""
    return (Acl(31, _OWNER), Acl(sum(permissions), ANYONE))


@pytest.fixture
def tree() -> Tree:
    """`/a` with the child `/a/b`, an ephemeral `/e`, and `/secret`, which is its owner's alone."""
    tree = Tree()
    edit = tree.edit(1, 0)
    edit.create("/a", b"", OPEN, 0)
    edit.create("/a/b", b"", OPEN, 0)
    edit.create("/e", b"", OPEN, 99)
    edit.create("/secret", b"", _allowing(), 0)
    return tree


def _write(tree: Tree, request: WriteRequest, caller: Caller = _CALLER) -> bytes:
    return operations.write(tree.edit(2, 0), _OPS[type(request)], request, caller)


def _refusal(tree: Tree, request: WriteRequest, caller: Caller = _CALLER) -> ErrorCode:
    with pytest.raises(ZooKeeperError) as raised:
        _write(tree, request, caller)
    return raised.value.code


def _node(tree: Tree, path: str) -> Znode:
    node = tree.get(path)
    assert node is not None
    return node


def _creation(path: str, flags: int = 0, ttl_ms: int = -1) -> CreateRequest:
    return CreateRequest(path, b"", _ANYBODY, flags, ttl_ms)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (_creation("/a", flags=9), ErrorCode.BAD_ARGUMENTS),
        (_creation("/a", flags=5, ttl_ms=0), ErrorCode.BAD_ARGUMENTS),
        (_creation("relative"), ErrorCode.BAD_ARGUMENTS),
        (_creation("/a\0"), ErrorCode.BAD_ARGUMENTS),
        (_creation("/a/"), ErrorCode.BAD_ARGUMENTS),
        (CreateRequest("/x/y", b"", [], 0, -1), ErrorCode.INVALID_ACL),
        (_creation("/x/y"), ErrorCode.NO_NODE),
        (_creation("/secret/x"), ErrorCode.NO_AUTH),
        (_creation("/a/b"), ErrorCode.NODE_EXISTS),
        (_creation("/e/x"), ErrorCode.NO_CHILDREN_FOR_EPHEMERALS),
        (DeleteRequest("/zookeeper", -1), ErrorCode.BAD_ARGUMENTS),
        (DeleteRequest("relative", -1), ErrorCode.BAD_ARGUMENTS),
        (DeleteRequest("/x/y", -1), ErrorCode.NO_NODE),
        (DeleteRequest("/secret/x", -1), ErrorCode.NO_AUTH),
        (DeleteRequest("/a/x", -1), ErrorCode.NO_NODE),
        (DeleteRequest("/a", 5), ErrorCode.BAD_VERSION),
        (DeleteRequest("/a", 0), ErrorCode.NOT_EMPTY),
        (SetDataRequest("relative", b"", -1), ErrorCode.BAD_ARGUMENTS),
        (SetDataRequest("/x", b"", -1), ErrorCode.NO_NODE),
        (SetDataRequest("/secret", b"", 5), ErrorCode.NO_AUTH),
        (SetDataRequest("/a", b"", 5), ErrorCode.BAD_VERSION),
        (SetAclRequest("relative", _ANYBODY, -1), ErrorCode.BAD_ARGUMENTS),
        (SetAclRequest("/x", [], -1), ErrorCode.INVALID_ACL),
        (SetAclRequest("/x", _ANYBODY, -1), ErrorCode.NO_NODE),
        (SetAclRequest("/secret", _ANYBODY, 5), ErrorCode.NO_AUTH),
        (SetAclRequest("/a", _ANYBODY, 5), ErrorCode.BAD_VERSION),
        (CheckRequest("/x", -1), ErrorCode.NO_NODE),
        (CheckRequest("/secret", 5), ErrorCode.NO_AUTH),
        (CheckRequest("/a", 5), ErrorCode.BAD_VERSION),
    ],
)
def test_write_is_refused_with_the_first_error_and_changes_nothing(
    tree: Tree, request_: WriteRequest, code: ErrorCode
) -> None:
    before = {path: tree.record(path) for path in ("/", "/a", "/a/b", "/e", "/secret")}
    size = len(tree)
    assert _refusal(tree, request_) is code
    assert {path: tree.record(path) for path in before} == before
    assert len(tree) == size


@pytest.mark.parametrize("version", [-1, 0])
def test_write_is_done_when_the_version_fits_or_none_is_asked_for(tree: Tree, version: int) -> None:
    _write(tree, CheckRequest("/a/b", version))
    _write(tree, SetDataRequest("/a", b"x", version))
    _write(tree, SetAclRequest("/a", [Acl(1, ANYONE), Acl(30, ANYONE)], version))
    _write(tree, DeleteRequest("/a/b", version))
    node = _node(tree, "/a")
    assert (node.data, node.version, node.aversion, node.children) == (b"x", 1, 1, set())
    assert [entry.permissions for entry in node.acl] == [1, 30]


@pytest.mark.parametrize(
    ("permission", "request_"),
    [
        (Permission.CREATE, _creation("/secret/x")),
        (Permission.DELETE, DeleteRequest("/secret/child", -1)),
        (Permission.WRITE, SetDataRequest("/secret", b"", -1)),
        (Permission.ADMIN, SetAclRequest("/secret", _ANYBODY, -1)),
        (Permission.READ, CheckRequest("/secret", -1)),
    ],
)
def test_each_write_needs_its_own_permission(
    tree: Tree, permission: Permission, request_: WriteRequest
) -> None:
    edit = tree.edit(2, 0)
    edit.create("/secret/child", b"", OPEN, 0)
    edit.set_acl("/secret", _allowing(*(set(Permission) - {permission})))
    assert _refusal(tree, request_) is ErrorCode.NO_AUTH
    edit.set_acl("/secret", _allowing(permission))
    _write(tree, request_)


def test_owner_may_do_what_others_may_not(tree: Tree) -> None:
    _write(tree, SetDataRequest("/secret", b"x", -1), _OWNING_CALLER)
    assert _node(tree, "/secret").data == b"x"


def test_sequence_number_is_the_parents_count_of_creations(tree: Tree) -> None:
    _write(tree, _creation("/a/s-", flags=2))
    _write(tree, DeleteRequest("/a/b", -1))
    _write(tree, _creation("/a/", flags=3))
    assert _node(tree, "/a").children == {"s-0000000001", "0000000002"}
    assert tree.ephemerals[_CALLER.session_id] == {"/a/0000000002"}


def test_mode_of_a_creation_is_kept_in_the_owner(tree: Tree) -> None:
    for path, flags, ttl_ms in [("/p", 0, -1), ("/c", 4, -1), ("/t", 5, 60), ("/t-", 6, 70)]:
        _write(tree, _creation(path, flags, ttl_ms))
    assert (_node(tree, "/p").owner, _node(tree, "/c").owner) == (0, CONTAINER)
    assert ttl_of(_node(tree, "/t").owner) == 60
    assert ttl_of(_node(tree, "/t-0000000006").owner) == 70


def test_transaction_is_undone_when_its_last_operation_fails(tree: Tree) -> None:
    edit = tree.edit(2, 0)
    request = MultiRequest(
        [
            (OpCode.CREATE, _creation("/a/new")),
            (OpCode.DELETE, DeleteRequest("/a/b", -1)),
            (OpCode.CHECK, CheckRequest("/a", 5)),
        ]
    )
    operations.multi(edit, request, _CALLER)
    assert (edit.touched, edit.events) == (set(), [])
    assert tree.get("/a/new") is None
    assert tree.get("/a/b") is not None


def test_closing_a_session_deletes_its_ephemerals_only(tree: Tree) -> None:
    edit = tree.edit(2, 0)
    operations.close_session(edit, 99)
    assert tree.get("/e") is None
    assert edit.touched == {"/", "/e"}
    operations.close_session(edit, 12345)
    assert edit.touched == {"/", "/e"}


@pytest.mark.parametrize("path", ["/gone", "/a"])
def test_expired_znode_is_left_when_it_has_gone_or_grown_meanwhile(tree: Tree, path: str) -> None:
    edit = tree.edit(2, 0)
    operations.delete_if_expired(edit, path)
    assert edit.touched == set()


@pytest.mark.parametrize("op", [OpCode.GET_DATA, OpCode.GET_CHILDREN, OpCode.GET_CHILDREN2])
def test_read_needs_the_permission_to_read(tree: Tree, op: OpCode) -> None:
    with pytest.raises(ZooKeeperError) as raised:
        operations.READS[op](tree, "/secret", _CALLER)
    assert raised.value.code is ErrorCode.NO_AUTH
    assert operations.READS[op](tree, "/secret", _OWNING_CALLER)


def test_anybody_may_ask_whether_a_znode_exists(tree: Tree) -> None:
    body = operations.READS[OpCode.EXISTS](tree, "/secret", _CALLER)
    assert body == _node(tree, "/secret").stat()


@pytest.mark.parametrize(("path", "code"), [("/x", ErrorCode.NO_NODE), ("x", -8)])
@pytest.mark.parametrize("op", sorted(set(operations.READS) - {OpCode.SYNC}))
def test_read_is_refused_when_nothing_is_there(
    tree: Tree, op: OpCode, path: str, code: ErrorCode
) -> None:
    with pytest.raises(ZooKeeperError) as raised:
        operations.READS[op](tree, path, _CALLER)
    assert raised.value.code == code


def test_acl_is_shown_whole_to_who_may_administer_only(tree: Tree) -> None:
    tree.edit(2, 0).set_acl("/secret", (Acl(31, _OWNER), *READ_ONLY))
    shown = operations.READS[OpCode.GET_ACL](tree, "/secret", _CALLER)
    whole = operations.READS[OpCode.GET_ACL](tree, "/secret", _OWNING_CALLER)
    assert _OWNER.id.encode() not in shown
    assert b"owner:x" in shown
    assert _OWNER.id.encode() in whole
