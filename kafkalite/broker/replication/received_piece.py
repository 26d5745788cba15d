"""Batches that another broker has sent, in the pieces in which they go on to a client."""

from collections.abc import Iterator

from kafkalite.broker.sending_room import Lease
from kafkalite.model.errors import CorruptMessageError
from kafkalite.model.offsets import NO_OFFSET
from kafkalite.wire.batch import HEADER_SIZE, header_at


class ReceivedPiece:
    """Whole batches; holds the room that they take until it is dropped."""

    __slots__ = ("_data", "_lease", "next_offset")

    def __init__(self, data: memoryview, next_offset: int, lease: Lease) -> None:
        self._data = data
        self._lease = lease
        self.next_offset = next_offset
        """The offset after the last record."""

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self._data)

    @property
    def buffers(self) -> tuple[memoryview]:
        """The bytes."""
        return (self._data,)

    def try_read(self) -> bytes:
        """The bytes, which are there."""
        return bytes(self._data)

    def read(self) -> bytes:
        """The bytes, which are there."""
        return bytes(self._data)


def received_pieces(data: bytes, piece_bytes: int, lease: Lease) -> Iterator[ReceivedPiece]:
    """Cut `data` between batches, into pieces of about `piece_bytes`.

    What cannot be cut is left whole, for whoever decodes it to find out why.
    """
    view = memoryview(data)
    begin = position = 0
    next_offset = NO_OFFSET
    while position + HEADER_SIZE <= len(view):
        try:
            header = header_at(view, position)
        except CorruptMessageError:
            break
        if position > begin and position + header.size - begin > piece_bytes:
            yield ReceivedPiece(view[begin:position], next_offset, lease)
            begin = position
        position += header.size
        next_offset = header.next_offset
    if begin < len(view):
        yield ReceivedPiece(view[begin:], next_offset, lease)
