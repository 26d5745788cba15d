"""The tree and its edits: figures, indexes, and a rollback that leaves nothing behind."""

import struct
from copy import deepcopy

import pytest

from kafkalite.zkserver import paths
from kafkalite.zkserver.acl import OPEN, READ_ONLY
from kafkalite.zkserver.tree import (
    CONTAINER,
    MAX_TTL_MS,
    Tree,
    ZnodeRecord,
    ttl_of,
    ttl_owner,
)
from kafkalite.zkserver.watches import EventType

_STAT = struct.Struct("!qqqqiiiqiiq")
_SESSION = 77


@pytest.fixture
def tree() -> Tree:
    """`/a` with the data `one`, made at zxid 1."""
    tree = Tree()
    tree.edit(1, 1000).create("/a", b"one", OPEN, 0)
    return tree


def _picture(tree: Tree) -> dict[str, ZnodeRecord | None]:
    """All that is stored, by a walk from the root."""
    records: dict[str, ZnodeRecord | None] = {}
    pending = [paths.ROOT]
    while pending:
        path = pending.pop()
        node = tree.get(path)
        assert node is not None
        records[path] = tree.record(path)
        pending += [paths.join(path, name) for name in node.children]
    return records


def _stat(tree: Tree, path: str) -> tuple[int, ...]:
    node = tree.get(path)
    assert node is not None
    return _STAT.unpack(node.stat())


def test_new_tree_holds_the_znodes_that_zookeeper_makes_itself() -> None:
    tree = Tree()
    assert set(_picture(tree)) == {"/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"}
    config = tree.get("/zookeeper/config")
    assert config is not None
    assert (config.acl, config.aversion) == (READ_ONLY, -1)


def test_stat_shows_zxids_times_versions_and_sizes(tree: Tree) -> None:
    tree.edit(2, 2000).set_data("/a", b"four")
    tree.edit(3, 3000).create("/a/b", None, OPEN, _SESSION)
    tree.edit(4, 4000).set_acl("/a", READ_ONLY)
    assert _stat(tree, "/a") == (1, 2, 1000, 2000, 1, 1, 1, 0, 4, 1, 3)
    assert _stat(tree, "/a/b") == (3, 3, 3000, 3000, 0, 0, 0, _SESSION, 0, 0, 3)


def test_children_version_shows_creations_and_deletions_but_keeps_creations(tree: Tree) -> None:
    for number in range(3):
        tree.edit(number + 2, 0).create(f"/a/{number}", b"", OPEN, 0)
    tree.edit(5, 0).delete("/a/0")
    node = tree.get("/a")
    assert node is not None
    assert node.cversion == 3
    assert _stat(tree, "/a")[5] == 4
    assert node.pzxid == 5


def test_version_starts_again_when_java_would_overflow(tree: Tree) -> None:
    node = tree.get("/a")
    assert node is not None
    node.version = 2**31 - 1
    tree.edit(2, 0).set_data("/a", b"")
    assert node.version == 0


def test_ephemerals_are_known_by_their_session(tree: Tree) -> None:
    tree.edit(2, 0).create("/e", b"", OPEN, _SESSION)
    tree.edit(3, 0).create("/f", b"", OPEN, _SESSION)
    assert tree.ephemerals == {_SESSION: {"/e", "/f"}}
    tree.edit(4, 0).delete("/e")
    tree.edit(5, 0).delete("/f")
    assert tree.ephemerals == {}


def test_data_size_counts_paths_and_data(tree: Tree) -> None:
    before = tree.data_size
    tree.edit(2, 0).create("/a/b", b"1234", OPEN, 0)
    assert tree.data_size == before + 8
    tree.edit(3, 0).set_data("/a/b", None)
    assert tree.data_size == before + 4
    tree.edit(4, 0).delete("/a/b")
    assert tree.data_size == before


def test_edit_tells_its_events_in_order_and_the_paths_to_store(tree: Tree) -> None:
    edit = tree.edit(2, 0)
    edit.create("/a/b", b"", OPEN, 0)
    edit.set_data("/a", b"x")
    edit.set_acl("/a/b", READ_ONLY)
    edit.delete("/a/b")
    assert edit.events == [
        (EventType.CREATED, "/a/b"),
        (EventType.CHILDREN_CHANGED, "/a"),
        (EventType.DATA_CHANGED, "/a"),
        (EventType.DELETED, "/a/b"),
        (EventType.CHILDREN_CHANGED, "/a"),
    ]
    assert edit.touched == {"/a", "/a/b"}
    assert tree.record("/a/b") is None


def test_rollback_leaves_nothing_behind(tree: Tree) -> None:
    tree.edit(2, 2000).create("/a/old", b"old", OPEN, _SESSION)
    before = _picture(tree), deepcopy(tree.ephemerals), set(tree.perishable), tree.data_size
    edit = tree.edit(3, 3000)
    edit.delete("/a/old")
    edit.create("/a/old", b"other", READ_ONLY, 0)
    edit.set_data("/a/old", b"third")
    edit.set_acl("/a", READ_ONLY)
    edit.set_data("/a", b"changed")
    edit.create("/a/container", b"", OPEN, CONTAINER)
    edit.create("/a/ephemeral", b"", OPEN, 88)
    edit.rollback()
    after = _picture(tree), tree.ephemerals, tree.perishable, tree.data_size
    assert after == before
    assert (edit.events, edit.touched) == ([], set())


def test_edit_demands_that_the_znode_is_there(tree: Tree) -> None:
    with pytest.raises(LookupError):
        tree.edit(2, 0).set_data("/missing", b"")


def test_restored_tree_is_the_same_in_whatever_order_it_is_read(tree: Tree) -> None:
    tree.edit(2, 2000).create("/a/b", b"two", READ_ONLY, _SESSION)
    tree.edit(3, 3000).create("/a/c", None, OPEN, CONTAINER)
    tree.edit(4, 4000).set_data("/", b"root")
    picture = _picture(tree)
    for backwards in (False, True):
        again = Tree()
        records = [record for _, record in sorted(picture.items(), reverse=backwards) if record]
        again.restore(iter(records))
        assert _picture(again) == picture
        assert again.ephemerals == {_SESSION: {"/a/b"}}
        assert again.perishable == {"/a/c"}
        assert len(again) == len(tree)


def test_container_is_expired_when_it_has_lost_its_last_child(tree: Tree) -> None:
    tree.edit(2, 0).create("/a/c", b"", OPEN, CONTAINER)
    assert tree.expired(10**9) == []
    tree.edit(3, 0).create("/a/c/child", b"", OPEN, 0)
    assert tree.expired(10**9) == []
    tree.edit(4, 0).delete("/a/c/child")
    assert tree.expired(0) == ["/a/c"]


def test_znode_is_expired_when_its_time_to_live_is_over(tree: Tree) -> None:
    tree.edit(2, 1000).create("/a/t", b"", OPEN, ttl_owner(500))
    assert tree.expired(1500) == []
    assert tree.expired(1501) == ["/a/t"]
    tree.edit(3, 1400).set_data("/a/t", b"")
    assert tree.expired(1501) == []
    tree.edit(4, 1450).create("/a/t/child", b"", OPEN, 0)
    assert tree.expired(10**9) == []


@pytest.mark.parametrize("ttl_ms", [1, 60_000, MAX_TTL_MS])
def test_owner_stands_for_its_time_to_live(ttl_ms: int) -> None:
    assert ttl_of(ttl_owner(ttl_ms)) == ttl_ms


@pytest.mark.parametrize("owner", [0, _SESSION, CONTAINER])
def test_other_owners_have_no_time_to_live(owner: int) -> None:
    assert ttl_of(owner) is None
