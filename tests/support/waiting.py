"""Waiting in tests: for a condition, with a deadline; never for a time."""

import time
from collections.abc import Callable

_POLL_S = 0.02


def wait_until(condition: Callable[[], object], what: str, timeout_s: float = 30.0) -> None:
    """Return once `condition()` is true; AssertionError that names `what` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s} s"
        time.sleep(_POLL_S)
