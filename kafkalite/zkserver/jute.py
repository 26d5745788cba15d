"""Jute, ZooKeeper's wire encoding: big-endian numbers and length-prefixed bytes. Pure.

int     4 bytes, signed
long    8 bytes, signed
bool    1 byte, 0 is false
buffer  int length, then the bytes; length -1 is null
string  a buffer of UTF-8
vector  int count, then the elements; count -1 is null
"""

import struct
from collections.abc import Callable
from typing import TypeVar

from kafkalite.zkserver.errors import MalformedError

_T = TypeVar("_T")

_INT = struct.Struct("!i")
_LONG = struct.Struct("!q")
_NULL = _INT.pack(-1)

pack_int = _INT.pack
pack_long = _LONG.pack


class Reader:
    """Reads one frame from front to back; every read is checked against its end.

    Raises MalformedError where the frame is too short, a length lies, or text is no UTF-8.
    """

    __slots__ = ("_data", "_offset")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0

    @property
    def remaining(self) -> int:
        """Bytes not read yet."""
        return len(self._data) - self._offset

    def read_int(self) -> int:
        offset = self._offset
        try:
            value: int = _INT.unpack_from(self._data, offset)[0]
        except struct.error:
            raise MalformedError(f"an int is cut off at byte {offset}") from None
        self._offset = offset + 4
        return value

    def read_long(self) -> int:
        offset = self._offset
        try:
            value: int = _LONG.unpack_from(self._data, offset)[0]
        except struct.error:
            raise MalformedError(f"a long is cut off at byte {offset}") from None
        self._offset = offset + 8
        return value

    def read_bool(self) -> bool:
        if not self.remaining:
            raise MalformedError(f"a bool is cut off at byte {self._offset}")
        value = self._data[self._offset] != 0
        self._offset += 1
        return value

    def read_buffer(self) -> bytes | None:
        length = self.read_int()
        if length < 0:
            if length == -1:
                return None
            raise MalformedError(f"a length of {length}")
        start = self._offset
        end = start + length
        if end > len(self._data):
            raise MalformedError(f"{length} bytes announced, {self.remaining} left")
        self._offset = end
        return self._data[start:end]

    def read_string(self) -> str:
        """Read text; null reads as empty, which no path and no scheme may be."""
        data = self.read_buffer()
        if data is None:
            return ""
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise MalformedError("text is not UTF-8") from None

    def read_vector(self, read_element: Callable[["Reader"], _T]) -> list[_T]:
        """Read a vector; null reads as empty."""
        count = self.read_int()
        # Every element takes at least a byte, so a lying count is found before it costs memory.
        if count < -1 or count > self.remaining:
            raise MalformedError(f"a vector of {count} elements in {self.remaining} bytes")
        return [read_element(self) for _ in range(count)]


def pack_buffer(data: bytes | None) -> bytes:
    return _NULL if data is None else _INT.pack(len(data)) + data


def pack_string(text: str) -> bytes:
    data = text.encode()
    return _INT.pack(len(data)) + data
