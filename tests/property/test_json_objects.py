"""Objects cut from a body of version 3 of REST Proxy, against Python's own reader of JSON."""

import json
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from kafkalite.api.v3.json_objects import JsonObjects, Piece
from kafkalite.wire.v3_records import BrokenJsonError

_TEXT = st.text(st.sampled_from('{}[]"\\, :aä\U0001f600\n'), max_size=6)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=12,
)
_OBJECTS = st.lists(
    st.tuples(
        st.dictionaries(_TEXT, _VALUES, max_size=3),
        st.booleans(),
        st.sampled_from([None, 0, 2]),
        st.sampled_from(["", "\n", "\r\n", " \t"]),
    ),
    max_size=5,
)


def _parts(body: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(body), *[cut % (len(body) + 1) for cut in cuts]})
    return [body[begin:end] for begin, end in pairwise(places)]


def _cut(parts: list[bytes], max_object_bytes: int) -> list[Piece]:
    objects = JsonObjects(max_object_bytes)
    found = [piece for part in parts for group in objects.feed(part) for piece in group]
    objects.end()
    return found


@settings(max_examples=300, derandomize=True, deadline=None)
@given(_OBJECTS, st.lists(st.integers(0, 10_000), max_size=8), st.integers(1, 80))
def test_objects_are_what_was_written_however_they_come(
    written: list[tuple[dict[str, object], bool, int | None, str]], cuts: list[int], most: int
) -> None:
    texts = [
        json.dumps(value, ensure_ascii=is_ascii, indent=indent).encode()
        for value, is_ascii, indent, _ in written
    ]
    body = b"".join(
        text + blanks.encode() for text, (*_, blanks) in zip(texts, written, strict=True)
    )
    parts = _parts(body, cuts)
    assert _cut(parts, len(body)) == texts
    assert _cut(parts, most) == [text if len(text) <= most else None for text in texts]


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.binary(max_size=40) | st.text('{}"\\ a', max_size=40).map(str.encode), st.integers(1, 5))
def test_anything_is_cut_the_same_however_it_comes(body: bytes, size: int) -> None:
    def outcome(parts: list[bytes]) -> tuple[list[Piece], bool]:
        objects = JsonObjects(10)
        found: list[Piece] = []
        try:
            for part in parts:
                for group in objects.feed(part):
                    found += group
            objects.end()
        except BrokenJsonError:
            return found, True
        return found, False

    whole = outcome([body])
    assert outcome([body[begin : begin + size] for begin in range(0, len(body), size)]) == whole
