"""Lines of a body, however it is cut."""

import pytest

from kafkalite.api.streams import body_lines
from kafkalite.api.streams.body_lines import GROUP_LINES, BodyLines, NumberedLine


def _lines(parts: list[bytes], *, most: int = 100) -> list[NumberedLine]:
    lines = BodyLines(most)
    found = [line for part in parts for group in lines.feed(part) for line in group]
    return [*found, *lines.end()]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_lines_are_the_same_however_the_body_comes(size: int) -> None:
    body = b'{"a":1}\n\n{"b":2}\r\n   \n{"c":3}'
    parts = [body[begin : begin + size] for begin in range(0, len(body), size)]
    assert _lines(parts) == [
        NumberedLine(1, b'{"a":1}'),
        NumberedLine(3, b'{"b":2}\r'),
        NumberedLine(5, b'{"c":3}'),
    ]


@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_line_that_is_too_long_is_named_and_thrown_away(size: int) -> None:
    body = b"ok\n" + b"x" * 11 + b"\nfine\n" + b"y" * 10 + b"\n" + b"z" * 30
    parts = [body[begin : begin + size] for begin in range(0, len(body), size)]
    assert _lines(parts, most=10) == [
        NumberedLine(1, b"ok"),
        NumberedLine(2, b"", is_too_long=True),
        NumberedLine(3, b"fine"),
        NumberedLine(4, b"y" * 10),
        NumberedLine(5, b"", is_too_long=True),
    ]


def test_a_line_without_an_end_is_not_kept_beyond_what_a_line_may_have() -> None:
    lines = BodyLines(1_000)
    for _ in range(100):
        assert not list(lines.feed(b"x" * 900))
    assert len(lines._begun) <= 1_000
    assert lines.end() == [NumberedLine(1, b"", is_too_long=True)]


def test_many_lines_come_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [len(group) for group in BodyLines(10).feed(b"1\n" * (2 * GROUP_LINES + 5))]
    assert sizes == [GROUP_LINES, GROUP_LINES, 5]
    monkeypatch.setattr(body_lines, "GROUP_BYTES", 4)
    assert [len(group) for group in BodyLines(10).feed(b"12\n34\n5\n")] == [2, 1]


def test_an_empty_body_has_no_line() -> None:
    assert _lines([b""]) == []
    assert _lines([b"\n"]) == []
