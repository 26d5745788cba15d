"""Checkpoints: small versioned text files, replaced as a whole.

    checkpoint = version "\\n" count "\\n" { line "\\n" }       ; `count` lines
    version    = "0"

    recovery-point-offset-checkpoint, log-start-offset-checkpoint, replication-offset-checkpoint:
        line = topic " " partition " " offset
    leader-epoch-checkpoint (a file of each log):
        line = epoch " " start_offset
    damaged-ranges (a file of each log, only where there is damage):
        line = start_offset " " end_offset

The layout is Kafka's; `damaged-ranges` is ours. Each is replaced by a temporary file, fsync, rename
and fsync of the directory.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from kafkalite.model.ids import TopicPartition
from kafkalite.storage.files import Disk, read_whole, replace_file

RECOVERY_POINTS: Final = "recovery-point-offset-checkpoint"
START_OFFSETS: Final = "log-start-offset-checkpoint"
HIGH_WATERMARKS: Final = "replication-offset-checkpoint"
LEADER_EPOCHS: Final = "leader-epoch-checkpoint"
DAMAGED_RANGES: Final = "damaged-ranges"

_VERSION: Final = "0"


class CheckpointError(Exception):
    """A checkpoint that does not follow the grammar; no crash leaves one like this."""


def write_offsets(disk: Disk, path: Path, offsets: Mapping[TopicPartition, int]) -> None:
    """Replace a checkpoint of one offset a partition, durably; raises OSError."""
    _write(disk, path, [f"{key.topic} {key.partition} {offset}" for key, offset in offsets.items()])


def read_offsets(disk: Disk, path: Path) -> dict[TopicPartition, int]:
    """Offsets by partition; empty when there is no such file. Raises CheckpointError."""
    offsets = {}
    for line in _read(disk, path):
        match line.split(" "):
            case [topic, partition, offset]:
                offsets[TopicPartition(topic, _number(path, partition))] = _number(path, offset)
            case _:
                raise CheckpointError(f"{path}: malformed line {line!r}")
    return offsets


def write_pairs(disk: Disk, path: Path, pairs: Iterable[tuple[int, int]]) -> None:
    """Replace a checkpoint of number pairs, durably; raises OSError."""
    _write(disk, path, [f"{first} {second}" for first, second in pairs])


def read_pairs(disk: Disk, path: Path) -> list[tuple[int, int]]:
    """Number pairs in their order; empty when there is no such file. Raises CheckpointError."""
    pairs = []
    for line in _read(disk, path):
        match line.split(" "):
            case [first, second]:
                pairs.append((_number(path, first), _number(path, second)))
            case _:
                raise CheckpointError(f"{path}: malformed line {line!r}")
    return pairs


def _write(disk: Disk, path: Path, lines: Sequence[str]) -> None:
    text = "\n".join([_VERSION, str(len(lines)), *lines]) + "\n"
    replace_file(disk, path, text.encode())


def _read(disk: Disk, path: Path) -> list[str]:
    try:
        version, count, *lines = read_whole(disk, path).decode().splitlines()
    except FileNotFoundError:
        return []
    except ValueError:
        raise CheckpointError(f"{path}: not a checkpoint") from None
    if version != _VERSION:
        raise CheckpointError(f"{path}: version {version!r} is not known")
    if _number(path, count) != len(lines):
        raise CheckpointError(f"{path}: {len(lines)} lines, its count says {count}")
    return lines


def _number(path: Path, text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise CheckpointError(f"{path}: {text!r} is not an offset")
    return int(text)
