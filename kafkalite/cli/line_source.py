"""Standard input as lines, in pieces of bounded size."""

import os
import select
import stat
from typing import Final

from kafkalite.cli.failure import CommandError

_PIECE_BYTES: Final = 256 << 10


class LineSource:
    """Reads lines from a file descriptor of any kind, never holding more than one line and a piece.

    A line ends with a newline, or with a carriage return and a newline; the last one may lack it.
    A line longer than `max_line_bytes` is dropped as it is read and stands as None, so that the
    numbers of the others stay right.
    """

    def __init__(self, descriptor: int, max_line_bytes: int) -> None:
        self._descriptor = descriptor
        self._max_line_bytes = max_line_bytes
        self._parts: list[bytes] = []
        self._size = 0
        self._at_end = False
        self.bytes_read = 0
        try:
            status = os.fstat(descriptor)
        except OSError:
            raise CommandError("Standard input is closed.") from None
        self.size: int | None = status.st_size if stat.S_ISREG(status.st_mode) else None
        """Bytes of a regular file; None where the end cannot be known."""

    def read(self) -> list[bytes | None] | None:
        """The lines that the next piece of input completes, maybe none; None at the end."""
        if self._at_end:
            return None
        try:
            piece = os.read(self._descriptor, _PIECE_BYTES)
        except OSError as error:
            raise CommandError(f"Cannot read standard input: {error.strerror}.") from None
        self.bytes_read += len(piece)
        if not piece:
            self._at_end = True
            return [self._take()] if self._size else None
        lines: list[bytes | None] = []
        first, *rest = piece.split(b"\n")
        self._add(first)
        if not rest:
            return lines
        lines.append(self._take())
        self._add(rest.pop())
        if len(piece) > self._max_line_bytes:
            lines.extend(line if len(line) <= self._max_line_bytes else None for line in rest)
        else:
            lines.extend(rest)
        if b"\r" in piece:
            lines[1:] = [line and line.removesuffix(b"\r") for line in lines[1:]]
        return lines

    def wait(self) -> None:
        """Wait until there is more input, or its end."""
        select.select([self._descriptor], [], [])

    def has_more(self, wait_s: float) -> bool:
        """Whether more input, or its end, is there within `wait_s`."""
        return bool(select.select([self._descriptor], [], [], wait_s)[0])

    def _add(self, part: bytes) -> None:
        """Keep a part of a line that is not complete yet."""
        self._size += len(part)
        if self._size > self._max_line_bytes + 1:  # one more: it may be a carriage return
            self._parts.clear()
        elif part:
            self._parts.append(part)

    def _take(self) -> bytes | None:
        """The line that the kept parts make; they are gone then."""
        line = b"".join(self._parts).removesuffix(b"\r")
        too_long = self._size > self._max_line_bytes + 1 or len(line) > self._max_line_bytes
        self._parts.clear()
        self._size = 0
        return None if too_long else line
