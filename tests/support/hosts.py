"""Hosts whose network can be cut: network namespaces on a bridge, each with an address of its own.

Takes root and iproute2. Nothing but what is made here is touched, and all of it is removed.
"""

import itertools
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.support.broker import BrokerProcess

_numbers = itertools.count(os.getpid() % 50)
_SUBNET: Final = "10.231"


class Hosts:
    """A bridge with a few hosts; the machine that the tests run on has an address there, too.

    The owner is the test or fixture that made it; single-threaded.
    """

    def __init__(self, count: int) -> None:
        """Describe them; `start()` makes them."""
        self._number = next(_numbers)
        self._bridge = f"klb{self._number}"
        self._names = [f"kl{self._number}h{host}" for host in range(count)]
        self.addresses = [self._address(2 + host) for host in range(count)]
        self.gateway = self._address(1)
        """The address of this machine, which all of them can reach."""
        self._cuts: list[tuple[int, str]] = []

    def _address(self, last: int) -> str:
        return f"{_SUBNET}.{self._number}.{last}"

    @staticmethod
    def why_unavailable() -> str | None:
        """Why they cannot be made here, in a sentence, or None when they can."""
        if shutil.which("ip") is None:
            return "cutting the network needs iproute2"
        tried = subprocess.run(
            ["ip", "netns", "add", "kl-probe"], capture_output=True, text=True, check=False
        )
        if tried.returncode:
            return f"cutting the network needs network namespaces: {tried.stderr.strip()}"
        _ip("netns", "delete", "kl-probe")
        return None

    def start(self) -> None:
        """Make the bridge and the hosts."""
        _ip("link", "add", self._bridge, "type", "bridge")
        _ip("address", "add", f"{self.gateway}/24", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")
        for name, address in zip(self._names, self.addresses, strict=True):
            _ip("netns", "add", name)
            _ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("link", "set", name, "master", self._bridge, "up")
            _ip("-n", name, "address", "add", f"{address}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "link", "set", "lo", "up")

    def stop(self) -> None:
        for name in self._names:
            _ip("netns", "delete", name)
        _ip("link", "delete", self._bridge)

    def inside(self, host: int) -> list[str]:
        """What to put before a command to run it on a host."""
        return ["ip", "netns", "exec", self._names[host]]

    # -- cutting --------------------------------------------------------------------------------

    def cut(self, host: int, other: int) -> None:
        """Let nothing that `host` sends reach `other`."""
        self._cut(host, self.addresses[other])

    def cut_from_here(self, host: int) -> None:
        """Let nothing that `host` sends reach this machine, where ZooKeeper and the load are."""
        self._cut(host, self.gateway)

    def isolate(self, host: int) -> None:
        """Let nothing that `host` sends reach anybody."""
        for address in [self.gateway, *self.addresses]:
            if address != self.addresses[host]:
                self._cut(host, address)

    def _cut(self, host: int, address: str) -> None:
        _ip("-n", self._names[host], "route", "add", "blackhole", f"{address}/32")
        self._cuts.append((host, address))

    def heal(self) -> None:
        """Undo every cut."""
        while self._cuts:
            host, address = self._cuts.pop()
            _ip("-n", self._names[host], "route", "delete", "blackhole", f"{address}/32")

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


class HostedBroker(BrokerProcess):
    """A broker on one of the hosts; its id is the host's number."""

    def __init__(
        self,
        directory: Path,
        zookeeper_connect: str,
        hosts: Hosts,
        number: int,
        settings: dict[str, str],
    ) -> None:
        """Describe a broker that keeps all it writes below `directory`."""
        super().__init__(
            directory,
            zookeeper_connect,
            broker_id=number,
            host=hosts.addresses[number],
            settings=settings,
        )
        self._prefix = hosts.inside(number)

    @property
    def command(self) -> list[str]:
        return [*self._prefix, *super().command]


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
