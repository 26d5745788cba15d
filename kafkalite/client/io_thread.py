"""The thread on which clients without asyncio do their work: one event loop a process.

Every synchronous client has its asynchronous core there. The thread begins with the first client
that registers and ends with the last one that leaves, so that a process without clients has
neither thread nor socket of ours. It is a daemon, because Python joins other threads before it
runs exit handlers, and would wait for this one for ever; the exit handler closes the clients that
are open, which makes producers send what they hold, and joins the thread.

After a fork the child has neither the thread nor a right to its sockets: they are the parent's.
What was made before the fork is refused there with ClosedError; new clients work.
"""

import asyncio
import atexit
import contextlib
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, ClassVar, Final, Generic, TypeVar

from kafkalite.client.errors import ClosedError

T = TypeVar("T")

_NAME: Final = "kafkalite-io"
_LOOK_S: Final = 1.0
"""How often a thread that waits looks for signals: one that comes in the moment before it goes to
sleep does not wake it."""


def new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where it is installed, else asyncio's own."""
    try:
        import uvloop  # noqa: PLC0415 - where it is missing, asyncio's own loop does
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


class IoThread:
    """A loop in a thread, for those who are registered with it.

    `shared()` is what clients use. All methods may be called in any thread but the loop's own,
    unless they say otherwise.
    """

    _shared: ClassVar["IoThread | None"] = None
    _sharing: ClassVar[threading.Lock] = threading.Lock()
    _forks: ClassVar[int] = 0
    """Between the first process that had this module and this one."""
    _left_behind: ClassVar[list["IoThread"]] = []
    """The parents' after forks: kept, so that nothing of them is ever closed by the collector."""

    def __init__(self, new_loop: Callable[[], asyncio.AbstractEventLoop] = new_event_loop) -> None:
        """Assign only; the first one to register starts the thread."""
        self._new_loop = new_loop
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closers: dict[int, Callable[[], None]] = {}
        """What closes each client that is open, in the order of their registration."""
        self._generation = IoThread._forks

    @classmethod
    def shared(cls) -> "IoThread":
        """The one of this process."""
        with cls._sharing:
            if cls._shared is None:
                cls._shared = cls()
                atexit.register(cls._shared.close_all)
            return cls._shared

    @property
    def _is_foreign(self) -> bool:
        """Whether it belongs to the process that this one was forked from."""
        return self._generation != IoThread._forks

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop, of which other threads may only call what is thread-safe.

        Raises:
            ClosedError: it does not run, or not in this process.
        """
        loop = self._loop
        if self._is_foreign or loop is None:
            raise self._unusable()
        return loop

    @property
    def is_usable(self) -> bool:
        """Whether it runs in this process; cheap, for those who must not lock after a fork."""
        return self._loop is not None and not self._is_foreign

    def register(self, close: Callable[[], None]) -> int:
        """Have the thread run for a client, which `close` closes; gives a ticket to leave with.

        `close` is called at the interpreter's exit, unless the client has left. It may block.
        """
        with self._lock:
            if self._is_foreign:
                raise self._unusable()
            if self._thread is None:
                self._start()
            ticket = max(self._closers, default=0) + 1
            self._closers[ticket] = close
            return ticket

    def leave(self, ticket: int) -> None:
        """Say that a client is closed; the last one stops the thread. A second time: nothing."""
        if self._is_foreign:
            return
        with self._lock:
            if self._closers.pop(ticket, None) is None or self._closers:
                return
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        assert loop is not None
        assert thread is not None
        loop.call_soon_threadsafe(loop.stop)
        if thread is not threading.current_thread():
            thread.join()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run `coroutine` on the loop, and give what it gives or raise what it raises.

        Interrupted (Ctrl-C), it is cancelled, and the interruption goes on.

        Raises:
            ClosedError: the loop does not run, or not in this process.
            RuntimeError: called on the loop itself, which would wait for itself.
        """
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError(
                "a callback must not wait for the client that calls it: do it in another thread"
            )
        call = _Call(coroutine)
        try:
            return _outcome(call.begin(self.loop))
        except BaseException:
            call.give_up()
            raise

    def call_soon(self, function: Callable[[], object]) -> None:
        """Have `function` called on the loop, which is woken for it.

        Raises:
            ClosedError: the loop does not run, or not in this process.
        """
        try:
            self.loop.call_soon_threadsafe(function)
        except RuntimeError:  # it was closed just now
            raise self._unusable() from None

    def close_all(self) -> None:
        """Close every client that is open, the youngest first, and stop. For the exit."""
        if self._is_foreign:
            return
        while True:
            with self._lock:
                if not self._closers:
                    return
                ticket = max(self._closers)
                close = self._closers[ticket]
            with contextlib.suppress(Exception):
                # Nobody is left to be told; the others are to be closed all the same.
                close()
            self.leave(ticket)

    def _start(self) -> None:
        self._loop = self._new_loop()
        self._thread = threading.Thread(target=_serve, args=(self._loop,), name=_NAME, daemon=True)
        self._thread.start()

    def _unusable(self) -> ClosedError:
        if self._is_foreign:
            return ClosedError(
                "This client belongs to the process that this one was forked from: make another one"
            )
        return ClosedError("The client is closed")

    @classmethod
    def _after_fork(cls) -> None:
        """In the child: leave alone what is the parent's. Locks may be held by lost threads."""
        cls._sharing = threading.Lock()
        cls._forks += 1
        if cls._shared is not None:
            cls._left_behind.append(cls._shared)
            cls._shared = None


class _Call(Generic[T]):
    """A coroutine that another thread has the loop run and waits for.

    An interruption may come at any point of that thread, also before it has got hold of the future;
    so what gives the coroutine up is made before it is handed over.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[T] | None = None
        self._is_given_up = False
        self._is_over = False

    def begin(self, loop: asyncio.AbstractEventLoop) -> "Future[T]":
        """Hand it to the loop.

        Raises:
            ClosedError: the loop was closed just now.
        """
        self._loop = loop
        running = self._run()
        try:
            return asyncio.run_coroutine_threadsafe(running, loop)
        except RuntimeError:
            running.close()
            self._coroutine.close()
            raise ClosedError from None

    def give_up(self) -> None:
        """Cancel it unless it has ended, or close it where it was not handed over."""
        if self._is_over:
            return
        if self._loop is None:
            self._coroutine.close()
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed, and has cancelled it
            self._loop.call_soon_threadsafe(self._cancel)

    async def _run(self) -> T:
        self._task = asyncio.current_task()
        try:
            if self._is_given_up:
                self._coroutine.close()
                raise asyncio.CancelledError
            return await self._coroutine
        finally:
            self._is_over = True

    def _cancel(self) -> None:
        self._is_given_up = True
        if self._task is not None:
            self._task.cancel()


def _outcome(future: "Future[T]") -> T:
    """What `future` gives or raises, once it does."""
    while True:
        try:
            return future.result(_LOOK_S)
        except TimeoutError:
            if future.done():  # with an error of its own, or just now
                return future.result()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    """Run the loop until it is stopped, then end what is left on it."""
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        # Twice: what was handed over while the loop stopped may begin only now.
        for _ in range(2):
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            if tasks:
                loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()


os.register_at_fork(after_in_child=IoThread._after_fork)
