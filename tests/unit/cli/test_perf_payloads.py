"""What kafka-producer-perf-test sends."""

from itertools import islice
from pathlib import Path

import pytest

from kafkalite.cli.failure import CommandError
from kafkalite.cli.perf_payloads import any_of, increasing_numbers, random_letters, read_payloads


def test_random_values_have_the_size_and_differ() -> None:
    values = list(islice(random_letters(20), 100))
    assert {len(value) for value in values} == {20}
    assert len(set(values)) == 100
    assert b"".join(values).isupper()
    assert next(random_letters(0)) == b""


def test_numbers_increase_from_zero() -> None:
    assert list(islice(increasing_numbers(), 3)) == [b"0", b"1", b"2"]


def test_parts_of_a_file_are_those_between_delimiters(tmp_path: Path) -> None:
    file = tmp_path / "payloads"
    file.write_text("één\n\ntwo\n\n", "utf-8")
    # As Java's split: what is empty at the end goes, what is empty elsewhere stays.
    assert read_payloads(str(file), "\n") == ["één".encode(), b"", b"two"]
    assert read_payloads(str(file), "n\n") == ["éé".encode(), b"\ntwo\n\n"]


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe"])
def test_file_without_text_is_refused(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "payloads"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(CommandError, match=r"File does not exist or empty|is not text in UTF-8"):
        read_payloads(str(file), "\n")


def test_every_payload_is_chosen_some_time() -> None:
    assert set(islice(any_of([b"a", b"b", b"c"]), 100)) == {b"a", b"b", b"c"}
