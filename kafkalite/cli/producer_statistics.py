"""What kafka-producer-perf-test counts and prints."""

from collections.abc import Callable
from typing import Final

_SAMPLES: Final = 500_000
_MEBI: Final = 1 << 20
_PERCENTILES: Final = (("50th", 0.5), ("95th", 0.95), ("99th", 0.99), ("99.9th", 0.999))


class ProducerStatistics:
    """Latencies of acknowledged records: of a window, which ends now and then, and of all.

    For one thread. Of the many records that a test sends at most half a million are remembered
    for the percentiles, evenly spread.
    """

    def __init__(
        self, expected: int, reporting_ms: int, now_ms: int, show: Callable[[str], None]
    ) -> None:
        """Begin to count.

        Args:
            expected: how many records there will be.
            reporting_ms: how long a window is.
            now_ms: the time, in milliseconds since whenever.
            show: given a line for each window that ends.
        """
        self._every = max(expected // min(max(expected, 1), _SAMPLES), 1)
        self._reporting_ms = reporting_ms
        self._show = show
        self._begun_ms = self._window_begun_ms = now_ms
        self._latencies: list[int] = []
        self._past = _Sum()
        self._window = _Sum()

    def record(self, latency_ms: int, size: int, now_ms: int) -> None:
        """Count a record of `size` bytes that took `latency_ms`."""
        window = self._window
        if self._every == 1 or (self._past.count + window.count) % self._every == 0:
            self._latencies.append(latency_ms)
        window.count += 1
        window.size += size
        window.total_ms += latency_ms
        window.max_ms = max(window.max_ms, latency_ms)
        if now_ms - self._window_begun_ms >= self._reporting_ms:
            self._show(window.line(now_ms - self._window_begun_ms))
            self._past = self._past.with_(window)
            self._window = _Sum()
            self._window_begun_ms = now_ms

    def total(self, now_ms: int) -> str:
        """The last line of the test."""
        elapsed_s = max(now_ms - self._begun_ms, 1) / 1000
        found = self._past.with_(self._window)
        average = found.total_ms / found.count if found.count else 0.0
        ordered = sorted(self._latencies)
        percentiles = ", ".join(
            f"{ordered[int(share * len(ordered))] if ordered else 0} ms {name}"
            for name, share in _PERCENTILES
        )
        return (
            f"{found.count} records sent, {found.count / elapsed_s:.6f} records/sec "
            f"({found.size / _MEBI / elapsed_s:.2f} MB/sec), {average:.2f} ms avg latency, "
            f"{found.max_ms:.2f} ms max latency, {percentiles}."
        )


class _Sum:
    """What was acknowledged in some time."""

    __slots__ = ("count", "max_ms", "size", "total_ms")

    def __init__(self, count: int = 0, size: int = 0, total_ms: int = 0, max_ms: int = 0) -> None:
        self.count = count
        self.size = size
        self.total_ms = total_ms
        self.max_ms = max_ms

    def with_(self, other: "_Sum") -> "_Sum":
        """Both together."""
        return _Sum(
            self.count + other.count,
            self.size + other.size,
            self.total_ms + other.total_ms,
            max(self.max_ms, other.max_ms),
        )

    def line(self, elapsed_ms: int) -> str:
        """What is printed of it; there is something in it."""
        elapsed_s = elapsed_ms / 1000
        return (
            f"{self.count} records sent, {self.count / elapsed_s:.1f} records/sec "
            f"({self.size / _MEBI / elapsed_s:.2f} MB/sec), "
            f"{self.total_ms / self.count:.1f} ms avg latency, {self.max_ms:.1f} ms max latency."
        )
