"""The JSON objects of a body that has no end: cut as they come, in groups of bounded size.

    body = *(blanks object) blanks

Only strings and braces are looked at, whatever else an object holds; so each byte is looked at a
few times at most, however the body is cut into parts.
"""

import re
from collections.abc import Iterator
from typing import Final, cast

from kafkalite.wire.v3_records import BrokenJsonError

GROUP_OBJECTS: Final = 4_096
GROUP_BYTES: Final = 512 << 10

_OPEN: Final = ord("{")
_BLANK: Final = b" \t\r\n"
_LEVELS: Final = 6
"""So deep an object is found at once; a deeper one brace by brace."""
_MAX_DEPTH: Final = 1_000
"""No decoder goes deeper, and each brace costs as much as a whole record."""
_IN_STRING: Final = rb'(?:[^"\\]++|\\.)*+'
_NO_BRACE: Final = rb'[^"{}]++|"%b"' % _IN_STRING

Piece = bytes | None
"""An object; None: it was larger than any may be, and was thrown away."""


def _whole() -> bytes:
    pattern = rb"\{(?:%b)*+\}" % _NO_BRACE
    for _ in range(_LEVELS):
        pattern = rb"\{(?:%b|%b)*+\}" % (_NO_BRACE, pattern)
    return pattern


_BLANKS: Final = re.compile(rb"[ \t\r\n]*+")
_WHOLE: Final = re.compile(_BLANKS.pattern + _whole(), re.DOTALL)
_TO_BRACE: Final = re.compile(
    rb'(?:%b|%b)*+(?:([{}])|(")%b(\\)?)?' % (_NO_BRACE, _whole(), _IN_STRING), re.DOTALL
)
"""Up to a brace that is not of an object found at once; or to the end of the part, maybe within a
string, maybe behind a backslash."""
_REST_OF_STRING: Final = re.compile(rb'%b(?:(")|(\\))?' % _IN_STRING, re.DOTALL)


class JsonObjects:
    """Cuts one body; holds no more of it than one object may have, and what it was fed last."""

    def __init__(self, max_object_bytes: int) -> None:
        self._max_object_bytes = max_object_bytes
        self._begun = bytearray()
        """Of an object whose end has not come."""
        self._is_too_long = False
        """Whether what was begun is more than an object may have; it is thrown away as it comes."""
        self._depth = 0
        self._is_in_string = False
        self._is_escaped = False
        """Whether the string's next character is behind a backslash."""

    def feed(self, part: bytes) -> Iterator[list[Piece]]:
        """The objects that end in this part; to be used up before the next.

        Raises:
            BrokenJsonError: there is something else between two of them, or one has no end of
                levels; nothing can follow.
        """
        group: list[Piece] = []
        size = 0
        try:
            for piece in self._cut(part):
                group.append(piece)
                size += len(piece or b"")
                if len(group) >= GROUP_OBJECTS or size >= GROUP_BYTES:
                    yield group
                    group, size = [], 0
        except BrokenJsonError:
            if group:
                yield group
            raise
        if group:
            yield group

    def end(self) -> None:
        """See that the last object is whole.

        Raises:
            BrokenJsonError: it is not.
        """
        if self._depth:
            raise BrokenJsonError("the body ends within an object")

    def _cut(self, part: bytes) -> Iterator[Piece]:
        begin = position = 0
        while position < len(part):
            if not self._depth:
                whole = _WHOLE.match(part, position)
                if whole is not None:
                    position = whole.end()
                    text = whole[0].lstrip(_BLANK)
                    yield text if len(text) <= self._max_object_bytes else None
                    continue
                begin = position = cast("re.Match[bytes]", _BLANKS.match(part, position)).end()
                if position == len(part):
                    return
                if part[position] != _OPEN:
                    raise BrokenJsonError(
                        "a record is an object, and nothing but blanks may be between two of them"
                    )
                self._depth = 1
                position += 1
            elif self._is_in_string:
                position = self._pass_string(part, position)
            else:
                position = self._pass_brace(part, position)
                if not self._depth:
                    yield self._ended(part[begin:position])
        if self._depth:
            self._begin(part[begin:])

    def _pass_string(self, part: bytes, position: int) -> int:
        found = cast("re.Match[bytes]", _REST_OF_STRING.match(part, position + self._is_escaped))
        self._is_in_string = found[1] is None
        self._is_escaped = found[2] is not None
        return found.end()

    def _pass_brace(self, part: bytes, position: int) -> int:
        found = cast("re.Match[bytes]", _TO_BRACE.match(part, position))
        if found[1] is not None:
            self._depth += 1 if found[1] == b"{" else -1
            if self._depth > _MAX_DEPTH:
                raise BrokenJsonError(f"a record has more than {_MAX_DEPTH} levels")
        elif found[2] is not None:
            self._is_in_string = True
            self._is_escaped = found[3] is not None
        return found.end()

    def _begin(self, text: bytes) -> None:
        if self._is_too_long or len(self._begun) + len(text) > self._max_object_bytes:
            self._is_too_long = True
            self._begun.clear()
        else:
            self._begun += text

    def _ended(self, text: bytes) -> Piece:
        """The object whose last part is `text`."""
        if self._begun or self._is_too_long or len(text) > self._max_object_bytes:
            self._begin(text)
            text, is_too_long = bytes(self._begun), self._is_too_long
            self._begun.clear()
            self._is_too_long = False
            if is_too_long:
                return None
        return text
