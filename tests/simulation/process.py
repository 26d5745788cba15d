"""A simulated process: what runs, and what no longer does when it is killed or stopped."""

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from tests.simulation.loop import SimulatedLoop
    from tests.simulation.machine import Machine

T = TypeVar("T")

CURRENT: Final[contextvars.ContextVar["Process"]] = contextvars.ContextVar("process")
"""The process that the running code belongs to."""


EPOCH_MS: Final = 1_700_000_000_000
"""What wall clocks show when a simulation begins."""


class Process:
    """One life of a program. Every callback and task of the loop belongs to one.

    Killed, its callbacks are dropped: no `finally` runs, as SIGKILL would have it. Stopped, they
    wait until it is continued. Whoever holds something of it for the outside (a disk, connections,
    a session) is told through the hooks.
    """

    def __init__(self, loop: "SimulatedLoop", name: str, machine: "Machine | None" = None) -> None:
        self.loop = loop
        self.name = name
        self.machine = machine
        self.is_dead = False
        self.is_stopped = False
        self.ready: deque[asyncio.Handle] = deque()
        self.when_dead: list[Callable[[], None]] = []
        self.when_stopped: list[Callable[[], None]] = []
        self.when_continued: list[Callable[[], None]] = []
        self.signal_handlers: dict[int, asyncio.Handle] = {}
        self.lanes: dict[object, float] = {}
        """Executors of one thread -> when what they were given last is done."""
        self.tasks: list[asyncio.Task[Any]] = []
        """Kept, so that none is collected, and closed by that, while the simulation runs."""
        self._context = contextvars.Context()
        self._context.run(CURRENT.set, self)

    def __repr__(self) -> str:
        return f"<process {self.name}>"

    @property
    def context(self) -> contextvars.Context:
        """A context of its own for something that the process shall run."""
        return self._context.copy()

    def spawn(self, work: Coroutine[Any, Any, T], name: str | None = None) -> asyncio.Task[T]:
        """Run a coroutine in this process."""
        return self.loop.create_task(work, name=name, context=self.context)

    def call(self, callback: Callable[..., object], *args: object) -> None:
        """Run a callback in this process, soon."""
        self.loop.call_soon(callback, *args, context=self.context)

    def call_later(self, delay_s: float, callback: Callable[..., object], *args: object) -> None:
        """Run a callback in this process, after a while."""
        self.loop.call_later(delay_s, callback, *args, context=self.context)

    def signal(self, number: int) -> None:
        """Have its handler of a signal run."""
        handle = self.signal_handlers.get(number)
        if handle is not None and not self.is_dead:
            self.loop.enqueue(self, handle)

    def kill(self) -> None:
        """SIGKILL."""
        if self.is_dead:
            return
        self.is_dead = True
        self.ready.clear()
        for hook in self.when_dead:
            hook()

    def stop(self) -> None:
        """SIGSTOP."""
        if not self.is_dead and not self.is_stopped:
            self.is_stopped = True
            for hook in self.when_stopped:
                hook()

    def resume(self) -> None:
        """SIGCONT."""
        if not self.is_dead and self.is_stopped:
            self.is_stopped = False
            self.loop.wake(self)
            for hook in self.when_continued:
                hook()
