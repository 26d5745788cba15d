"""A pytest plugin that points kazoo's own test suite at a server of ours.

kazoo's harness builds an ensemble of Java processes out of environment variables. This plugin puts
one standalone server in the place of that ensemble, before kazoo's tests are imported, so that
neither the jars nor the TLS packages which kazoo's ensemble needs are wanted. Used with
`pytest -p tests.support.kazoo_harness`; KAZOO_SUITE_SERVER is `embedded` or `real`,
KAZOO_SUITE_DIRECTORY is where the server may write.
"""

import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.zookeeper import EmbeddedZooKeeper, RealZooKeeper, ZooKeeperProcess

_KINDS: dict[str, type[ZooKeeperProcess]] = {"embedded": EmbeddedZooKeeper, "real": RealZooKeeper}

# Only these stop the server to see what a client does meanwhile. `test_update_host_list` stops one
# of three, which is none of one.
_TESTS_THAT_RESTART = {
    "test_request_queuing_session_recovered",
    "test_request_queuing_session_expired",
}


class _Member:
    """The server as kazoo's tests see a member of their ensemble."""

    def __init__(self, process: ZooKeeperProcess) -> None:
        self.process = process
        self.may_stop = False
        self.running = True

    @property
    def address(self) -> str:
        return self.process.hosts

    def stop(self) -> None:
        if self.may_stop:
            self.process.stop()

    def run(self) -> None:
        if self.may_stop:
            self.process.start()


class _Ensemble(list[_Member]):
    """An ensemble of one that outlives the test classes."""

    def start(self) -> None:
        """Nothing: it runs from the session's start to its end."""

    terminate = start

    def get_logs(self) -> list[str]:
        return self[0].process.output.splitlines()[-100:]


def _make_member() -> _Member:
    kind = _KINDS[os.environ["KAZOO_SUITE_SERVER"]]
    directory = Path(os.environ["KAZOO_SUITE_DIRECTORY"])
    # kazoo's tests count on the timing of ZooKeeper's default tick.
    return _Member(kind(directory, tick_ms=2000))


_member = _make_member()
_ensemble = _Ensemble([_member])

# In place of the module that imports OpenSSL and jks and starts Java.
_common = types.ModuleType("kazoo.testing.common")
_common.ZookeeperCluster = lambda **_options: _ensemble  # type: ignore[attr-defined]
sys.modules["kazoo.testing.common"] = _common
os.environ.setdefault("ZOOKEEPER_VERSION", "3.8.0")


def pytest_sessionstart() -> None:
    _member.process.start()


def pytest_sessionfinish() -> None:
    _member.process.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    _member.may_stop = item.name in _TESTS_THAT_RESTART
    return (yield)
