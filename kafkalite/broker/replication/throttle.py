"""How fast replicas that are not in sync may be caught up, where that is bounded."""

from collections.abc import Callable

from kafkalite.model.clock import Clock


class ReplicationThrottle:
    """Bytes a second, shared by all throttled replicas on one side of this broker.

    Traffic is let through while there is credit and may overdraw it, since a batch cannot be split;
    then it waits until the debt is paid. A second's worth of credit is kept at most.
    """

    __slots__ = ("_clock", "_credit", "_rate", "_seen_ms")

    def __init__(self, rate: Callable[[], int], clock: Clock) -> None:
        """Assign only; `rate` gives the bytes a second in force, at least 1."""
        self._rate = rate
        self._clock = clock
        self._credit = 0.0
        """Bytes; below zero: a debt."""
        self._seen_ms: int | None = None

    def wait_ms(self) -> int:
        """How long nothing may pass; 0: something may now."""
        credit = self._accrued()
        return 0 if credit >= 0 else int(-credit * 1000 / self._rate()) + 1

    def take(self, size: int) -> None:
        """Count `size` bytes that passed."""
        self._credit = self._accrued() - size

    def _accrued(self) -> float:
        rate, now = self._rate(), self._clock.monotonic_ms()
        if self._seen_ms is None:
            self._credit = rate
        else:
            self._credit = min(self._credit + rate * (now - self._seen_ms) / 1000, rate)
        self._seen_ms = now
        return self._credit
