"""SQLite keeps batches whole, and refuses what it cannot read."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from kafkalite.zkserver.acl import OPEN, READ_ONLY, Acl, Identity
from kafkalite.zkserver.errors import StorageError
from kafkalite.zkserver.machine import Batch, Stored
from kafkalite.zkserver.sessions import SessionRecord
from kafkalite.zkserver.store import ZnodeStore
from kafkalite.zkserver.tree import CONTAINER, ZnodeRecord

_SESSION = SessionRecord((1 << 62) + 5, b"p" * 16, 6000)
_DIGEST = (Acl(31, Identity("digest", "user:hash")), Acl(1, Identity("world", "anyone")))


def _znode(path: str, data: bytes | None = b"x") -> ZnodeRecord:
    return ZnodeRecord(path, data, OPEN, 1, 2, 3, 4, 5, 6, 7, 8, 0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ZnodeStore]:
    made = ZnodeStore(tmp_path)
    made.open()
    yield made
    made.close()


def _reopened(store: ZnodeStore) -> Stored:
    store.close()
    store.open()
    return store.load()


def test_new_store_is_empty(store: ZnodeStore) -> None:
    assert store.load() == Stored(0, 0, [], [])


def test_everything_is_read_back(store: ZnodeStore) -> None:
    znodes = {
        "/": _znode("/")._replace(acl=READ_ONLY),
        "/null": _znode("/null", None),
        "/empty": _znode("/empty", b"")._replace(acl=_DIGEST, owner=_SESSION.id),
        "/漢": _znode("/漢", b"\0\xff")._replace(owner=CONTAINER, aversion=-1),
    }
    store.commit(Batch(1 << 40, _SESSION.id, dict(znodes), {_SESSION.id: _SESSION}))
    stored = _reopened(store)
    assert (stored.zxid, stored.last_session_id) == (1 << 40, _SESSION.id)
    assert list(stored.sessions) == [_SESSION]
    assert {record.path: record for record in stored.znodes} == znodes


def test_open_list_is_shared_when_read_back(store: ZnodeStore) -> None:
    store.commit(Batch(1, 0, {"/a": _znode("/a")}, {}))
    (record,) = _reopened(store).znodes
    assert record.acl is OPEN


def test_later_batch_replaces_and_removes(store: ZnodeStore) -> None:
    store.commit(Batch(1, 5, {"/a": _znode("/a"), "/b": _znode("/b")}, {5: _SESSION}))
    changed = _znode("/a", b"changed")
    store.commit(Batch(2, 5, {"/a": changed, "/b": None, "/never": None}, {5: None, 6: None}))
    assert _reopened(store) == Stored(2, 5, [_SESSION], [changed])
    store.commit(Batch(3, 5, {}, {_SESSION.id: None}))
    assert _reopened(store).sessions == []


def test_second_process_cannot_read_by_mistake(store: ZnodeStore) -> None:
    store.commit(Batch(1, 0, {"/a": _znode("/a")}, {}))
    other = sqlite3.connect(store.path, timeout=0)
    try:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("SELECT * FROM znodes")
    finally:
        other.close()


def test_store_is_refused_when_it_is_of_a_later_version(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "znodes.sqlite")
    database.execute("PRAGMA user_version = 9")
    database.close()
    with pytest.raises(StorageError, match="format version 9, this server knows 1"):
        ZnodeStore(tmp_path).open()


def test_store_is_refused_when_it_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "znodes.sqlite").write_bytes(b"something else" * 100)
    with pytest.raises(StorageError, match="not a database"):
        ZnodeStore(tmp_path).open()


def test_store_is_refused_when_its_counters_are_missing(store: ZnodeStore) -> None:
    store.close()
    database = sqlite3.connect(store.path)
    database.execute("DELETE FROM counters")
    database.commit()
    database.close()
    store.open()
    with pytest.raises(StorageError, match="Cannot read"):
        store.load()


def test_batch_is_refused_when_the_store_is_closed(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="is not open"):
        ZnodeStore(tmp_path).commit(Batch(1, 0, {}, {}))
