"""What both index files share: fixed-size entries and a trailer that proves them whole.

    index   = { entry } trailer
    trailer = -1 checksum:u32             ; as wide as an entry: i32 -1 beside the checksum in an
                                          ; offset index, i64 -1 in a time index
    checksum = CRC-32C of all entries

An index is derived from its segment and written without fsync: a file without a valid trailer is
as good as none, and is made again from the segment.
"""

import struct
from pathlib import Path
from typing import Final

from kafkalite.storage.files import Disk, read_whole, replace_file
from kafkalite.wire.batch import checksum

_TRAILERS: Final = {8: struct.Struct(">iI"), 12: struct.Struct(">qI")}


def write_index(disk: Disk, path: Path, entries: bytes, entry_size: int) -> None:
    """Replace an index file; raises OSError."""
    trailer = _TRAILERS[entry_size].pack(-1, checksum(entries))
    replace_file(disk, path, entries + trailer, durable=False)


def read_index(disk: Disk, path: Path, entry_size: int) -> bytes | None:
    """The entries of an index file; None when it is missing, torn or altered."""
    try:
        data = read_whole(disk, path)
    except FileNotFoundError:
        return None
    if len(data) < entry_size or len(data) % entry_size:
        return None
    entries = data[:-entry_size]
    if _TRAILERS[entry_size].unpack(data[-entry_size:]) != (-1, checksum(entries)):
        return None
    return entries
