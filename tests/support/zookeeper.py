"""ZooKeeper servers for tests: the embedded one and Apache's, each as a process of its own.

Both have the same interface, so a test or a fixture can be written once for the two:

    with EmbeddedZooKeeper(tmp_path) as zookeeper:
        client = KazooClient(zookeeper.hosts)
"""

import abc
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 15.0
_POLL_S = 0.01
_JAR = Path("/usr/share/java/zookeeper.jar")


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def four_letter_word(port: int, word: str, timeout_s: float = 5.0) -> str:
    """What the server answers to a four-letter word such as `ruok`; OSError when none listens."""
    with socket.create_connection(("127.0.0.1", port), timeout_s) as connection:
        connection.sendall(word.encode())
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer.decode()


class ZooKeeperProcess(abc.ABC):
    """One standalone ZooKeeper in its own process, with a port and a directory that outlive it.

    The owner is the test or fixture that made it; single-threaded. `start()` returns when the
    server answers, `stop()` asks politely, `kill()` is SIGKILL; after either one `start()` comes
    back on the same port with the same data.
    """

    def __init__(
        self,
        directory: Path,
        *,
        tick_ms: int = 200,
        max_session_timeout_ms: int = 60_000,
        settings: dict[str, str] | None = None,
    ) -> None:
        """Describe a server that keeps all it writes below `directory`.

        Args:
            directory: made when it is missing.
            tick_ms: ZooKeeper's tickTime; two of them are the shortest session timeout.
            max_session_timeout_ms: the longest session timeout it grants.
            settings: further lines of the configuration file; they win.
        """
        self.directory = directory
        self.port = free_port()
        self._settings = {
            "tickTime": str(tick_ms),
            "dataDir": str(directory / "data"),
            "clientPort": str(self.port),
            "clientPortAddress": "127.0.0.1",
            "maxClientCnxns": "0",
            "maxSessionTimeout": str(max_session_timeout_ms),
            "4lw.commands.whitelist": "*",
            **(settings or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def hosts(self) -> str:
        """The connect string, `127.0.0.1:PORT`."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("not running")
        return self._process.pid

    @property
    def config_file(self) -> Path:
        return self.directory / "zookeeper.properties"

    @property
    def log_file(self) -> Path:
        return self.directory / "zookeeper.out"

    def start(self) -> None:
        """Start the process and wait until it answers.

        Raises:
            RuntimeError: it ended, or stayed silent; with what it printed.
        """
        if self._process is not None:
            raise RuntimeError("already running")
        self.directory.mkdir(parents=True, exist_ok=True)
        self.config_file.write_text("".join(f"{k}={v}\n" for k, v in self._settings.items()))
        with self.log_file.open("ab") as output:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self._wait_until_it_answers()

    def stop(self) -> None:
        """End it with SIGTERM; nothing when it is not running."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it with SIGKILL, as a crash does."""
        self._end(signal.SIGKILL)

    def wait(self) -> int:
        """Wait until it ends by itself; gives its exit code."""
        if self._process is None:
            raise RuntimeError("not running")
        return self._process.wait(_STOP_TIMEOUT_S)

    def restart(self) -> None:
        """Stop and start it on the same port with the same data."""
        self.stop()
        self.start()

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

    @abc.abstractmethod
    def _command(self) -> list[str]:
        """The command that runs the server in the foreground."""

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        if how is signal.SIGTERM:
            process.send_signal(signal.SIGCONT)  # a paused process would never see the other
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def _wait_until_it_answers(self) -> None:
        process = self._process
        if process is None:
            raise RuntimeError("not running")
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            try:
                # `srvr`, not `ruok`: Apache's server says imok before it serves requests.
                if "Mode: " in four_letter_word(self.port, "srvr"):
                    return
            except OSError:
                pass
            time.sleep(_POLL_S)
        self.kill()
        raise RuntimeError(f"ZooKeeper did not come up:\n{self.log_file.read_text()[-4000:]}")


class EmbeddedZooKeeper(ZooKeeperProcess):
    """kafkalite's own server, run as `zookeeper start FILE` runs it."""

    def _command(self) -> list[str]:
        return [sys.executable, "-m", "kafkalite.cli.zookeeper", "start", str(self.config_file)]


class RealZooKeeper(ZooKeeperProcess):
    """Apache ZooKeeper from Debian's package `zookeeper`, started without its scripts."""

    @staticmethod
    def why_unavailable() -> str | None:
        """Why it cannot be run here, in a sentence, or None when it can."""
        if shutil.which("java") is None:
            return "a real ZooKeeper needs java, which is not on the PATH"
        if not _JAR.exists():
            return f"a real ZooKeeper needs {_JAR} (Debian's package zookeeper)"
        return None

    def _command(self) -> list[str]:
        return [
            "java",
            "-Xmx256m",
            "-Xshare:auto",
            "-XX:TieredStopAtLevel=1",  # these servers live for seconds
            "-cp",
            str(_JAR),
            "-Dzookeeper.admin.enableServer=false",
            "-Dzookeeper.extendedTypesEnabled=true",
            "-Dzookeeper.preAllocSize=1024",
            "-Dfile.encoding=UTF-8",
            "org.apache.zookeeper.server.quorum.QuorumPeerMain",
            str(self.config_file),
        ]
