"""A clock that moves when a test says so."""


class FakeClock:
    """Implements model.clock.Clock."""

    def __init__(self, now_ms: int = 0) -> None:
        self.now_ms = now_ms

    def monotonic_ms(self) -> int:
        return self.now_ms

    def wall_ms(self) -> int:
        return self.now_ms
