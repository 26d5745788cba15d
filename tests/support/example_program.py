"""The programs in `examples/http`, run as their README says."""

import json
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from tests.support.tools import is_there, require_tool

DIRECTORY: Final = Path(__file__).parents[2] / "examples" / "http"
_RUN_TIMEOUT_S: Final = 200.0


def _compiles_java() -> bool:
    if not is_there("java"):
        return False
    listing = subprocess.run(
        ["java", "--list-modules"], capture_output=True, text=True, check=False, timeout=120
    )
    return "jdk.compiler" in listing.stdout


class Language(NamedTuple):
    """How the example of one language is run."""

    file: str
    command: tuple[str, ...]
    """What comes before the file."""
    package: str
    """Debian's, that has what is needed."""
    is_installed: Callable[[], bool]


LANGUAGES: Final = {
    "curl": Language("example.sh", ("bash",), "curl", lambda: is_there("bash", "curl")),
    "javascript": Language("example.mjs", ("node",), "nodejs", lambda: is_there("node")),
    "go": Language("example.go", ("go", "run"), "golang-go", lambda: is_there("go")),
    "java": Language("Example.java", ("java",), "default-jdk-headless", _compiles_java),
}

REST_V3: Final = {"curl": "rest-v3.sh", "javascript": "rest-v3.mjs"}
"""The programs for REST Proxy's version 3, by language."""


def needed(name: str) -> Language:
    """A language that is installed; see `require_tool`."""
    language = LANGUAGES[name]
    require_tool(name, language.package, language.is_installed)
    return language


class ExampleRun(NamedTuple):
    """What a program that ended has said."""

    exit_code: int
    output: str
    errors: str

    @property
    def records(self) -> list[dict[str, Any]]:
        return records_of(self.output)


class ExampleProgram:
    """The example of one language. Knows the command only."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = tuple(command)

    def run(self, *arguments: str, entered: str = "") -> ExampleRun:
        """Run it to its end; `entered` is its standard input."""
        done = subprocess.run(
            [*self._command, *arguments],
            input=entered,
            capture_output=True,
            text=True,
            timeout=_RUN_TIMEOUT_S,
            check=False,
        )
        return ExampleRun(done.returncode, done.stdout, done.stderr)

    def start(self, directory: Path, *arguments: str) -> "RunningExample":
        """Run it until it is ended; what it says is kept in `directory`."""
        return RunningExample([*self._command, *arguments], directory)


class RunningExample:
    """A program that goes on, with a standard input. Life: `with`, which ends it."""

    def __init__(self, command: Sequence[str], directory: Path) -> None:
        self._output = directory / "output"
        self._errors = directory / "errors"
        with self._output.open("wb") as output, self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=output, stderr=errors
            )
        assert self._process.stdin is not None
        self._input = self._process.stdin

    @property
    def records(self) -> list[dict[str, Any]]:
        """What it has shown so far. AssertionError when it has ended."""
        assert self._process.poll() is None, self.errors
        return records_of(self.output)

    @property
    def output(self) -> str:
        return self._output.read_text()

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def enter(self, line: str) -> None:
        """Give it a line to read."""
        self._input.write(f"{line}\n".encode())
        self._input.flush()

    def finish(self) -> int:
        """Say that no more lines come, and wait for its end; gives the exit code."""
        self._input.close()
        return self.wait()

    def wait(self) -> int:
        """Wait until it ends by itself; gives the exit code."""
        return self._process.wait(_RUN_TIMEOUT_S)

    def pause(self) -> None:
        """Freeze it: it notices nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        with suppress(BrokenPipeError):
            self._input.close()


def records_of(output: str) -> list[dict[str, Any]]:
    """The records in what an example prints: one a line, answers, or server-sent events."""
    records: list[dict[str, Any]] = []
    for line in output.splitlines(keepends=True):
        text = line.removeprefix("data: ")
        if not line.endswith("\n") or not text.startswith(("{", "[")):
            continue  # not whole yet; or a field of an event
        found = json.loads(text)
        if isinstance(found, dict):
            found = found.get("records", [found] if "value" in found else [])
        records += found
    return records
