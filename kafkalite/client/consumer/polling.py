"""A poll, as steps that whoever polls carries out: the same for both faces of the consumer."""

import time
from collections.abc import Callable, Generator
from enum import Enum
from typing import Final, TypeVar

from kafkalite.client.consumer.core import ConsumerCore
from kafkalite.client.consumer.listener import CallDue

T = TypeVar("T")


class Turn(Enum):
    """The step that is a turn of the core; sent back: what it gives."""

    TAKE = "take a turn"


TURN: Final = Turn.TAKE

Step = Turn | CallDue | float
"""A turn, a call to make (sent back: what it raised, or None), or seconds to wait for news."""

Steps = Generator[Step, CallDue | Exception | None, T]

LONGEST_WAIT_S: Final = 60.0
"""Of one step; a poll without end goes on then."""


def polling(core: ConsumerCore, take: Callable[[], T], timeout_s: float | None) -> Steps[T]:
    """What `take` gives once that is anything, or after `timeout_s` (None: never).

    Raises:
        WakeupError: somebody asked for it.
        LogError: what `ConsumerCore.turn` raises.
    """
    due_s = float("inf") if timeout_s is None else time.monotonic() + timeout_s
    try:
        while True:
            core.hold()
            yield from _news(core)
            core.raise_wakeup()
            taken = take()
            if taken:
                return taken
            now_s = time.monotonic()
            if now_s >= due_s:
                return taken
            yield max(min(due_s, core.due_s, now_s + LONGEST_WAIT_S) - now_s, 0.0)
    finally:
        core.note_poll()


def _news(core: ConsumerCore) -> Steps[None]:
    """Take over what has happened; the listener's first error comes out when all of it is."""
    failure: Exception | None = None
    is_due = core.needs_turn
    while is_due:
        call = yield TURN
        if isinstance(call, CallDue):
            error = yield call
            if failure is None and isinstance(error, Exception):
                failure = error
        is_due = core.has_news
    if failure is not None:
        raise failure
