"""The lines of a body that has no end: cut as they come, numbered, in groups of bounded size."""

from collections.abc import Iterator
from typing import Final, NamedTuple

GROUP_LINES: Final = 4_096
GROUP_BYTES: Final = 512 << 10


class NumberedLine(NamedTuple):
    """A line without its end."""

    number: int
    """Counted from 1, blank lines too."""
    text: bytes
    is_too_long: bool = False
    """Its text was thrown away."""


class BodyLines:
    """Cuts one body; holds no more of it than one line may have, and what it was fed last."""

    def __init__(self, max_line_bytes: int) -> None:
        self._max_line_bytes = max_line_bytes
        self._begun = bytearray()
        """Of a line whose end has not come."""
        self._is_too_long = False
        """Whether what was begun is more than a line may have; it is thrown away as it comes."""
        self._number = 0

    @property
    def number(self) -> int:
        """Of the last whole line."""
        return self._number

    def feed(self, part: bytes) -> Iterator[list[NumberedLine]]:
        """The lines that end in this part, but for blank ones; to be used up before the next."""
        if b"\n" not in part:
            self._begin(part)
            return
        group: list[NumberedLine] = []
        size = 0
        *whole, rest = part.split(b"\n")
        for text in whole:
            line = self._ended(text)
            if line is not None:
                group.append(line)
                size += len(line.text)
                if len(group) >= GROUP_LINES or size >= GROUP_BYTES:
                    yield group
                    group, size = [], 0
        self._begin(rest)
        if group:
            yield group

    def end(self) -> list[NumberedLine]:
        """The last line, where it has no end."""
        line = self._ended(b"") if self._begun or self._is_too_long else None
        return [] if line is None else [line]

    def _begin(self, text: bytes) -> None:
        if self._is_too_long or len(self._begun) + len(text) > self._max_line_bytes:
            self._is_too_long = True
            self._begun.clear()
        else:
            self._begun += text

    def _ended(self, text: bytes) -> NumberedLine | None:
        """The line whose last part is `text`; None for a blank one."""
        self._number += 1
        if self._begun or self._is_too_long or len(text) > self._max_line_bytes:
            self._begin(text)
            text, is_too_long = bytes(self._begun), self._is_too_long
            self._begun.clear()
            self._is_too_long = False
            if is_too_long:
                return NumberedLine(self._number, b"", is_too_long=True)
        return NumberedLine(self._number, text) if text.strip() else None
