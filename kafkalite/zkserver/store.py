"""What outlives the process: znodes, sessions and the two counters, in one SQLite file.

    znodes(path, data, acl, czxid, mzxid, pzxid, ctime, mtime, version, cversion, aversion, owner)
    sessions(id, password, timeout_ms)
    counters(zxid, last_session_id)      one row
    PRAGMA user_version                  the version of this layout

`acl` is the list as it goes over the wire. A batch is one SQLite transaction in WAL mode with
synchronous=FULL: when `commit` returns, it survives a crash of the process and of the machine.
"""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from kafkalite.zkserver import acl, replies
from kafkalite.zkserver.acl import Acl, AclList, Identity
from kafkalite.zkserver.errors import StorageError
from kafkalite.zkserver.jute import Reader
from kafkalite.zkserver.machine import Batch, Stored
from kafkalite.zkserver.sessions import SessionRecord
from kafkalite.zkserver.tree import ZnodeRecord

FILE_NAME = "znodes.sqlite"
_FORMAT_VERSION = 1
_SCHEMA = """
CREATE TABLE znodes (
    path TEXT PRIMARY KEY NOT NULL, data BLOB, acl BLOB NOT NULL,
    czxid INTEGER NOT NULL, mzxid INTEGER NOT NULL, pzxid INTEGER NOT NULL,
    ctime INTEGER NOT NULL, mtime INTEGER NOT NULL,
    version INTEGER NOT NULL, cversion INTEGER NOT NULL, aversion INTEGER NOT NULL,
    owner INTEGER NOT NULL
);
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY, password BLOB NOT NULL, timeout_ms INTEGER NOT NULL
);
CREATE TABLE counters (zxid INTEGER NOT NULL, last_session_id INTEGER NOT NULL);
INSERT INTO counters VALUES (0, 0);
"""
_PUT_ZNODE = f"REPLACE INTO znodes VALUES ({', '.join('?' * len(ZnodeRecord._fields))})"
_OPEN_ACL = replies.acls(acl.OPEN)


class ZnodeStore:
    """The SQLite file of one data directory.

    Owned by the server: opened, read and closed on the loop before and after its work; `commit`
    runs in one thread at a time.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._database: sqlite3.Connection | None = None

    @property
    def path(self) -> Path:
        return self._directory / FILE_NAME

    def open(self) -> None:
        """Open the file, make it when there is none.

        Raises:
            StorageError: it cannot be opened, is damaged, or is of a later version.
        """
        try:
            self._database = self._open()
        except (sqlite3.Error, OSError) as error:
            raise StorageError(f"Cannot open {self.path}: {error}.") from error

    def load(self) -> Stored:
        """Read everything.

        Raises:
            StorageError: the file is damaged.
        """
        database = self._require_open()
        try:
            zxid, last_session_id = database.execute("SELECT * FROM counters").fetchone()
            sessions = [SessionRecord(*row) for row in database.execute("SELECT * FROM sessions")]
            znodes = list(_read_znodes(database))
        except (sqlite3.Error, TypeError) as error:
            raise StorageError(f"Cannot read {self.path}: {error}.") from error
        return Stored(zxid, last_session_id, sessions, znodes)

    def commit(self, batch: Batch) -> None:
        """Store a batch as a whole, durably.

        Raises:
            StorageError: it may or may not be stored; nothing more must be acknowledged.
        """
        database = self._require_open()
        try:
            database.execute("BEGIN")
            for path, znode in batch.znodes.items():
                if znode is None:
                    database.execute("DELETE FROM znodes WHERE path = ?", (path,))
                else:
                    row = (znode.path, znode.data, _pack_acl(znode.acl), *znode[3:])
                    database.execute(_PUT_ZNODE, row)
            for session_id, session in batch.sessions.items():
                if session is None:
                    database.execute("DELETE FROM sessions WHERE id = ?", (session_id,))
                else:
                    database.execute("REPLACE INTO sessions VALUES (?, ?, ?)", session)
            counters = (batch.zxid, batch.last_session_id)
            database.execute("UPDATE counters SET zxid = ?, last_session_id = ?", counters)
            database.execute("COMMIT")
        except sqlite3.Error as error:
            raise StorageError(f"Cannot write {self.path}: {error}.") from error

    def close(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            database.close()

    def _open(self) -> sqlite3.Connection:
        # Never two threads at a time, but not always the same one either.
        database = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(database)
        except BaseException:
            database.close()
            raise
        return database

    def _prepare(self, database: sqlite3.Connection) -> None:
        # Exclusive: no shared-memory file, and a second process cannot even read by mistake.
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version == 0:
            script = f"BEGIN; {_SCHEMA} PRAGMA user_version = {_FORMAT_VERSION}; COMMIT;"
            database.executescript(script)
            _sync_directory(self._directory)
        elif version != _FORMAT_VERSION:
            raise sqlite3.DatabaseError(
                f"it has format version {version}, this server knows {_FORMAT_VERSION}"
            )

    def _require_open(self) -> sqlite3.Connection:
        if self._database is None:
            raise StorageError(f"{self.path} is not open.")
        return self._database


def _read_znodes(database: sqlite3.Connection) -> Iterator[ZnodeRecord]:
    # Few different lists serve all znodes: each is decoded once and shared.
    lists: dict[bytes, AclList] = {_OPEN_ACL: acl.OPEN}
    for path, data, packed, *rest in database.execute("SELECT * FROM znodes"):
        acl_list = lists.get(packed)
        if acl_list is None:
            acl_list = lists[packed] = _unpack_acl(packed)
        yield ZnodeRecord(path, data, acl_list, *rest)


def _pack_acl(acl_list: AclList) -> bytes:
    return _OPEN_ACL if acl_list is acl.OPEN else replies.acls(acl_list)


def _unpack_acl(packed: bytes) -> AclList:
    def read(reader: Reader) -> Acl:
        permissions, scheme = reader.read_int(), reader.read_string()
        return Acl(permissions, Identity(scheme, reader.read_string()))

    return tuple(Reader(packed).read_vector(read))


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
