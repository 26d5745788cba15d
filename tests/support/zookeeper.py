"""ZooKeeper servers for tests: the embedded one and Apache's, each as a process of its own.

Both have the same interface, so a test or a fixture can be written once for the two:

    with EmbeddedZooKeeper(tmp_path) as zookeeper:
        client = KazooClient(zookeeper.hosts)
"""

import random
import shutil
import socket
import sys
from pathlib import Path
from typing import Final

from tests.support.process import ServerProcess

_JAR = Path("/usr/share/java/zookeeper.jar")
_PORTS: Final = range(10_000, 32_768)
"""Below those of which the kernel gives connections theirs: a server that is down keeps its own."""
_chance: Final = random.SystemRandom()
"""Not the same in two runs of tests with the same seed that go on beside each other."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listened on a moment ago."""
    while True:
        port = _chance.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def four_letter_word(port: int, word: str, timeout_s: float = 5.0) -> str:
    """What the server answers to a four-letter word such as `ruok`; OSError when none listens."""
    with socket.create_connection(("127.0.0.1", port), timeout_s) as connection:
        connection.sendall(word.encode())
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer.decode()


class ZooKeeperProcess(ServerProcess):
    """One ZooKeeper, which keeps its port."""

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
        self.port = free_port()
        lines = {
            "tickTime": str(tick_ms),
            "dataDir": str(directory / "data"),
            "clientPort": str(self.port),
            "clientPortAddress": "127.0.0.1",
            "maxClientCnxns": "0",
            "maxSessionTimeout": str(max_session_timeout_ms),
            "4lw.commands.whitelist": "*",
            **(settings or {}),
        }
        super().__init__(directory, name="zookeeper", settings=lines)

    @property
    def hosts(self) -> str:
        """The connect string, `127.0.0.1:PORT`."""
        return f"127.0.0.1:{self.port}"

    def is_ready(self) -> bool:
        try:
            # `srvr`, not `ruok`: Apache's server says imok before it serves requests.
            return "Mode: " in four_letter_word(self.port, "srvr")
        except OSError:
            return False


class EmbeddedZooKeeper(ZooKeeperProcess):
    """kafkalite's own server, run as `zookeeper start FILE` runs it."""

    @property
    def command(self) -> list[str]:
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

    @property
    def command(self) -> list[str]:
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
