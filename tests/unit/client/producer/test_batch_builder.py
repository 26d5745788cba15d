import msgspec
import pytest

from kafkalite.client.producer.batch_builder import (
    compressed,
    encode_records,
    encode_values,
    plain_to_items,
    record_start,
)
from kafkalite.model.compression import Compression
from kafkalite.wire.batch import HEADER_SIZE
from kafkalite.wire.compression import decompress


def _decoded(batch: bytearray) -> object:
    return msgspec.msgpack.decode(batch[HEADER_SIZE:])


@pytest.mark.parametrize("count", [1, 2, 7, 8, 15, 16, 17, 32_767, 32_768, 70_000])
def test_values_become_records_whatever_their_number(count: int) -> None:
    values = [b"%d" % number for number in range(count)]
    batch = encode_values(values, [(0, 5)], 5, 20 * count)
    assert _decoded(batch) == [[0, None, value, None] for value in values]


def test_a_guess_of_the_size_that_is_too_small_or_too_large_changes_nothing() -> None:
    values = [b"x" * 500] * 3
    assert encode_values(values, [(0, 5)], 5, 0) == encode_values(values, [(0, 5)], 5, 9_000)


def test_a_tombstone_is_nil() -> None:
    assert _decoded(encode_values([None], [(0, 5)], 5, 90)) == [[0, None, None, None]]


def test_values_have_the_time_of_their_span() -> None:
    batch = encode_values([b"a", b"b", b"c", b"d"], [(0, 7), (1, 9), (3, 300)], 7, 100)
    expected = [[0, None, b"a", None], [2, None, b"b", None]]
    expected += [[2, None, b"c", None], [293, None, b"d", None]]
    assert _decoded(batch) == expected


def test_a_clock_that_goes_back_makes_no_delta_negative() -> None:
    batch = encode_values([b"a", b"b"], [(0, 9), (1, 7)], 7, 100)
    assert _decoded(batch) == [[2, None, b"a", None], [0, None, b"b", None]]


def test_records_of_any_kind_follow_values() -> None:
    items = plain_to_items([b"a", None])
    items += (record_start(0), b"k", b"v", (("h", b"x"),))
    batch = encode_records(items, [(0, 7), (1, 9)], {2: 5}, 5, 100)
    assert _decoded(batch) == [
        [2, None, b"a", None],
        [4, None, None, None],
        [0, b"k", b"v", [["h", b"x"]]],
    ]


def test_encoding_twice_gives_the_same_so_that_an_interruption_costs_nothing() -> None:
    items = plain_to_items([b"a", b"b"])
    first = encode_records(items, [(0, 7), (1, 9)], {1: 30}, 7, 100)
    assert encode_records(items, [(0, 7), (1, 9)], {1: 30}, 7, 100) == first


def test_compression_is_of_the_payload() -> None:
    batch = encode_values([b"x" * 1000], [(0, 5)], 5, 1100)
    small = compressed(Compression.ZSTD, batch)
    assert len(small) < 200
    payload = decompress(Compression.ZSTD, small[HEADER_SIZE:], 1 << 20)
    assert payload == batch[HEADER_SIZE:]
