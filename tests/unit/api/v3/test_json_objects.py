"""Objects one behind the other: where each ends, whatever is in it and however it comes."""

import tracemalloc
from collections.abc import Iterable

import pytest

from kafkalite.api.v3.json_objects import GROUP_BYTES, GROUP_OBJECTS, JsonObjects, Piece
from kafkalite.wire.v3_records import BrokenJsonError


def _cut(parts: Iterable[bytes], max_object_bytes: int = 1_000_000) -> list[Piece]:
    objects = JsonObjects(max_object_bytes)
    pieces = [piece for part in parts for group in objects.feed(part) for piece in group]
    objects.end()
    return pieces


_OBJECTS = [
    b"{}",
    b'{"a":1}',
    b'{"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":{"i":{}}}}}}}}}}',
    b'{"braces":"{{}{","quote":"\\"{","backslash":"\\\\","both":"\\\\\\"}"}',
    b'{ "pretty" :\r\n\t[ {"x": "}"} , {} ] }',
    '{"ä€":"\U0001f600"}'.encode(),
    b'{"empty":"","escape":"\\u007b"}',
]


@pytest.mark.parametrize("separator", [b"", b"\n", b"\r\n", b" ", b"\n\n\t "])
def test_each_object_is_found_however_they_are_separated(separator: bytes) -> None:
    assert _cut([separator.join(_OBJECTS)]) == _OBJECTS
    assert _cut([separator + separator.join(_OBJECTS) + separator]) == _OBJECTS


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_each_object_is_found_however_the_body_is_cut(size: int) -> None:
    body = b" ".join(_OBJECTS)
    parts = [body[begin : begin + size] for begin in range(0, len(body), size)]
    assert _cut(parts) == _OBJECTS


@pytest.mark.parametrize("between", [b",", b"x", b"[", b"1", b'"', b"\x00", b"}", b"\xef\xbb\xbf"])
def test_nothing_but_blanks_may_be_between_two(between: bytes) -> None:
    objects = JsonObjects(1_000)
    groups = objects.feed(b'{"a":1} ' + between + b'{"b":2}')
    assert next(groups) == [b'{"a":1}']
    with pytest.raises(BrokenJsonError, match="a record is an object"):
        next(groups)


@pytest.mark.parametrize("body", [b"{", b'{"a', b'{"a\\', b'{"a":{}', b'{"a":"}"', b"{}{"])
def test_object_without_an_end_is_told(body: bytes) -> None:
    with pytest.raises(BrokenJsonError, match="ends within an object"):
        _cut([body])


@pytest.mark.parametrize("size", [1, 5, 1_000])
def test_object_that_is_too_long_is_thrown_away_as_it_comes(size: int) -> None:
    long = b'{"a":"%b"}' % (b"{x" * 50)
    body = b'{"a":1}%b{"b":2}%b' % (long, long)
    parts = [body[begin : begin + size] for begin in range(0, len(body), size)]
    assert _cut(parts, 20) == [b'{"a":1}', None, b'{"b":2}', None]
    assert _cut(parts, len(long)) == [b'{"a":1}', long, b'{"b":2}', long]


@pytest.mark.parametrize("part", [b"x" * 50_000, b'","b":{"a":{}},"c":"' * 3_000])
def test_no_more_is_held_than_one_object_may_have(part: bytes) -> None:
    objects = JsonObjects(100_000)
    assert list(objects.feed(b'{"a":"')) == []
    tracemalloc.start()
    try:
        for _ in range(100):
            assert list(objects.feed(part)) == []
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert list(objects.feed(b'"}{}')) == [[None, b"{}"]]


def test_levels_without_end_are_refused() -> None:
    deep = b'{"a":' * 999 + b"{}" + b"}" * 999
    assert _cut([deep]) == [deep]
    with pytest.raises(BrokenJsonError, match="levels"):
        _cut([b'{"a":' * 1_001])


def test_groups_are_bounded() -> None:
    objects = JsonObjects(GROUP_BYTES)
    groups = list(objects.feed(b"{}" * (2 * GROUP_OBJECTS + 1)))
    assert [len(group) for group in groups] == [GROUP_OBJECTS, GROUP_OBJECTS, 1]
    large = b'{"a":"%b"}' % (b"x" * (GROUP_BYTES // 2))
    assert [len(group) for group in objects.feed(large * 5)] == [2, 2, 1]
