"""Drives the machine without sockets: frames in, answers out, and a store that is a dict."""

import struct
from typing import NamedTuple

from kafkalite.zkserver.machine import Batch, Client, Limits, Machine, Now, Stored
from kafkalite.zkserver.sessions import SessionRecord
from kafkalite.zkserver.tree import ZnodeRecord
from tests.support.zookeeper_wire import (
    NEW_SESSION_PASSWORD,
    Reply,
    Session,
    pack_buffer,
)

TICK_MS = 100
LIMITS = Limits(TICK_MS, 200, 10_000)
_HEADER = struct.Struct("!iiqi")


class Sent(NamedTuple):
    """What one client was sent, decoded."""

    replies: list[Reply]
    closed: bool


class MachineDriver:
    """A machine, its clock, and what it would have stored; `crash` begins again from that."""

    def __init__(self) -> None:
        self.now_ms = 1000
        self.stored = Stored(0, 0, [], [])
        self.machine = self._start()

    def _start(self) -> Machine:
        passwords = iter(range(1, 1 << 30))
        machine = Machine(LIMITS, lambda: next(passwords).to_bytes(16, "big"))
        machine.restore(self.stored, self._now())
        return machine

    def _now(self) -> Now:
        return Now(self.now_ms, 1_700_000_000_000 + self.now_ms)

    def connect(
        self, *, timeout_ms: int = 1000, session: Session | None = None, last_zxid: int = 0
    ) -> tuple[Client, Session]:
        """Open a connection with a session, a new one or a known one."""
        client = Client("127.0.0.1")
        session_id, password = (session.id, session.password) if session else (0, None)
        self.receive(
            client,
            struct.pack("!iqiq", 0, last_zxid, timeout_ms, session_id)
            + pack_buffer(password or NEW_SESSION_PASSWORD)
            + b"\0",
        )
        frames = self.take_frames(client)
        if not frames:
            return client, Session(0, 0, b"")
        _length, _version, granted_ms, granted_id = struct.unpack_from("!iiiq", frames[0])
        return client, Session(granted_ms, granted_id, frames[0][24:40])

    def ask(self, client: Client, op: int, body: bytes = b"", xid: int = 1) -> Sent:
        """Send one request; gives all that this client is sent."""
        self.receive(client, struct.pack("!ii", xid, op) + body)
        return self.take(client)

    def receive(self, client: Client, frame: bytes) -> None:
        self.machine.received(client, frame, self._now())

    def tick(self, passed_ms: int = TICK_MS) -> None:
        self.now_ms += passed_ms
        self.machine.tick(self._now())

    def take(self, client: Client) -> Sent:
        """Store what is to be stored; gives what this client is sent, and forgets the rest."""
        frames = self.take_frames(client)
        replies = []
        for frame in frames:
            _length, xid, zxid, error = _HEADER.unpack_from(frame)
            replies.append(Reply(xid, zxid, error, frame[_HEADER.size :]))
        return Sent(replies, client.closed)

    def take_frames(self, client: Client) -> list[bytes]:
        batch, outgoing = self.machine.ready()
        if batch is not None:
            self._store(batch)
        return [item.frame for item in outgoing if item.client is client and item.frame]

    def crash(self) -> None:
        """Forget everything but what was stored."""
        self.machine = self._start()

    def _store(self, batch: Batch) -> None:
        znodes: dict[str, ZnodeRecord] = {record.path: record for record in self.stored.znodes}
        sessions: dict[int, SessionRecord] = {one.id: one for one in self.stored.sessions}
        for path, znode in batch.znodes.items():
            if znode is None:
                znodes.pop(path, None)
            else:
                znodes[path] = znode
        for session_id, session in batch.sessions.items():
            if session is None:
                sessions.pop(session_id, None)
            else:
                sessions[session_id] = session
        self.stored = Stored(
            batch.zxid, batch.last_session_id, list(sessions.values()), list(znodes.values())
        )
