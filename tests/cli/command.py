"""Runs kafkalite's commands as people do: as processes, from the scripts."""

import fcntl
import os
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, NamedTuple, Self

COMMAND = (sys.executable, "-m", "kafkalite.cli.main")
SCRIPTS = Path(__file__).parents[2] / "scripts"
DEADLINE_S = 30.0
_POLL_S = 0.01


class Outcome(NamedTuple):
    """How a command ended."""

    exit_code: int
    out: str
    err: str


def run_script(name: str, *arguments: str, stdin: str | bytes = b"") -> Outcome:
    """Run `scripts/NAME.sh` to its end."""
    return _run([str(SCRIPTS / f"{name}.sh"), *arguments], stdin)


def run_command(*arguments: str, stdin: str | bytes = b"") -> Outcome:
    """Run `kafkalite ...` to its end: what the scripts do, without the shell."""
    return _run([*COMMAND, *arguments], stdin)


def run_shell(line: str) -> Outcome:
    """Run a line of bash to its end, with the exit code of the first part of a pipeline to fail."""
    return _run(["bash", "-o", "pipefail", "-c", line], b"")


def _run(command: list[str], stdin: str | bytes) -> Outcome:
    data = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(
        command, input=data, capture_output=True, timeout=DEADLINE_S * 2, check=False
    )
    err = done.stderr.decode()
    assert "Traceback" not in err, err
    return Outcome(done.returncode, done.stdout.decode(), err)


# A process of its own, because the system counts what a process was before it became the command:
# a child of this one would begin with the memory of all tests.
_MEASURE: Final = """
import os, subprocess, sys
running = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(running.pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss)
"""


def largest_memory(*arguments: str, stdin: BinaryIO | None = None) -> int:
    """Run `kafkalite ...` to its end, which must be good; gives the most bytes it took up."""
    measured = subprocess.run(
        [sys.executable, "-c", _MEASURE, *COMMAND, *arguments],
        stdin=stdin,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    exit_code, kibibytes = measured.stdout.split()
    assert exit_code == "0"
    return int(kibibytes) << 10


class RunningCommand:
    """A command that goes on while a test watches what it prints; killed at the end if it must be.

    A context manager, for one thread; its output is gathered by two others.
    """

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self._texts = {"out": bytearray(), "err": bytearray()}
        self._readers: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [*COMMAND, *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for name, stream in (("out", self._process.stdout), ("err", self._process.stderr)):
            assert stream is not None
            reader = threading.Thread(target=self._gather, args=(name, stream.fileno()))
            reader.start()
            self._readers.append(reader)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for reader in self._readers:
            reader.join()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert stream is not None
            stream.close()

    def _gather(self, name: str, descriptor: int) -> None:
        while piece := os.read(descriptor, 65536):
            self._texts[name] += piece

    @property
    def out(self) -> str:
        return self._texts["out"].decode()

    @property
    def err(self) -> str:
        return self._texts["err"].decode()

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def write(self, text: str) -> None:
        """Type `text`."""
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    def wait_until_read(self) -> None:
        """Wait until all that was typed has been read."""
        assert self._process.stdin is not None
        descriptor = self._process.stdin.fileno()

        def is_empty() -> bool:
            unread = fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4))
            return unread == bytes(4)

        self._wait_until(is_empty)

    def close_stdin(self) -> None:
        """End the input."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait_for_out(self, text: str) -> None:
        """Wait until standard output holds `text`."""
        self._wait_until(lambda: text in self.out)

    def wait_for_err(self, text: str) -> None:
        """Wait until standard error holds `text`."""
        self._wait_until(lambda: text in self.err)

    def wait(self) -> Outcome:
        """Wait until it ends by itself."""
        exit_code = self._process.wait(DEADLINE_S)
        for reader in self._readers:
            reader.join()
        assert "Traceback" not in self.err, self.err
        return Outcome(exit_code, self.out, self.err)

    def _wait_until(self, is_reached: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not is_reached():
            assert time.monotonic() < deadline, f"out: {self.out!r}, err: {self.err!r}"
            assert self.is_running or is_reached(), f"ended; out: {self.out!r}, err: {self.err!r}"
            time.sleep(_POLL_S)
