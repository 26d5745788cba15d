"""A broker for tests, as a process of its own.

with EmbeddedZooKeeper(tmp_path / "zookeeper") as zookeeper, BrokerProcess(
    tmp_path / "broker", zookeeper.hosts
) as broker:
    httpx.get(f"{broker.url}/v1/topics")
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from tests.support.process import ServerProcess
from tests.support.zookeeper import free_port


class BrokerProcess(ServerProcess):
    """One broker, which keeps its port."""

    def __init__(
        self,
        directory: Path,
        zookeeper_connect: str,
        *,
        broker_id: int = 0,
        host: str = "127.0.0.1",
        settings: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
        max_open_files: int | None = None,
    ) -> None:
        """Describe a broker that keeps all it writes below `directory`.

        Args:
            directory: made when it is missing.
            zookeeper_connect: hosts and chroot.
            broker_id: its id in the cluster.
            host: the address that it listens on.
            settings: further lines of server.properties; they win.
            environ: variables beside those of this process.
            max_open_files: the limit on its descriptors, which it cannot raise.
        """
        self.host = host
        self.port = free_port()
        lines = {
            "broker.id": str(broker_id),
            "listeners": f"HTTP://{self.address}",
            "log.dirs": str(directory / "logs"),
            "zookeeper.connect": zookeeper_connect,
            **(settings or {}),
        }
        super().__init__(directory, name="server", settings=lines, environ=environ)
        self._max_open_files = max_open_files

    @property
    def command(self) -> list[str]:
        start = [sys.executable, "-m", "kafkalite.cli.main", "server", "start"]
        command = [*start, str(self.config_file)]
        if self._max_open_files is None:
            return command
        limit = f'ulimit -n {self._max_open_files} && exec "$@"'
        return ["/bin/sh", "-c", limit, "sh", *command]

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    @property
    def address(self) -> str:
        """What `--bootstrap-server` takes."""
        return f"{self.host}:{self.port}"

    @property
    def log_dir(self) -> Path:
        return self.directory / "logs"

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False
