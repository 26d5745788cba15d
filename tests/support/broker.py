"""A broker for tests, as a process of its own: started, stopped, killed, paused.

with EmbeddedZooKeeper(tmp_path / "zookeeper") as zookeeper, BrokerProcess(
    tmp_path / "broker", zookeeper.hosts
) as broker:
    httpx.get(f"{broker.url}/v1/topics")
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from tests.support.zookeeper import free_port

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 30.0
_POLL_S = 0.02


class BrokerProcess:
    """One broker in its own process, with a port and directories that outlive it.

    The owner is the test or fixture that made it. `start()` returns when the broker is ready,
    `stop()` is SIGTERM, `kill()` is SIGKILL; after either one `start()` comes back on the same port
    with the same logs.
    """

    def __init__(
        self,
        directory: Path,
        zookeeper_connect: str,
        *,
        broker_id: int = 0,
        settings: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
        max_open_files: int | None = None,
    ) -> None:
        """Describe a broker that keeps all it writes below `directory`.

        Args:
            directory: made when it is missing.
            zookeeper_connect: hosts and chroot.
            broker_id: its id in the cluster.
            settings: further lines of server.properties; they win.
            environ: variables beside those of this process.
            max_open_files: the limit on its descriptors, which it cannot raise.
        """
        self.directory = directory
        self.port = free_port()
        self._settings = {
            "broker.id": str(broker_id),
            "listeners": f"HTTP://127.0.0.1:{self.port}",
            "log.dirs": str(directory / "logs"),
            "zookeeper.connect": zookeeper_connect,
            **(settings or {}),
        }
        self._environ = {**os.environ, **(environ or {})}
        self._max_open_files = max_open_files
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def command(self) -> list[str]:
        """What runs it in the foreground."""
        start = [sys.executable, "-m", "kafkalite.cli.main", "server", "start"]
        return [*start, str(self.config_file)]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        """What `--bootstrap-server` takes."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("not running")
        return self._process.pid

    @property
    def log_dir(self) -> Path:
        return self.directory / "logs"

    @property
    def config_file(self) -> Path:
        return self.directory / "server.properties"

    @property
    def output(self) -> str:
        """What the broker wrote to its standard output and error so far."""
        return self._output_file.read_text() if self._output_file.exists() else ""

    @property
    def _output_file(self) -> Path:
        return self.directory / "broker.out"

    def write_config(self) -> None:
        """Write the file that `command` names."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.config_file.write_text("".join(f"{k}={v}\n" for k, v in self._settings.items()))

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the process without waiting for anything."""
        if self._process is not None:
            raise RuntimeError("already running")
        self.write_config()
        command = self.command
        if self._max_open_files is not None:
            limit = f'ulimit -n {self._max_open_files} && exec "$@"'
            command = ["/bin/sh", "-c", limit, "sh", *command]
        with self._output_file.open("ab") as output:
            self._process = subprocess.Popen(
                command,
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
        raise RuntimeError(f"The broker did not get ready:\n{self.output[-6000:]}")

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def stop(self) -> int | None:
        """End it with SIGTERM; gives its exit code, None when it was not running."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it with SIGKILL, as a crash does."""
        self._end(signal.SIGKILL)

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
        """Freeze it (SIGSTOP)."""
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
