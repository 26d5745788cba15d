"""The thread of clients without asyncio: it comes and goes with them, and waits without work."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from kafkalite.client.errors import ClosedError
from kafkalite.client.io_thread import IoThread

_THREAD = "kafkalite-io"


def _nothing() -> None:
    pass


async def _three() -> int:
    await asyncio.sleep(0)
    return 3


def _threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == _THREAD]


def _files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def io(request: pytest.FixtureRequest) -> IoThread:
    return IoThread(request.param)


def test_it_runs_while_somebody_is_registered(io: IoThread) -> None:
    assert _threads() == []
    assert not io.is_usable
    first, second = io.register(_nothing), io.register(_nothing)
    assert len(_threads()) == 1
    assert io.is_usable
    assert io.run(_three()) == 3
    io.leave(first)
    io.leave(first)
    assert io.run(_three()) == 3
    io.leave(second)
    assert _threads() == []
    again = io.register(_nothing)
    assert io.run(_three()) == 3
    io.leave(again)
    assert _threads() == []


def test_neither_thread_nor_file_is_left(io: IoThread) -> None:
    io.leave(io.register(_nothing))  # what is made once a process
    before = _files()
    for _ in range(20):
        ticket = io.register(_nothing)
        io.run(asyncio.sleep(0))
        io.leave(ticket)
    assert _files() == before
    assert _threads() == []


def test_what_a_coroutine_raises_is_raised(io: IoThread) -> None:
    async def fail() -> None:
        raise LookupError("here")

    ticket = io.register(_nothing)
    with pytest.raises(LookupError, match="here"):
        io.run(fail())
    io.leave(ticket)


def test_a_function_is_called_on_the_loop(io: IoThread) -> None:
    ticket = io.register(_nothing)
    called: list[str] = []
    done = threading.Event()

    def call() -> None:
        called.append(threading.current_thread().name)
        done.set()

    io.call_soon(call)
    assert done.wait(10)
    assert called == [_THREAD]
    io.leave(ticket)


def test_nothing_runs_after_the_last_one_has_left(io: IoThread) -> None:
    io.leave(io.register(_nothing))
    for use in (lambda: io.run(_three()), lambda: io.call_soon(_nothing), lambda: io.loop):
        with pytest.raises(ClosedError):
            use()


def test_what_still_runs_is_cancelled_when_the_last_one_leaves(io: IoThread) -> None:
    ticket = io.register(_nothing)
    ended: list[str] = []

    async def wait() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append("cancelled")

    async def start() -> "asyncio.Task[None]":
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        return task

    io.run(start())
    io.leave(ticket)
    assert ended == ["cancelled"]


def test_a_callback_cannot_wait_for_its_own_thread(io: IoThread) -> None:
    ticket = io.register(_nothing)

    async def on_the_loop() -> None:
        io.run(_three())

    with pytest.raises(RuntimeError, match="do it in another thread"):
        io.run(on_the_loop())
    io.leave(ticket)


def test_an_interruption_cancels_what_is_waited_for(io: IoThread) -> None:
    ticket = io.register(_nothing)
    ended = threading.Event()

    async def wait() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(1000)
        finally:
            ended.set()

    with pytest.raises(KeyboardInterrupt):
        io.run(wait())
    assert ended.wait(10)
    assert io.run(_three()) == 3
    io.leave(ticket)


def test_it_costs_nothing_while_nothing_happens(io: IoThread) -> None:
    ticket = io.register(_nothing)

    async def spent() -> float:
        return time.thread_time()

    before = io.run(spent())
    threading.Event().wait(0.2)
    # A loop that turns without work would have taken most of this time.
    assert io.run(spent()) - before < 0.1
    io.leave(ticket)


def test_all_are_closed_the_youngest_first(io: IoThread) -> None:
    closed: list[str] = []

    def closing(name: str) -> Callable[[], None]:
        def close() -> None:
            assert io.run(_three()) == 3
            closed.append(name)
            if name == "two":
                raise ValueError("does not keep the others from it")

        return close

    for name in ("one", "two", "three"):
        io.register(closing(name))
    io.close_all()
    assert closed == ["three", "two", "one"]
    assert _threads() == []


def _python(program: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-W", "default", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_clients_that_are_open_are_closed_at_the_interpreters_exit(loop: str) -> None:
    done = _python(f"""
        import asyncio, socket, sys, threading, time
        from kafkalite.client.io_thread import IoThread
        from kafkalite.transport.connecting import connect
        from kafkalite.transport.connection import PeerConnection

        if {loop!r} == "asyncio":
            sys.modules["uvloop"] = None
        io = IoThread.shared()
        broker = socket.create_server(("127.0.0.1", 0))

        async def flush():
            # A connection is made although asyncio's threads take nothing any more.
            port = broker.getsockname()[1]
            (await connect("localhost", port, PeerConnection)).close()
            await asyncio.sleep(0)
            broker.close()
            return "flushed"

        def close():
            print(io.run(flush()))
            io.leave(ticket)

        ticket = io.register(close)

        def work():
            time.sleep(0.2)
            print("worked", io.is_usable)

        threading.Thread(target=work).start()
        print("end")
    """)
    assert (done.stdout.split(), done.stderr, done.returncode) == (
        ["end", "worked", "True", "flushed"],
        "",
        0,
    )


@pytest.mark.slow
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_child_leaves_the_parents_thread_alone_and_has_its_own(loop: str) -> None:
    done = _python(f"""
        import os, sys
        from kafkalite.client import io_thread
        from kafkalite.client.errors import ClosedError

        if {loop!r} == "asyncio":
            sys.modules["uvloop"] = None
        IoThread = io_thread.IoThread

        async def three():
            return 3

        def closing(name):
            return lambda: print("closed", name, flush=True)

        parent = IoThread.shared()
        parent.register(closing("parent"))
        child = os.fork()
        if child == 0:
            assert not parent.is_usable
            for use in (lambda: parent.run(three()), lambda: parent.call_soon(print)):
                try:
                    use()
                except ClosedError as error:
                    assert "forked" in str(error), error
                else:
                    raise AssertionError
            parent.leave(1)
            own = IoThread.shared()
            assert own is not parent
            own.register(closing("child"))
            assert own.run(three()) == 3
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert parent.run(three()) == 3
    """)
    assert done.stdout.split("\n") == ["closed child", "closed parent", ""]
    assert (done.stderr, done.returncode) == ("", 0)
