"""A simulated cluster: machines, the network between them, ZooKeeper, and what was noticed."""

import contextlib
import gc
import logging
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping
from random import Random
from typing import Any, Final

from kafkalite.config.keys import BrokerSettings
from tests.simulation.kazoo_client import Ensemble
from tests.simulation.loop import SimulatedLoop
from tests.simulation.machine import Machine
from tests.simulation.network import Network
from tests.simulation.process import Process
from tests.simulation.sealing import LogCapture, sealed
from tests.simulation.trace import Trace

_RESTART_S: Final = 1.0


class Violation(Exception):
    """Something that must always hold did not."""


class Cluster:
    """Everything there is in one simulation. Belongs to the world."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.loop = SimulatedLoop(self.random_for("loop"), self._complain)
        self.trace = Trace(self.loop.time)
        self.network = Network(self.loop, self.random_for("network"))
        self.ensemble = Ensemble(self.loop, self.random_for("zookeeper"))
        self.machines: dict[int, Machine] = {}
        self.failures: list[str] = []
        """What went wrong, first things first; any makes the run fail."""
        self.loop.executor_delay_s = _disk_delay_s

    def random_for(self, purpose: str) -> Random:
        """A stream of chance of its own, so that one purpose does not disturb another."""
        return Random(f"{self.seed}-{purpose}")

    def add_machine(self, broker_id: int, settings: Mapping[str, str]) -> Machine:
        """Put a machine there whose broker has these lines in its server.properties."""
        given = {
            "broker.id": str(broker_id),
            "listeners": f"HTTP://b{broker_id}:9092",
            "zookeeper.connect": "zookeeper:2181",
            **settings,
        }
        machine = Machine(
            self.loop,
            self.network,
            self.trace,
            BrokerSettings.model_validate(given),
            self.random_for(f"machine-{broker_id}"),
        )
        self.machines[broker_id] = machine
        return machine

    def fail(self, text: str) -> None:
        """Note that something went wrong."""
        self.failures.append(text)
        self.trace.note("checker", f"FAILURE: {text}")

    def _complain(self, process: Process, context: dict[str, Any]) -> None:
        error = context.get("exception")
        text = f"in {process.name}: {context.get('message')}: {error!r}"
        if isinstance(error, BaseException):
            text += "\n" + "".join(traceback.format_exception(error))
        self.fail(f"INV-8 {text}")

    def run(self, main: Callable[["Cluster"], Awaitable[None]]) -> None:
        """Run a story in this cluster until it ends."""
        with _logging_to(self), _quiet_end(self), sealed(self.seed, self.ensemble):
            self.loop.run(_as_coroutine(main(self)))


async def _as_coroutine(work: Awaitable[None]) -> None:
    await work


def _disk_delay_s(process: Process) -> float:
    return 0.001 if process.machine is None else process.machine.disk_delay_s


@contextlib.contextmanager
def _logging_to(cluster: Cluster) -> Iterator[None]:
    logger = logging.getLogger("kafkalite")
    handler = LogCapture(cluster.trace.note, cluster._complain)
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before


@contextlib.contextmanager
def _quiet_end(cluster: Cluster) -> Iterator[None]:
    """Collect nothing while it runs; afterwards let everything go without a word."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        processes = [cluster.loop.world]
        for machine in cluster.machines.values():
            processes += machine.past
            if machine.process is not None:
                processes.append(machine.process)
        for process in processes:
            process.is_dead = True
            for task in process.tasks:
                setattr(task, "_log_destroy_pending", False)  # noqa: B010 - not in its types
        gc.enable()
        before, sys.unraisablehook = sys.unraisablehook, lambda _: None
        level = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        try:
            for process in processes:
                for task in process.tasks:
                    if not task.done():
                        with contextlib.suppress(BaseException):
                            task.get_coro().close()
                process.tasks.clear()
                process.ready.clear()
            gc.collect()
        finally:
            logging.disable(level)
            sys.unraisablehook = before
