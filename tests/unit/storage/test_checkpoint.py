from pathlib import Path

import pytest

from kafkalite.model.ids import TopicPartition
from kafkalite.storage.checkpoint import (
    CheckpointError,
    read_offsets,
    read_pairs,
    write_offsets,
    write_pairs,
)
from tests.support.faulty_disk import FaultyDisk

_PATH = Path("/d/checkpoint")


def _disk(content: bytes | None = None) -> FaultyDisk:
    disk = FaultyDisk()
    disk.make_directory(_PATH.parent)
    write_pairs(disk, _PATH, [])
    if content is not None:
        disk.replace(_PATH, content)
    return disk


def test_offsets_are_written_as_kafka_does() -> None:
    disk = _disk()
    offsets = {TopicPartition("a", 0): 5, TopicPartition("b-1", 12): 0}
    write_offsets(disk, _PATH, offsets)
    assert disk.content(_PATH) == b"0\n2\na 0 5\nb-1 12 0\n"
    assert read_offsets(disk, _PATH) == offsets


def test_pairs_come_back_in_order() -> None:
    disk = _disk()
    write_pairs(disk, _PATH, [(3, 0), (7, 120)])
    assert disk.content(_PATH) == b"0\n2\n3 0\n7 120\n"
    assert read_pairs(disk, _PATH) == [(3, 0), (7, 120)]


def test_no_file_is_no_entries() -> None:
    assert read_offsets(_disk(), Path("/d/none")) == {}
    assert read_pairs(_disk(), Path("/d/none")) == []


@pytest.mark.parametrize(
    "content",
    [
        b"", b"0\n", b"1\n0\n", b"0\n2\n1 1\n", b"0\nx\n", b"0\n1\n1\n", b"0\n1\n1 -1\n",
        b"0\n1\n1 2 3 4\n", b"\xff\xfe", "0\n1\n1 ²\n".encode(),
    ],
)  # fmt: skip
def test_what_breaks_the_grammar_is_refused(content: bytes) -> None:
    with pytest.raises(CheckpointError):
        read_pairs(_disk(content), _PATH)
    with pytest.raises(CheckpointError):
        read_offsets(_disk(content), _PATH)
