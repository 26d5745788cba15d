"""A file system of a few MiB, for tests that fill it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(directory: Path, size_bytes: int) -> Iterator[Path]:
    """Mount a tmpfs at `directory`; the test is skipped where that is not allowed.

    With CI=true it fails there instead.
    """
    directory.mkdir(parents=True)
    options = f"size={size_bytes}"
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(directory)],
            capture_output=True,
            check=False,
            text=True,
        )
        reason = mounted.stderr.strip() if mounted.returncode else None
    except OSError as error:
        reason = str(error)
    if reason is not None:
        reason = f"a full disk takes the right to mount a tmpfs: {reason}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def fill(directory: Path) -> Path:
    """Use up what is left of the file system of `directory`; delete the file to free it."""
    filler = directory / "filler"
    with filler.open("wb", buffering=0) as file:
        block = b"x" * 65536
        while block:
            try:
                file.write(block)
            except OSError:
                block = block[: len(block) // 2]
    return filler
