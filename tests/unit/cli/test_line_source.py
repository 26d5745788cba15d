"""Lines of any length from input of any size, at constant memory."""

import os
from pathlib import Path

import pytest

from kafkalite.cli import line_source
from kafkalite.cli.failure import CommandError
from kafkalite.cli.line_source import LineSource


def lines_of(tmp_path: Path, data: bytes, max_line_bytes: int = 1000) -> list[bytes | None]:
    file = tmp_path / "input"
    file.write_bytes(data)
    descriptor = os.open(file, os.O_RDONLY)
    try:
        source = LineSource(descriptor, max_line_bytes)
        assert source.size == len(data)
        lines: list[bytes | None] = []
        while (piece := source.read()) is not None:
            lines += piece
        assert source.bytes_read == len(data)
    finally:
        os.close(descriptor)
    return lines


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"\n", [b""]),
        (b"a", [b"a"]),
        (b"a\nb\n", [b"a", b"b"]),
        (b"a\nb", [b"a", b"b"]),
        (b"a\r\n\r\nb\r\n", [b"a", b"", b"b"]),
        (b"a\n\n\nb\n", [b"a", b"", b"", b"b"]),
        (b"a\rb\n", [b"a\rb"]),
    ],
)
@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 1000])
def test_lines_are_the_same_however_the_input_is_cut(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    data: bytes,
    expected: list[bytes],
    piece_bytes: int,
) -> None:
    monkeypatch.setattr(line_source, "_PIECE_BYTES", piece_bytes)
    assert lines_of(tmp_path, data) == expected


@pytest.mark.parametrize("piece_bytes", [1, 3, 1000])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_line_that_is_too_long_is_dropped_and_the_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece_bytes: int, end: bytes
) -> None:
    monkeypatch.setattr(line_source, "_PIECE_BYTES", piece_bytes)
    data = end.join([b"12345", b"123456", b"x" * 50, b"ok", b""])
    assert lines_of(tmp_path, data, max_line_bytes=5) == [b"12345", None, None, b"ok"]


def test_a_long_line_is_not_kept_in_memory() -> None:
    reader, writer = os.pipe()
    source = LineSource(reader, max_line_bytes=100)
    os.write(writer, b"x" * 5000)
    source.read()
    assert sum(map(len, source._parts)) <= 101
    os.write(writer, b"\nshort\n")
    os.close(writer)
    assert source.read() == [None, b"short"]
    assert source.read() is None
    os.close(reader)


def test_a_pipe_has_no_size_and_says_when_more_is_there() -> None:
    reader, writer = os.pipe()
    source = LineSource(reader, 100)
    assert source.size is None
    assert not source.has_more(0)
    os.write(writer, b"a\n")
    assert source.has_more(0)
    os.close(writer)
    os.close(reader)


def test_input_that_cannot_be_read_is_an_error_in_words(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(CommandError, match="Cannot read standard input"):
        LineSource(descriptor, 100).read()
    os.close(descriptor)
