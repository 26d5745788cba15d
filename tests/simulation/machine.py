"""A simulated machine: a disk, a clock, and the broker that runs there, if one does."""

import asyncio
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

from kafkalite import server
from kafkalite.broker.broker import Broker
from kafkalite.config.keys import BrokerSettings
from kafkalite.coordination.session_file import SessionKey
from kafkalite.storage.log_directories import LogDirectories
from tests.simulation.loop import SimulatedLoop
from tests.simulation.network import Network
from tests.simulation.process import CURRENT, EPOCH_MS, Process
from tests.simulation.trace import Trace
from tests.support.faulty_disk import FaultyDisk

if TYPE_CHECKING:
    from tests.simulation.kazoo_client import SimulatedKazoo

SIGTERM: Final = 15
_RESTART_S: Final = 2.0
"""After which a broker that could not start is started again."""


class Machine:
    """Where one broker lives, through all of its lives. Belongs to the world."""

    def __init__(
        self, loop: SimulatedLoop, network: Network, trace: Trace, settings: BrokerSettings,
        random: Random,
    ) -> None:  # fmt: skip
        self.id = settings.broker_id
        self.name = f"b{self.id}"
        self.settings = settings
        self.network = network
        self.disk = FaultyDisk()
        self.disk.make_directory(Path(f"/{self.name}"))
        self.disk.sync_directory(Path("/"))
        self.session_key: SessionKey | None = None
        """What the session file holds."""
        self.process: Process | None = None
        self.broker: Broker | None = None
        self.directories: LogDirectories | None = None
        """Those of the running broker."""
        self.client: SimulatedKazoo | None = None
        """The running broker's client of ZooKeeper."""
        self.disk_delay_s = 0.002
        self.skew_ms = 0
        """How far its wall clock is off."""
        self.is_off = False
        self.is_damaged = False
        """Whether bits of its disk were flipped, at any time."""
        self._boots = 1
        self._lives = 0
        self._past: list[Process] = []
        self._loop = loop
        self._trace = trace
        self._random = random

    def __repr__(self) -> str:
        return self.name

    @property
    def boot_id(self) -> str:
        return f"{self.name}-boot-{self._boots}"

    @property
    def is_running(self) -> bool:
        """Whether there is a process, stopped or not."""
        return self.process is not None

    @property
    def is_serving(self) -> bool:
        """Whether the broker is there and in nobody's way."""
        return (
            self.process is not None
            and not self.process.is_stopped
            and self.broker is not None
            and self.broker.state == "running"
        )

    @property
    def has_failed_directory(self) -> bool:
        """Whether one is out of use until the next start."""
        wanted = len(self.settings.log_directories)
        return self.directories is not None and len(list(self.directories)) < wanted

    @property
    def address(self) -> str:
        return f"{self.name}:9092"

    @property
    def past(self) -> list[Process]:
        """Processes that have ended."""
        return self._past

    # -- what is done to it ---------------------------------------------------------------------

    def start(self) -> None:
        """Start the broker."""
        if self.process is not None or self.is_off:
            return
        self._lives += 1
        self.process = process = Process(self._loop, f"{self.name}.{self._lives}", self)
        self._trace.note(process.name, "starts")
        process.spawn(self._run(process), "main")

    async def _run(self, process: Process) -> None:
        try:
            await server._serve(self.settings)
        except server.StartError as error:
            self._trace.note(process.name, f"cannot start: {error}")
            self._loop.world.call_later(_RESTART_S, self.start)
        except Exception as error:  # noqa: BLE001 - a bug, which the loop reports
            self._loop.call_exception_handler({"message": "the broker died", "exception": error})
        else:
            self._trace.note(process.name, "exits")
        self._loop.world.call(self._exited, process)

    def _exited(self, process: Process) -> None:
        if self.process is process:
            self._end(process)

    def _end(self, process: Process) -> None:
        self.process = self.broker = self.directories = self.client = None
        self._past.append(process)
        process.kill()
        self.disk = self.disk.take_away()

    def terminate(self) -> None:
        """SIGTERM: a controlled shutdown."""
        if self.process is not None:
            self._trace.note(self.process.name, "is asked to stop")
            self.process.signal(SIGTERM)

    def kill(self) -> None:
        """SIGKILL: what is written stays."""
        if self.process is not None:
            self._trace.note(self.process.name, "is killed")
            self._end(self.process)

    def crash(self) -> None:
        """Power failure: of what was not synced, anything may be gone."""
        if self.is_off:
            return
        self._trace.note(self.name, "loses its power")
        self.is_off = True
        self.network.turn_off(self.name)
        before = self.disk
        if self.process is not None:
            self._end(self.process)
        room = self.disk.room
        self.disk = before.after_crash(self._random.getrandbits(32))
        self.disk.room = room
        self._boots += 1

    def turn_on(self) -> None:
        """The power is back."""
        self.is_off = False
        self.network.off.discard(self.name)

    def die_at_operation(self, count: int, *, power: bool) -> None:
        """Die in the middle of the disk's `count`-th changing operation from now on."""
        self.disk.crash_at = self.disk.operations + count
        self.disk.when_crashing = self.crash if power else self.kill

    def stop(self) -> None:
        """SIGSTOP."""
        if self.process is not None:
            self._trace.note(self.process.name, "is stopped")
            self.process.stop()

    def resume(self) -> None:
        """SIGCONT."""
        if self.process is not None:
            self._trace.note(self.process.name, "is continued")
            self.process.resume()


class MachineClock:
    """The clock of the machine on which the asking code runs; implements model.clock.Clock."""

    def monotonic_ms(self) -> int:
        return int(asyncio.get_running_loop().time() * 1000)

    def wall_ms(self) -> int:
        machine = CURRENT.get().machine
        skew_ms = 0 if machine is None else machine.skew_ms
        return EPOCH_MS + self.monotonic_ms() + skew_ms
