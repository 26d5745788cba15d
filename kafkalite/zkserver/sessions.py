"""Sessions: identity, password, deadline. Pure; time comes in as `now_ms` of a monotonic clock."""

import hmac
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_ID_TIME_MASK = (1 << 40) - 1


class SessionRecord(NamedTuple):
    """What is stored of a session."""

    id: int
    password: bytes
    timeout_ms: int


class _Session:
    __slots__ = ("deadline_ms", "record")

    def __init__(self, record: SessionRecord, deadline_ms: int) -> None:
        self.record = record
        self.deadline_ms = deadline_ms


class SessionTable:
    """All living sessions, connected or not.

    A session lives until it is closed or until nothing was heard of it for its timeout. Owned by
    the machine, used on its thread only.
    """

    def __init__(self, *, first_id: int) -> None:
        """Begin; `first_id` is larger than every id that was ever given."""
        self._sessions: dict[int, _Session] = {}
        self._next_id = first_id

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[SessionRecord]:
        return (session.record for session in self._sessions.values())

    def restore(self, records: Iterable[SessionRecord], now_ms: int) -> None:
        """Take in stored sessions; each gets its full timeout to come back."""
        for record in records:
            self._sessions[record.id] = _Session(record, now_ms + record.timeout_ms)

    def open(self, password: bytes, timeout_ms: int, now_ms: int) -> SessionRecord:
        record = SessionRecord(self._next_id, password, timeout_ms)
        self._next_id += 1
        self._sessions[record.id] = _Session(record, now_ms + timeout_ms)
        return record

    def resume(
        self, session_id: int, password: bytes, timeout_ms: int, now_ms: int
    ) -> SessionRecord | None:
        """Give the session a new timeout and deadline; None when it is not there or not yours."""
        session = self._sessions.get(session_id)
        if session is None or not hmac.compare_digest(session.record.password, password):
            return None
        session.record = session.record._replace(timeout_ms=timeout_ms)
        session.deadline_ms = now_ms + timeout_ms
        return session.record

    def touch(self, session_id: int, now_ms: int) -> None:
        """Something was heard of it: its deadline moves on."""
        session = self._sessions.get(session_id)
        if session is not None:
            session.deadline_ms = now_ms + session.record.timeout_ms

    def close(self, session_id: int) -> None:
        self._sessions.pop(session_id, None)

    def overdue(self, now_ms: int) -> list[int]:
        """Ids of the sessions whose deadline has passed; the caller closes them."""
        return [
            session_id
            for session_id, session in self._sessions.items()
            if session.deadline_ms <= now_ms
        ]

    def extend_all(self, stalled_ms: int) -> None:
        """Move every deadline on by a time in which this server itself did not run."""
        for session in self._sessions.values():
            session.deadline_ms += stalled_ms


def first_session_id(wall_ms: int, last_id: int) -> int:
    """The first id to give after a start: made of the time as ZooKeeper's, but never a used one.

    Args:
        wall_ms: milliseconds since the epoch; its low 40 bits go into bits 16 to 55.
        last_id: the largest id ever given, 0 before the first.
    """
    return max((1 << 56) | (wall_ms & _ID_TIME_MASK) << 16, last_id + 1)
