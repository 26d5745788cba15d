"""Programs of other languages that tests need, and what becomes of the tests without them."""

import os
import shutil
from collections.abc import Callable
from typing import Final

import pytest

LEFT_OUT: Final = "KAFKALITE_EXAMPLES_LEFT_OUT"
"""The variable that names what a machine does not have, with commas between."""


def is_there(*commands: str) -> bool:
    """Whether all of these can be run."""
    return all(shutil.which(command) for command in commands)


def require_tool(name: str, package: str, is_installed: Callable[[], bool]) -> None:
    """Fail the test where something is not installed; skip it where that is left out by name.

    Args:
        name: what `LEFT_OUT` calls it.
        package: Debian's, that has it.
        is_installed: asked unless it is left out.
    """
    if name in os.environ.get(LEFT_OUT, "").split(","):
        pytest.skip(f"{LEFT_OUT} names {name}")
    if not is_installed():
        pytest.fail(
            f"this needs Debian's package {package}; to leave it out, set {LEFT_OUT}={name}"
        )
