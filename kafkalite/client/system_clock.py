"""The machine's clocks, for clients; brokers have theirs."""

import time


class SystemClock:
    """Implements model.clock.Clock."""

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000
