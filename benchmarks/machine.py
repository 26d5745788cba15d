"""What the benchmarks ran on, in the words that go below the table."""

import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.cores import Cores

_SMALL: Final = 200
_LARGE: Final = 1 << 20
_TIMES: Final = {_SMALL: 100, _LARGE: 20}


def describe_machine(directory: Path, cores: Cores) -> list[str]:
    """Lines about processor, software and the disk that `directory` is on."""
    flush = {size: _flush_ms(directory, size) for size in _TIMES}
    small, large = flush[_SMALL], flush[_LARGE]
    return [
        f"{_processor()}, {os.cpu_count()} cores (server on {cores.server}, load on {cores.load}); "
        f"{platform.system()} {platform.release()}; Python {platform.python_version()}",
        f"{_filesystem(directory)}: fdatasync takes {small:.2f} ms after {_SMALL} bytes, "
        f"{large:.2f} ms after 1 MiB",
        f"load average before the run: {os.getloadavg()[0]:.2f}",
    ]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _filesystem(directory: Path) -> str:
    """The type of the file system; durability on one in memory means nothing."""
    found = subprocess.run(
        ["df", "--output=fstype", directory],
        capture_output=True,
        text=True,
        check=False,
    )
    kind = found.stdout.split()[-1] if found.stdout else "an unknown file system"
    if kind == "tmpfs":
        print(f"{directory} is in memory: flushing costs nothing there", file=sys.stderr)
    return kind


def _flush_ms(directory: Path, size: int) -> float:
    path = directory / "flush-probe"
    taken = []
    with path.open("wb", buffering=0) as file:
        for _ in range(_TIMES[size]):
            file.write(bytes(size))
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter() - started) * 1e3)
    path.unlink()
    return median(taken)
