"""A server for tests, as a process of its own: started, stopped, killed, paused."""

import abc
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_START_TIMEOUT_S: Final = 30.0
_STOP_TIMEOUT_S: Final = 30.0
_POLL_S: Final = 0.01
_SHOWN_CHARACTERS: Final = 6000


class ServerProcess(abc.ABC):
    """One server in its own process, with directories that outlive it.

    The owner is the test or fixture that made it; single-threaded. `start()` returns when the
    server is ready, `stop()` is SIGTERM, `kill()` is SIGKILL; after either one `start()` comes back
    with the same data.
    """

    def __init__(
        self,
        directory: Path,
        *,
        name: str,
        settings: Mapping[str, str],
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Describe a server that keeps all it writes below `directory`.

        Args:
            directory: made when it is missing.
            name: of its configuration file, and of the file that holds what it prints.
            settings: lines of the configuration file.
            environ: variables beside those of this process.
        """
        self.directory = directory
        self.config_file = directory / f"{name}.properties"
        self._output_file = directory / f"{name}.out"
        self._settings = dict(settings)
        self._environ = {**os.environ, **(environ or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abc.abstractmethod
    def command(self) -> list[str]:
        """What runs it in the foreground."""

    @abc.abstractmethod
    def is_ready(self) -> bool:
        """Whether it serves requests."""

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("not running")
        return self._process.pid

    @property
    def output(self) -> str:
        """What it wrote to its standard output and error so far."""
        return self._output_file.read_text() if self._output_file.exists() else ""

    def write_config(self) -> None:
        """Write the file that `command` names."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.config_file.write_text("".join(f"{k}={v}\n" for k, v in self._settings.items()))

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the process without waiting for anything."""
        if self._process is not None:
            raise RuntimeError("already running")
        self.write_config()
        with self._output_file.open("ab") as output:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environ,
            )
        return self._process

    def start(self) -> None:
        """Start the process and wait until it is ready.

        Raises:
            RuntimeError: it ended, or did not get ready in time; with what it printed.
        """
        process = self.launch()
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline and process.poll() is None:
            if self.is_ready():
                return
            time.sleep(_POLL_S)
        self.kill()
        raise RuntimeError(
            f"{type(self).__name__} did not get ready:\n{self.output[-_SHOWN_CHARACTERS:]}"
        )

    def stop(self) -> int | None:
        """End it with SIGTERM; gives its exit code, None when it was not running."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it with SIGKILL, as a crash does."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop and start it with the same data."""
        self.stop()
        self.start()

    def terminate(self) -> None:
        """Ask it to end (SIGTERM), without waiting for it."""
        os.kill(self.pid, signal.SIGTERM)

    def wait(self) -> int:
        """Wait until it ends by itself; gives its exit code."""
        process, self._process = self._process, None
        if process is None:
            raise RuntimeError("not running")
        try:
            return process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stay open and nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _end(self, how: signal.Signals) -> int | None:
        if self._process is None:
            return None
        self._process.send_signal(how)
        if how is signal.SIGTERM:
            self._process.send_signal(signal.SIGCONT)  # a paused process would never see the other
        return self.wait()
