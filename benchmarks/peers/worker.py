"""A client's process, seen from the benchmark."""

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from benchmarks.connection import WrongAnswerError
from benchmarks.peers.task import Outcome, Task

_ROOT: Final = Path(__file__).parent.parent.parent
_STOP_TIMEOUT_S: Final = 20.0


class Worker:
    """On the core of whoever started it; it stays over rounds, so it is warm. A context manager."""

    def __init__(self, name: str) -> None:
        """Name one of the modules `*_worker` of this package."""
        self._module = f"benchmarks.peers.{name}_worker"

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", self._module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=_ROOT,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._process.kill()
        self._process.communicate(timeout=_STOP_TIMEOUT_S)

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, task: Task) -> Outcome:
        """Have a task done.

        Raises:
            WrongAnswerError: it failed, or the process ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(task) + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise WrongAnswerError(f"{self._module} ended while it did {task}")
        outcome = msgspec.json.decode(line, type=Outcome)
        if outcome.failure:
            raise WrongAnswerError(f"{self._module}, {task}: {outcome.failure}")
        return outcome
