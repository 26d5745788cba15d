"""The Clock protocol: the only way in which time enters a component."""

from typing import Protocol


class Clock(Protocol):
    """Two clocks, never mixed: one for durations, one for timestamps."""

    def monotonic_ms(self) -> int:
        """Milliseconds that never go back; for timeouts and ages."""

    def wall_ms(self) -> int:
        """Milliseconds since the Unix epoch; for timestamps that people and logs see."""
