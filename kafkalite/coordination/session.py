"""The session with ZooKeeper, as far as it says what we have to stop doing. Pure: takes now.

kazoo says SUSPENDED when the connection breaks, and LOST only when it has reconnected and was told
that the session is gone; a broker that is cut off would never hear it. So the broker counts: the
session timeout spent in SUSPENDED is LOST.

    CONNECTED  -- connection broken -->  SUSPENDED   STOP_WORK: no controller work, no ISR changes
    SUSPENDED  -- same session back -->  CONNECTED   RESUME
    SUSPENDED  -- timeout, or kazoo's LOST -->  LOST DROP_LEADERSHIP
    LOST       -- connected         -->  CONNECTED   REJOIN: register and read everything again
"""

from enum import Enum, auto


class Link(Enum):
    """What kazoo says."""

    CONNECTED = auto()
    SUSPENDED = auto()
    LOST = auto()


class Action(Enum):
    """What the broker has to do."""

    STOP_WORK = auto()
    DROP_LEADERSHIP = auto()
    RESUME = auto()
    REJOIN = auto()


class SessionMonitor:
    """Turns what kazoo says, and time, into actions. One owner, on the event loop."""

    def __init__(self, session_timeout_ms: int) -> None:
        self._timeout_ms = session_timeout_ms
        self._link = Link.LOST
        self._session_id: int | None = None
        self._suspended_at_ms: int | None = None

    @property
    def link(self) -> Link:
        """What holds now; LOST also when we counted it ourselves."""
        return self._link

    @property
    def lost_at_ms(self) -> int | None:
        """When `tick` will count the session as lost; None while nothing is to be counted."""
        if self._suspended_at_ms is None:
            return None
        return self._suspended_at_ms + self._timeout_ms

    def begin(self, session_id: int) -> None:
        """The first session is there; nothing was lost."""
        self._link = Link.CONNECTED
        self._session_id = session_id

    def heard(self, link: Link, session_id: int | None, now_ms: int) -> tuple[Action, ...]:
        """Take in a state of kazoo's; gives what to do about it, in order.

        Args:
            link: the state.
            session_id: the session, where `link` is CONNECTED.
            now_ms: monotonic.
        """
        before = self._link
        if link is Link.CONNECTED:
            same_session = session_id == self._session_id
            self._link = Link.CONNECTED
            self._session_id = session_id
            self._suspended_at_ms = None
            if before is Link.LOST:
                return (Action.REJOIN,)
            if not same_session:
                # The news of the loss were overtaken by those of the new session.
                return (Action.STOP_WORK, Action.DROP_LEADERSHIP, Action.REJOIN)
            return (Action.RESUME,) if before is Link.SUSPENDED else ()
        if link is Link.SUSPENDED:
            if before is not Link.CONNECTED:
                return ()
            self._link = Link.SUSPENDED
            self._suspended_at_ms = now_ms
            return (Action.STOP_WORK,)
        return self._lose()

    def tick(self, now_ms: int) -> tuple[Action, ...]:
        """Count the session as lost when its timeout was spent in SUSPENDED."""
        if self.lost_at_ms is None or now_ms < self.lost_at_ms:
            return ()
        return self._lose()

    def _lose(self) -> tuple[Action, ...]:
        before, self._link = self._link, Link.LOST
        self._suspended_at_ms = None
        if before is Link.LOST:
            return ()
        if before is Link.CONNECTED:
            return (Action.STOP_WORK, Action.DROP_LEADERSHIP)
        return (Action.DROP_LEADERSHIP,)
