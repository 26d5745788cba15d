"""`kafkalite dump-log`: kafka-dump-log, prints what segments, indexes and snapshots hold.

It reads the files themselves and needs no broker; one that runs may be writing them meanwhile.
"""

import argparse
import os
import struct
import sys
from pathlib import Path
from typing import Final, NamedTuple

from kafkalite.cli.command_line import CommandParser
from kafkalite.cli.failure import EXIT_FAILURE, CommandError
from kafkalite.cli.index_dump import dump_offset_index, dump_time_index
from kafkalite.cli.snapshot_dump import dump_snapshot
from kafkalite.model.compression import Compression
from kafkalite.model.errors import LogError
from kafkalite.model.record import Record
from kafkalite.storage.files import LocalDisk, OpenFile
from kafkalite.storage.producer_snapshot import SNAPSHOT_SUFFIX
from kafkalite.storage.producer_state import MAX_SEQUENCE, last_sequence
from kafkalite.storage.scan import Damage, Scanner
from kafkalite.wire.batch import (
    CONTROL_BIT,
    HEADER_SIZE,
    MAGIC,
    NO_SEQUENCE,
    TIMESTAMP_TYPE_BIT,
    TRANSACTIONAL_BIT,
    BatchHeader,
    read_header,
)
from kafkalite.wire.records import decode_batch

_MAX_BATCH_BYTES: Final = 1 << 30


class _Depth(NamedTuple):
    prints_records: bool
    prints_content: bool


def add_arguments(parser: CommandParser) -> None:
    """Declare kafka-dump-log's options on `parser`."""
    parser.add_argument(
        "--files", metavar="FILE[,..]", help=".log, .index, .timeindex and .snapshot files"
    )
    parser.add_argument(
        "--print-data-log", action="store_true", help="print records with keys and values"
    )
    parser.add_argument(
        "--deep-iteration", action="store_true", help="print a line a record as well"
    )
    parser.add_argument(
        "--index-sanity-check",
        action="store_true",
        help="say whether index files are whole, and print nothing of them",
    )
    parser.add_argument(
        "--verify-index-only",
        action="store_true",
        help="compare index files with their segments, and print only what differs",
    )
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Dump each file in turn; gives the exit code."""
    args.parser.require(args, ["files"])
    depth = _Depth(args.print_data_log or args.deep_iteration, args.print_data_log)
    prints_entries = not (args.index_sanity_check or args.verify_index_only)
    exit_code = 0
    for name in args.files.split(","):
        path = Path(name)
        print(f"Dumping {path}")
        try:
            if path.suffix == ".log":
                _dump_segment(path, depth)
            elif path.suffix == ".index":
                dump_offset_index(path, args.index_sanity_check, prints_entries)
            elif path.suffix == ".timeindex":
                dump_time_index(path, args.index_sanity_check, prints_entries)
            elif path.suffix == SNAPSHOT_SUFFIX:
                if not dump_snapshot(path):
                    exit_code = EXIT_FAILURE
            else:
                print(f"Ignoring unknown file {path}", file=sys.stderr)
        except OSError as error:
            print(f"Cannot read {path}: {error.strerror}.", file=sys.stderr)
            exit_code = EXIT_FAILURE
    return exit_code


def _dump_segment(path: Path, depth: _Depth) -> None:
    disk = LocalDisk()
    file = OpenFile(disk, path, os.O_RDONLY)
    base_offset = _base_offset(path, disk.pread(file.descriptor, HEADER_SIZE, 0))
    print(f"Log starting offset: {base_offset}")
    scanner = Scanner(disk, file.descriptor, disk.size(file.descriptor))
    for found in scanner.scan(0, base_offset):
        if isinstance(found, Damage):
            _print_damage(path, disk.pread(file.descriptor, HEADER_SIZE, found.position), found)
            continue
        _print_batch(found.header, found.position, is_valid=True)
        if depth.prints_records:
            batch = disk.pread(file.descriptor, found.header.size, found.position)
            _print_records(batch, found.header, depth)


def _print_damage(path: Path, head: bytes, damage: Damage) -> None:
    """A broken batch, where its header is still one; else where the broken bytes are."""
    length = damage.end_position - damage.position
    if len(head) == HEADER_SIZE:
        header = read_header(head)
        if header.magic == MAGIC and header.size == length:
            _print_batch(header, damage.position, is_valid=False)
            return
    if damage.next_offset is None:
        print(f"Found {length} invalid bytes at the end of {path.name}")
    else:
        print(
            f"Found {length} invalid bytes at position {damage.position} of {path.name}, "
            f"going on with offset {damage.next_offset}"
        )


def _print_batch(header: BatchHeader, position: int, *, is_valid: bool) -> None:
    is_numbered = header.base_sequence != NO_SEQUENCE
    last = last_sequence(header) if is_numbered else NO_SEQUENCE
    print(
        f"baseOffset: {header.base_offset} lastOffset: {header.next_offset - 1} "
        f"count: {header.record_count} baseSequence: {header.base_sequence} "
        f"lastSequence: {last} producerId: {header.producer_id} "
        f"producerEpoch: {header.producer_epoch} partitionLeaderEpoch: {header.leader_epoch} "
        f"isTransactional: {_flag(header, TRANSACTIONAL_BIT)} "
        f"isControl: {_flag(header, CONTROL_BIT)} deleteHorizonMs: OptionalLong.empty "
        f"position: {position} {_time_name(header)}: {header.max_timestamp} "
        f"size: {header.size} magic: {header.magic} compresscodec: {_codec(header)} "
        f"crc: {header.crc} isvalid: {str(is_valid).lower()}"
    )


def _print_records(batch: bytes, header: BatchHeader, depth: _Depth) -> None:
    try:
        records = decode_batch(batch, header, max_bytes=_MAX_BATCH_BYTES)
    except LogError as error:
        print(f"| unreadable: {error.name}: {error.detail}")
        return
    for index, record in enumerate(records):
        sequence = header.base_sequence
        if sequence != NO_SEQUENCE:
            sequence = (sequence + index) & MAX_SEQUENCE
        keys = ",".join(name for name, _ in record.headers)
        print(
            f"| offset: {record.offset} {_time_name(header)}: {record.timestamp} "
            f"keySize: {_size(record.key)} valueSize: {_size(record.value)} "
            f"sequence: {sequence} headerKeys: [{keys}]{_content(record, depth)}"
        )


def _content(record: Record, depth: _Depth) -> str:
    if not depth.prints_content:
        return ""
    key = "" if record.key is None else f" key: {record.key.decode(errors='replace')}"
    value = "" if record.value is None else f" payload: {record.value.decode(errors='replace')}"
    return key + value


def _size(data: bytes | None) -> int:
    return -1 if data is None else len(data)


def _flag(header: BatchHeader, bit: int) -> str:
    return str(bool(header.attributes & bit)).lower()


def _time_name(header: BatchHeader) -> str:
    return "LogAppendTime" if header.attributes & TIMESTAMP_TYPE_BIT else "CreateTime"


def _codec(header: BatchHeader) -> str:
    try:
        return Compression(header.compression).name.lower()
    except ValueError:
        return f"unknown({header.compression})"


def _base_offset(path: Path, head: bytes) -> int:
    """Where the segment begins: its name says it, or else its first batch."""
    if path.stem.isascii() and path.stem.isdecimal():
        return int(path.stem)
    try:
        return read_header(head).base_offset
    except struct.error:
        raise CommandError(
            f"{path} is no segment: its name is no offset, and it is empty."
        ) from None
