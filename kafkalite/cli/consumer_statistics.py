"""What kafka-consumer-perf-test counts and prints."""

from typing import Final

from kafkalite.cli.date_format import DateFormat

_MEBI: Final = 1 << 20
_RATES: Final = (
    "data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, "
    "fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec"
)
HEADER: Final = f"start.time, end.time, {_RATES}"
DETAILED_HEADER: Final = f"time, threadId, {_RATES}"


class ConsumerStatistics:
    """Records read, and the time that was not spent on reading but on getting partitions."""

    def __init__(self, begun_ms: int, dates: DateFormat) -> None:
        self._begun_ms = self._reported_ms = self._joining_since_ms = begun_ms
        self._dates = dates
        self.count = 0
        self.size = 0
        self._reported = (0, 0)
        self._joined_ms = self._joined_lately_ms = 0

    def revoked(self, now_ms: int) -> None:
        """Partitions go: until others come there is nothing to read."""
        self._joining_since_ms = now_ms

    def assigned(self, now_ms: int) -> None:
        """They came."""
        taken_ms = now_ms - self._joining_since_ms
        self._joined_ms += taken_ms
        self._joined_lately_ms += taken_ms

    def is_due(self, now_ms: int, interval_ms: int) -> bool:
        """Whether the last line, or the beginning, is so long ago."""
        return now_ms - self._reported_ms >= interval_ms

    def interval(self, now_ms: int) -> str:
        """A line about what came since the last such line."""
        count, size = self.count - self._reported[0], self.size - self._reported[1]
        elapsed_ms = now_ms - self._reported_ms
        fetching_ms = elapsed_ms - self._joined_lately_ms
        megabytes = size / _MEBI
        line = (
            f"{self._dates.format(now_ms)}, 0, {self.size / _MEBI:.4f}, "
            f"{_rate(megabytes, elapsed_ms):.4f}, {self.count}, {_rate(count, elapsed_ms):.4f}, "
            f"{self._joined_lately_ms}, {fetching_ms}, "
            f"{_rate(megabytes, fetching_ms):.4f}, {_rate(count, fetching_ms):.4f}"
        )
        self._reported = (self.count, self.size)
        self._reported_ms = now_ms
        self._joined_lately_ms = 0
        return line

    def total(self, now_ms: int) -> str:
        """The one line of a test without details."""
        elapsed_ms = now_ms - self._begun_ms
        fetching_ms = elapsed_ms - self._joined_ms
        megabytes = self.size / _MEBI
        return (
            f"{self._dates.format(self._begun_ms)}, {self._dates.format(now_ms)}, "
            f"{megabytes:.4f}, {_rate(megabytes, elapsed_ms):.4f}, "
            f"{self.count}, {_rate(self.count, elapsed_ms):.4f}, "
            f"{self._joined_ms}, {fetching_ms}, "
            f"{_rate(megabytes, fetching_ms):.4f}, {_rate(self.count, fetching_ms):.4f}"
        )


def _rate(amount: float, elapsed_ms: int) -> float:
    return amount * 1000 / elapsed_ms if elapsed_ms > 0 else 0.0
