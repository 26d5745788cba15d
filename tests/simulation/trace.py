"""What happened in a simulation, in order: for people, and to compare two runs."""

import hashlib
from collections.abc import Callable
from typing import NamedTuple


class Line(NamedTuple):
    """One thing that happened."""

    ms: float
    who: str
    text: str

    def __str__(self) -> str:
        return f"{self.ms:12.3f}  {self.who:<10} {self.text}"


class Trace:
    """Who did what when, in virtual milliseconds."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self.lines: list[Line] = []

    def note(self, who: str, text: str) -> None:
        self.lines.append(Line(self._now_s() * 1000, who, text))

    @property
    def digest(self) -> str:
        """The same for two runs in which the same happened."""
        whole = hashlib.sha256()
        for line in self.lines:
            whole.update(f"{line}\n".encode())
        return whole.hexdigest()[:16]
