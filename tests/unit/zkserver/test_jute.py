"""Jute: what is read, and that bytes which lie are refused."""

import struct

import pytest

from kafkalite.zkserver.errors import MalformedError
from kafkalite.zkserver.jute import Reader, pack_buffer, pack_int, pack_long, pack_string


def test_values_are_read_in_the_order_in_which_they_were_written() -> None:
    written = [
        pack_int(-7),
        pack_long(1 << 40),
        b"\1\0",
        pack_string("ü"),
        pack_buffer(b"\0\1"),
        pack_buffer(None),
    ]
    reader = Reader(b"".join(written))
    assert (reader.read_int(), reader.read_long()) == (-7, 1 << 40)
    assert (reader.read_bool(), reader.read_bool()) == (True, False)
    assert reader.read_string() == "ü"
    assert (reader.read_buffer(), reader.read_buffer()) == (b"\0\1", None)
    assert reader.remaining == 0


def test_numbers_are_big_endian() -> None:
    assert pack_int(1) == b"\0\0\0\1"
    assert pack_long(-2) == b"\xff" * 7 + b"\xfe"


def test_null_reads_as_empty_when_it_is_text_or_a_vector() -> None:
    assert Reader(pack_int(-1)).read_string() == ""
    assert Reader(pack_int(-1)).read_vector(Reader.read_int) == []


def test_vector_is_read_element_by_element() -> None:
    frame = pack_int(2) + pack_string("a") + pack_string("b")
    assert Reader(frame).read_vector(Reader.read_string) == ["a", "b"]


@pytest.mark.parametrize("method", ["read_int", "read_long", "read_bool", "read_buffer"])
@pytest.mark.parametrize("length", range(8))
def test_value_is_refused_when_it_is_cut_off(method: str, length: int) -> None:
    whole = {"read_int": 4, "read_long": 8, "read_bool": 1, "read_buffer": 8}[method]
    frame = (pack_buffer(b"data") if method == "read_buffer" else bytes(8))[:length]
    if length < whole:
        with pytest.raises(MalformedError):
            getattr(Reader(frame), method)()
    else:
        getattr(Reader(frame), method)()


@pytest.mark.parametrize("length", [-2, -(1 << 31), 5, (1 << 31) - 1])
def test_buffer_is_refused_when_its_length_lies(length: int) -> None:
    with pytest.raises(MalformedError):
        Reader(struct.pack("!i", length) + b"four").read_buffer()


@pytest.mark.parametrize("count", [-2, 3, (1 << 31) - 1])
def test_vector_is_refused_before_it_costs_memory_when_its_count_lies(count: int) -> None:
    read: list[Reader] = []
    with pytest.raises(MalformedError):
        Reader(struct.pack("!i", count) + b"12").read_vector(read.append)
    assert read == []


def test_text_is_refused_when_it_is_not_utf_8() -> None:
    with pytest.raises(MalformedError):
        Reader(pack_buffer(b"\xff")).read_string()
