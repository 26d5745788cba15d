"""What a process has used, from /proc."""

import os
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_USER_TIME_FIELD = 11  # of those that follow the command's name
_MEBI = 1 << 20
_KIBI = 1 << 10


def cpu_seconds(pid: int) -> float:
    """Processor time of a process, all of its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system = fields[_USER_TIME_FIELD : _USER_TIME_FIELD + 2]
    return (int(user) + int(system)) / _TICKS_PER_SECOND


def core_seconds(core: int) -> float:
    """Time for which a core worked, for whomever, waiting for the disk not counted."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _waiting, *interrupts_and_stolen = map(int, fields[:8])
            return (user + nice + system + sum(interrupts_and_stolen)) / _TICKS_PER_SECOND
    raise ValueError(f"there is no core {core}")


def resident_mb(pid: int) -> float:
    """Memory of a process that is in RAM, in MiB, shared pages included."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * _KIBI / _MEBI
    raise ValueError(f"process {pid} has no memory")


def open_files(pid: int) -> int:
    """Descriptors that a process has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
