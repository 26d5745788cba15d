"""Payloads that are small, and would be huge: memory stays near the bound, whatever they claim."""

import subprocess
import sys
from pathlib import Path

import pytest

BOUND = 8 << 20
ALLOWED = 4 * BOUND
"""Output, its predecessor while it grows, a decoder's window, and what the interpreter adds."""

# In a process of its own: what is measured is the most memory that it ever held.
MEASURE = """
import struct, sys
from pathlib import Path
from kafkalite.model.errors import LogError
from tests.support.batches import forge
from kafkalite.wire.validate import validate_batches

def peak():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) << 10

bound = int(sys.argv[1])
batch = Path(sys.argv[2]).read_bytes()
before = peak()
try:
    validate_batches(batch, max_batch_bytes=1 << 30, max_decompressed_bytes=bound)
except LogError as error:
    print(error.name, peak() - before)
"""

HUGE = f"bytes({64 * BOUND})"
NIL_HEADER = r'b"\x92\xa1a\xc0"'
BOMBS = {
    "gzip": f"compress(Compression.GZIP, {HUGE})",
    "snappy": f"compress(Compression.SNAPPY, {HUGE})",
    "lz4": f"compress(Compression.LZ4, {HUGE})",
    "zstd": f"compress(Compression.ZSTD, {HUGE})",
    # A frame that says it is one segment of 100 MiB, and one that asks for a window of 128 MiB.
    "zstd-size": r'b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", 100 << 20) + b"\x02\0\x10\0" * 2000',
    "zstd-window": r'b"\x28\xb5\x2f\xfd\0\x88" + b"\x02\0\x10\0" * 2000',
    # Within the bound, but records and headers take many times their bytes once they are objects.
    "records": r'b"\xdd\0\x10\0\0" + b"\x94\0\xc0\xc0\xc0" * (1 << 20)',
    "headers": (
        r'b"\x91\x94\0\xc0\xc0\xdd\0\x10\0\0" + ' + NIL_HEADER + " * (1 << 20)"
    ),
    "headers-of-many": (
        r'b"\xdd\0\0\x01\0" + (b"\x94\0\xc0\xc0\xdd\0\0\x10\0" + '
        + NIL_HEADER + " * 4096) * 256"
    ),
}  # fmt: skip
CODEC = {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4, "zstd-size": 4, "zstd-window": 4}

MAKE = """
import struct, sys
from pathlib import Path
from kafkalite.model.compression import Compression
from kafkalite.wire.compression import compress
from tests.support.batches import forge
Path(sys.argv[1]).write_bytes(forge(payload={payload}, attributes={codec}))
"""


def run(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_and_memory_stays_near_the_bound(name: str, tmp_path: Path) -> None:
    path = tmp_path / "batch"
    run(MAKE.format(payload=BOMBS[name], codec=CODEC.get(name, 0)), str(path))
    error, growth = run(MEASURE, str(BOUND), str(path)).split()
    assert error in ("MESSAGE_TOO_LARGE", "CORRUPT_MESSAGE")
    assert int(growth) < ALLOWED
