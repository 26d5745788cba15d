"""The server as a pure machine: frames and time in; what to store and what to send out."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from kafkalite.zkserver import acl, operations, paths, replies, requests
from kafkalite.zkserver.acl import Identity
from kafkalite.zkserver.errors import ErrorCode, MalformedError, ZooKeeperError
from kafkalite.zkserver.jute import Reader
from kafkalite.zkserver.operations import Caller
from kafkalite.zkserver.requests import OpCode
from kafkalite.zkserver.sessions import SessionRecord, SessionTable, first_session_id
from kafkalite.zkserver.tree import Edit, Tree, ZnodeRecord
from kafkalite.zkserver.watches import EventType, WatchKind, WatchTable

_CONTAINER_CHECK_MS = 60_000
_STALL_TICKS = 3


class Now(NamedTuple):
    """One reading of both clocks, in milliseconds."""

    monotonic_ms: int
    wall_ms: int


class Limits(NamedTuple):
    """The session timeouts that are granted, and the tick that the timers are built on."""

    tick_ms: int
    min_session_timeout_ms: int
    max_session_timeout_ms: int


class Client:
    """One connection as the machine sees it. Made by the shell; its fields are the machine's."""

    __slots__ = ("closed", "identities", "session_id")

    def __init__(self, address: str) -> None:
        self.session_id = 0
        """The session that this connection serves; 0 before the first frame."""
        self.identities: list[Identity] = [Identity("ip", address)]
        self.closed = False
        """Nothing more is sent to it or taken from it."""


class Stored(NamedTuple):
    """Everything that outlives a process."""

    zxid: int
    last_session_id: int
    sessions: Iterable[SessionRecord]
    znodes: Iterable[ZnodeRecord]


class Batch(NamedTuple):
    """Changes to be stored together. Where a record is None, what had that key is gone."""

    zxid: int
    last_session_id: int
    znodes: dict[str, ZnodeRecord | None]
    sessions: dict[int, SessionRecord | None]


class Outgoing(NamedTuple):
    """A frame for a client, or None: close its connection once all before it is sent."""

    client: Client
    frame: bytes | None
    received_ms: int | None
    """When the request came that this answers (monotonic); None for an event."""


class Ready(NamedTuple):
    """What the shell must do, in this order: store the batch durably, then send the frames.

    Whatever a frame shows, an answer to a read included, is in this batch or an earlier one; so
    no client ever sees a state that a crash could take back.
    """

    batch: Batch | None
    then_send: list[Outgoing]


class Machine:
    """Sessions, watches and the tree, joined by ZooKeeper's protocol.

    Owned by the server, called on its loop only; does no IO and reads no clock. After any call
    that may have changed something the shell takes `ready()`. Zxids and session ids only grow.
    """

    def __init__(self, limits: Limits, new_password: Callable[[], bytes]) -> None:
        self._limits = limits
        self._new_password = new_password
        self._sessions = SessionTable(first_id=1)
        self._connected: dict[int, Client] = {}
        self._last_session_id = 0
        self._next_container_check_ms = 0
        self._last_tick_ms: int | None = None
        self._dirty_paths: set[str] = set()
        self._dirty_sessions: dict[int, SessionRecord | None] = {}
        self._outgoing: list[Outgoing] = []
        self._received_ms: int | None = None
        self.tree = Tree()
        self.watches: WatchTable[Client] = WatchTable()
        self.zxid = 0
        """The last change; what an answer shows."""
        self.auth_failures = 0

    @property
    def session_count(self) -> int:
        return len(self._sessions)

    def restore(self, stored: Stored, now: Now) -> None:
        """Begin with what an earlier process has stored."""
        self.zxid = stored.zxid
        self._last_session_id = stored.last_session_id
        first_id = first_session_id(now.wall_ms, stored.last_session_id)
        self._sessions = SessionTable(first_id=first_id)
        self._sessions.restore(stored.sessions, now.monotonic_ms)
        self.tree.restore(iter(stored.znodes))

    def ready(self) -> Ready:
        """Take what is to be done; the machine forgets it."""
        outgoing, self._outgoing = self._outgoing, []
        if not self._dirty_paths and not self._dirty_sessions:
            return Ready(None, outgoing)
        batch = Batch(
            self.zxid,
            self._last_session_id,
            {path: self.tree.record(path) for path in self._dirty_paths},
            self._dirty_sessions,
        )
        self._dirty_paths.clear()
        self._dirty_sessions = {}
        return Ready(batch, outgoing)

    # -- events -----------------------------------------------------------------------------------

    def received(self, client: Client, frame: bytes, now: Now) -> None:
        """Take in one frame; one that is no request closes the connection."""
        if client.closed:
            return
        self._received_ms = now.monotonic_ms
        try:
            if client.session_id:
                self._handle(client, frame, now)
            else:
                self._connect(client, frame, now)
        except MalformedError:
            self._close(client)
        finally:
            self._received_ms = None

    def disconnected(self, client: Client) -> None:
        """The connection is gone. Its watches go with it; its session stays."""
        client.closed = True
        self.watches.remove_watcher(client)
        if self._connected.get(client.session_id) is client:
            del self._connected[client.session_id]

    def tick(self, now: Now) -> None:
        """Let time pass: close overdue sessions and remove expired znodes. Call once a tick."""
        last, self._last_tick_ms = self._last_tick_ms, now.monotonic_ms
        if last is not None:
            stalled_ms = now.monotonic_ms - last - self._limits.tick_ms
            if stalled_ms > _STALL_TICKS * self._limits.tick_ms:
                # This process was stopped or starved: that clients were not heard is its fault.
                self._sessions.extend_all(stalled_ms)
        for session_id in self._sessions.overdue(now.monotonic_ms):
            self._end_session(session_id, now)
            client = self._connected.pop(session_id, None)
            if client is not None:
                self._close(client)
        if now.monotonic_ms >= self._next_container_check_ms:
            self._next_container_check_ms = now.monotonic_ms + _CONTAINER_CHECK_MS
            for path in self.tree.expired(now.wall_ms):
                edit = self.tree.edit(self.zxid + 1, now.wall_ms)
                operations.delete_if_expired(edit, path)
                self._apply(edit)

    # -- sessions ---------------------------------------------------------------------------------

    def _connect(self, client: Client, frame: bytes, now: Now) -> None:
        request = requests.read_connect(Reader(frame))
        if request.last_zxid_seen > self.zxid:
            # It has seen a later state than ours: another server's, or one that was lost here.
            self._close(client)
            return
        limits = self._limits
        timeout_ms = min(
            max(request.timeout_ms, limits.min_session_timeout_ms), limits.max_session_timeout_ms
        )
        if request.session_id:
            session = self._sessions.resume(
                request.session_id, request.password, timeout_ms, now.monotonic_ms
            )
        else:
            password = self._new_password()
            session = self._sessions.open(password, timeout_ms, now.monotonic_ms)
            self._last_session_id = session.id
            self.zxid += 1
        if session is None:
            self._send(client, replies.expired_reply(with_read_only=request.knows_read_only))
            self._close(client)
            return
        self._dirty_sessions[session.id] = session
        previous = self._connected.get(session.id)
        if previous is not None:
            self._close(previous)
        self._connected[session.id] = client
        client.session_id = session.id
        self._send(
            client,
            replies.connect_reply(
                timeout_ms,
                session.id,
                session.password,
                with_read_only=request.knows_read_only,
            ),
        )

    def _end_session(self, session_id: int, now: Now) -> None:
        edit = self.tree.edit(self.zxid + 1, now.wall_ms)
        operations.close_session(edit, session_id)
        self._sessions.close(session_id)
        self._dirty_sessions[session_id] = None
        self._apply(edit, always=True)

    # -- requests ---------------------------------------------------------------------------------

    def _handle(self, client: Client, frame: bytes, now: Now) -> None:
        self._sessions.touch(client.session_id, now.monotonic_ms)
        reader = Reader(frame)
        xid, number = reader.read_int(), reader.read_int()
        try:
            op = OpCode(number)
        except ValueError:
            self._send(client, replies.reply(xid, self.zxid, ErrorCode.UNIMPLEMENTED))
            return
        if op is OpCode.PING:
            self._send(client, replies.reply(replies.PING_XID, self.zxid))
        elif op is OpCode.AUTH:
            self._authenticate(client, requests.read_auth(reader))
        elif op is OpCode.CLOSE_SESSION:
            self._end_session(client.session_id, now)
            self._send(client, replies.reply(xid, self.zxid))
            self._connected.pop(client.session_id, None)
            self._close(client)
        else:
            self._answer(client, xid, op, reader, now)

    def _answer(self, client: Client, xid: int, op: OpCode, reader: Reader, now: Now) -> None:
        caller = Caller(client.session_id, client.identities)
        try:
            body = self._body(client, caller, op, reader, now)
        except ZooKeeperError as error:
            self._send(client, replies.reply(xid, self.zxid, error.code))
        else:
            self._send(client, replies.reply(xid, self.zxid, body=body))

    def _body(self, client: Client, caller: Caller, op: OpCode, reader: Reader, now: Now) -> bytes:
        read_write = requests.WRITE_READERS.get(op)
        if read_write is not None:
            write_request = read_write(reader)
            return self._write(now, lambda e: operations.write(e, op, write_request, caller))
        if op is OpCode.MULTI:
            multi_request = requests.read_multi(reader)
            return self._write(now, lambda e: operations.multi(e, multi_request, caller))
        if op is OpCode.SET_WATCHES:
            self._set_watches(client, requests.read_set_watches(reader))
            return b""
        if op is OpCode.RECONFIG:
            raise ZooKeeperError(ErrorCode.RECONFIG_DISABLED)
        return self._read(client, caller, op, reader)

    def _write(self, now: Now, change: Callable[[Edit], bytes]) -> bytes:
        edit = self.tree.edit(self.zxid + 1, now.wall_ms)
        try:
            body = change(edit)
        except BaseException:
            edit.rollback()
            raise
        self._apply(edit)
        return body

    def _read(self, client: Client, caller: Caller, op: OpCode, reader: Reader) -> bytes:
        if op in {OpCode.SYNC, OpCode.GET_ACL}:
            return operations.READS[op](self.tree, requests.read_path(reader).path, caller)
        path, watch = requests.read_watchable(reader)
        if op is OpCode.EXISTS and watch:
            # Also where nothing is: it then waits for the creation.
            paths.validate(path)
            self.watches.add(WatchKind.DATA, path, client)
        body = operations.READS[op](self.tree, path, caller)
        if watch and op is not OpCode.EXISTS:
            kind = WatchKind.DATA if op is OpCode.GET_DATA else WatchKind.CHILDREN
            self.watches.add(kind, path, client)
        return body

    def _authenticate(self, client: Client, request: requests.AuthRequest) -> None:
        if request.scheme == "digest":
            identity = acl.digest_identity(request.credential)
            if identity not in client.identities:
                client.identities.append(identity)
        elif request.scheme != "ip":  # the address is proven already
            self.auth_failures += 1
            self._send(client, replies.reply(replies.AUTH_XID, 0, ErrorCode.AUTH_FAILED))
            self._close(client)
            return
        self._send(client, replies.reply(replies.AUTH_XID, 0))

    def _set_watches(self, client: Client, request: requests.SetWatchesRequest) -> None:
        """Set watches again after a new connection; what happened meanwhile is told at once."""
        since = request.relative_zxid
        for path in request.data:
            node = self.tree.get(path)
            if node is None:
                self._send_event(client, EventType.DELETED, path)
            elif node.mzxid > since:
                self._send_event(client, EventType.DATA_CHANGED, path)
            else:
                self.watches.add(WatchKind.DATA, path, client)
        for path in request.exists:
            if self.tree.get(path) is not None:
                self._send_event(client, EventType.CREATED, path)
            else:
                self.watches.add(WatchKind.DATA, path, client)
        for path in request.children:
            node = self.tree.get(path)
            if node is None:
                self._send_event(client, EventType.DELETED, path)
            elif node.pzxid > since:
                self._send_event(client, EventType.CHILDREN_CHANGED, path)
            else:
                self.watches.add(WatchKind.CHILDREN, path, client)

    # -- effects ----------------------------------------------------------------------------------

    def _apply(self, edit: Edit, *, always: bool = False) -> None:
        """Make an edit count: its zxid, its paths for the store, its events for the watchers."""
        if not edit.touched and not always:
            return
        self.zxid += 1
        self._dirty_paths |= edit.touched
        for event, path in edit.events:
            for watcher in self.watches.fire(event, path):
                self._send_event(watcher, event, path)

    def _send_event(self, client: Client, event: EventType, path: str) -> None:
        if not client.closed:
            self._outgoing.append(Outgoing(client, replies.watch_event(event, path), None))

    def _send(self, client: Client, frame: bytes) -> None:
        if not client.closed:
            self._outgoing.append(Outgoing(client, frame, self._received_ms))

    def _close(self, client: Client) -> None:
        """Close the connection after what was sent to it; its session, if it lives, stays."""
        if not client.closed:
            self._outgoing.append(Outgoing(client, None, None))
            self.disconnected(client)
