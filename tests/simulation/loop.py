"""An asyncio event loop whose time is virtual and whose every choice comes from a seed.

There is no selector and no thread. Time stands still while anything is ready, then jumps to the
next timer. Callbacks of one process run in the order in which asyncio would run them; which of
several processes goes first is chosen by the seed. What is given to an executor runs on the loop,
after a while, in one go.
"""

import asyncio
import contextvars
import heapq
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, Final, TypeVar, TypeVarTuple

from tests.simulation.process import CURRENT, Process
from tests.support.faulty_disk import Crashed

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_MAX_TURNS_AT_ONCE: Final = 100_000
"""More turns than any program needs without time going by."""
_RESOLUTION_S: Final = 1e-5
"""Every timer takes this, at least."""
_PRUNE_ABOVE: Final = 1_000


class LivelockError(Exception):
    """Callbacks make callbacks without end, and time stands still."""


class _Future(asyncio.Future[Any]):
    """A future whose place in a set does not depend on its address."""

    def __init__(self, *, loop: "SimulatedLoop") -> None:
        super().__init__(loop=loop)
        self.process = CURRENT.get()
        self._number = loop.next_number()

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


class _Task(asyncio.Task[Any]):
    """A task whose place in a set does not depend on its address."""

    def __init__(self, *args: Any, loop: "SimulatedLoop", process: Process, **kwargs: Any) -> None:
        self._number = loop.next_number()
        self.process = process
        super().__init__(*args, loop=loop, **kwargs)

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


class SimulatedLoop(asyncio.BaseEventLoop):
    """See the module. `complain` is told of every exception that nobody took."""

    def __init__(self, random: Random, complain: Callable[[Process, dict[str, Any]], None]) -> None:
        self._is_over = False
        self._is_running = False
        super().__init__()
        self._random = random
        self._complain = complain
        self._now = 0.0
        self._number = 0
        self._timers: list[tuple[float, int, asyncio.TimerHandle, Process]] = []
        self._active: dict[Process, None] = {}
        """Processes that may have something ready."""
        self._turns_at_once = 0
        self.turns = 0
        self.executor_delay_s: Callable[[Process], float] = lambda _: 0.0002
        """How long work in a thread takes, given the process."""
        self.world = Process(self, "world")
        """What is no program under test."""

    def next_number(self) -> int:
        self._number += 1
        return self._number

    # -- running --------------------------------------------------------------------------------

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run until `work`, a coroutine of the world, is done."""
        before = asyncio.events._get_running_loop()
        asyncio.events._set_running_loop(self)
        self._is_running = True
        try:
            task = self.world.spawn(work, "main")
            while not task.done():
                self._turn()
            return task.result()
        finally:
            asyncio.events._set_running_loop(before)
            self._is_running, self._is_over = False, True

    def _turn(self) -> None:
        """Let one process run what it has ready, or let time go by."""
        self._wake_timers()
        runnable = []
        for process in list(self._active):
            if process.is_dead or not process.ready:
                del self._active[process]
            elif not process.is_stopped:
                runnable.append(process)
        if not runnable:
            if not self._timers:
                raise LivelockError("nothing will ever happen again")
            self._now = self._timers[0][0]
            self._turns_at_once = 0
            return
        self.turns += 1
        self._turns_at_once += 1
        if self._turns_at_once > _MAX_TURNS_AT_ONCE:
            raise LivelockError(f"{runnable} run on and on: {runnable[0].ready[0]}")
        process = runnable[0] if len(runnable) == 1 else self._random.choice(runnable)
        ready = process.ready
        for _ in range(len(ready)):
            if process.is_dead or process.is_stopped or not ready:
                break
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()

    def _wake_timers(self) -> None:
        timers = self._timers
        while timers and timers[0][0] <= self._now:
            _, _, handle, process = heapq.heappop(timers)
            if not handle.cancelled() and not process.is_dead:
                self.enqueue(process, handle)

    def enqueue(self, process: Process, handle: asyncio.Handle) -> None:
        process.ready.append(handle)
        self._active[process] = None

    def wake(self, process: Process) -> None:
        """The process goes on: it may have something ready."""
        self._active[process] = None

    # -- what asyncio asks of a loop ------------------------------------------------------------

    def time(self) -> float:
        return self._now

    def is_running(self) -> bool:
        return self._is_running

    def is_closed(self) -> bool:
        return self._is_over

    def get_debug(self) -> bool:
        return False

    def call_soon(
        self,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        if context is None:
            context = contextvars.copy_context()
        handle = asyncio.Handle(callback, args, self, context)
        process = context.get(CURRENT, self.world)
        if not process.is_dead:
            process.ready.append(handle)
            self._active[process] = None
        return handle

    call_soon_threadsafe = call_soon

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        if context is None:
            context = contextvars.copy_context()
        # Elsewhere time passes while code runs: who looks again at once gets somewhere in the end.
        when = max(when, self._now + _RESOLUTION_S)
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        process = context.get(CURRENT, self.world)
        if not process.is_dead:
            heapq.heappush(self._timers, (when, self.next_number(), handle, process))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass

    def create_future(self) -> asyncio.Future[Any]:
        return _Future(loop=self)

    def create_task(
        self,
        coro: Any,
        *,
        name: object = None,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[Any]:
        process = CURRENT.get() if context is None else context[CURRENT]
        task = _Task(coro, loop=self, process=process, name=str(name or "task"), context=context)
        tasks = process.tasks
        tasks.append(task)
        if len(tasks) > _PRUNE_ABOVE and len(tasks) % _PRUNE_ABOVE == 0:
            process.tasks = [task for task in tasks if not task.done()]
        return task

    def run_in_executor(
        self, executor: Any, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run `func` after a while, and tell of its end a while later.

        A pool of one thread does one thing after the other.
        """
        process = CURRENT.get()
        future = self.create_future()
        starts = self._now
        if getattr(executor, "_max_workers", 0) == 1:
            starts = max(starts, process.lanes.get(executor, 0.0))
        runs = starts + self.executor_delay_s(process) * self._random.random()
        ends = runs + self.executor_delay_s(process) * self._random.random()
        process.lanes[executor] = ends

        def run() -> None:
            if future.cancelled():
                return
            try:
                result = func(*args)
            except Crashed:
                return  # there is nobody left to be told
            except BaseException as error:  # noqa: BLE001 - as an executor does
                self.call_at(max(ends, self._now), _fail, future, error)
            else:
                self.call_at(max(ends, self._now), _succeed, future, result)

        self.call_at(runs, run)
        return future

    def add_signal_handler(self, sig: int, callback: Callable[[*Ts], object], *args: *Ts) -> None:
        process = CURRENT.get()
        handle = asyncio.Handle(callback, args, self, process.context)
        process.signal_handlers[int(sig)] = handle

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if isinstance(context.get("exception"), Crashed):
            return
        about = context.get("future") or context.get("task")
        process = getattr(about, "process", None) or CURRENT.get(self.world)
        if not process.is_dead and not self._is_over:
            self._complain(process, context)


def _succeed(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
