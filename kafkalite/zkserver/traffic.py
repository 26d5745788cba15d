"""What went through the server: packets and latencies, as `stat` and `mntr` show them."""


class Traffic:
    """Counters since the start. Written by the server on its loop."""

    def __init__(self) -> None:
        self.received = 0
        self.sent = 0
        self.outstanding = 0
        """Requests taken in and not answered yet."""
        self.rejected_connections = 0
        self.min_latency_ms = 0
        self.max_latency_ms = 0
        self._answered = 0
        self._latency_sum_ms = 0

    @property
    def average_latency_ms(self) -> float:
        return self._latency_sum_ms / self._answered if self._answered else 0.0

    def answered(self, latency_ms: int) -> None:
        self.min_latency_ms = min(self.min_latency_ms, latency_ms) if self._answered else latency_ms
        self.max_latency_ms = max(self.max_latency_ms, latency_ms)
        self._latency_sum_ms += latency_ms
        self._answered += 1
        self.outstanding -= 1
