"""Index files for `dump-log`: their entries, and where they differ from their segment."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kafkalite.cli.failure import CommandError
from kafkalite.storage.files import LocalDisk, OpenFile, read_whole
from kafkalite.storage.index_file import read_index
from kafkalite.storage.offset_index import ENTRY_SIZE as OFFSET_ENTRY_SIZE
from kafkalite.storage.scan import Batch, BrokenBatchError, walk
from kafkalite.storage.time_index import ENTRY_SIZE as TIME_ENTRY_SIZE
from kafkalite.wire.batch import HEADER_SIZE, read_header

_OFFSET_ENTRY: Final = struct.Struct(">II")
_TIME_ENTRY: Final = struct.Struct(">qI")


def dump_offset_index(path: Path, is_sanity_check: bool, prints_entries: bool) -> None:
    """Print an offset index; raises OSError when a file cannot be read.

    Args:
        path: the `.index` file; its segment is the `.log` file beside it.
        is_sanity_check: only say whether the index is whole.
        prints_entries: print the entries and not only what differs.
    """
    entries = _entries(path, OFFSET_ENTRY_SIZE, is_sanity_check)
    if entries is None:
        return
    base_offset = int(path.stem)
    disk = LocalDisk()
    segment = _segment(disk, path)
    different: list[str] = []
    for relative_offset, position in _OFFSET_ENTRY.iter_unpack(entries):
        offset = base_offset + relative_offset
        if prints_entries:
            print(f"offset: {offset} position: {position}")
        if segment is None:
            continue
        head = disk.pread(segment.descriptor, HEADER_SIZE, position)
        found = read_header(head).base_offset if len(head) == HEADER_SIZE else "none"
        if found != offset:
            different.append(f"  Index offset: {offset}, log offset: {found}")
    _print_differences(f"Mismatches in :{path}", different)


def dump_time_index(path: Path, is_sanity_check: bool, prints_entries: bool) -> None:
    """Print a time index; as `dump_offset_index`."""
    entries = _entries(path, TIME_ENTRY_SIZE, is_sanity_check)
    if entries is None:
        return
    base_offset = int(path.stem)
    disk = LocalDisk()
    segment = _segment(disk, path)
    largest = _largest_timestamps(disk, segment, base_offset) if segment else iter(())
    at: tuple[int, int] | None = next(largest, None)
    different: list[str] = []
    for timestamp, relative_offset in _TIME_ENTRY.iter_unpack(entries):
        offset = base_offset + relative_offset
        if prints_entries:
            print(f"timestamp: {timestamp} offset: {offset}")
        if segment is None:
            continue
        while at is not None and at[0] < offset:
            at = next(largest, None)
        if at is None or at != (offset, timestamp):
            found = "none" if at is None or at[0] != offset else at[1]
            different.append(f"  Index timestamp: {timestamp}, log timestamp: {found}")
    _print_differences(f"Found timestamp mismatch in :{path}", different)


def _entries(path: Path, entry_size: int, is_sanity_check: bool) -> bytes | None:
    """The entries of a whole index; None when there is nothing more to say of it."""
    if not (path.stem.isascii() and path.stem.isdecimal()):
        raise CommandError(f"{path} is no index: its name is no offset.")
    disk = LocalDisk()
    entries = read_index(disk, path, entry_size)
    if entries is None:
        size = len(read_whole(disk, path))
        print(
            f"{path} is not whole ({size} bytes, its checksum or size is wrong); "
            "a broker makes it again from the segment."
        )
        return None
    if is_sanity_check:
        print(f"{path} passed sanity check.")
        return None
    return entries


def _segment(disk: LocalDisk, path: Path) -> OpenFile | None:
    """The segment beside an index, to compare with."""
    try:
        return OpenFile(disk, path.with_suffix(".log"), os.O_RDONLY)
    except FileNotFoundError:
        print(f"There is no segment beside {path} to compare it with.")
        return None


def _largest_timestamps(
    disk: LocalDisk, segment: OpenFile, base_offset: int
) -> Iterator[tuple[int, int]]:
    """The base offset of each batch, and the largest timestamp up to it."""
    largest = -1
    for batch in _batches(disk, segment, base_offset):
        largest = max(largest, batch.header.max_timestamp)
        yield batch.header.base_offset, largest


def _batches(disk: LocalDisk, segment: OpenFile, base_offset: int) -> Iterator[Batch]:
    try:
        yield from walk(disk, segment.descriptor, 0, disk.size(segment.descriptor), base_offset)
    except BrokenBatchError:
        return  # what follows cannot be compared; dumping the segment shows it


def _print_differences(title: str, different: list[str]) -> None:
    if different:
        print(title)
        print("\n".join(different))
