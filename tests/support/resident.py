"""How much memory a process of a test has."""

import re
from pathlib import Path


def resident_bytes(pid: int) -> int:
    """What the process has of the machine's memory now."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) << 10
