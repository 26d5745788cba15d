"""Kafka's own test vectors, and the rule that turns a hash into a partition."""

import pytest

from kafkalite.model.partitioning import murmur2, partition_for_key


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_kafkas(key: bytes, expected: int) -> None:
    assert murmur2(key) == expected


@pytest.mark.parametrize("length", range(9))
def test_murmur2_takes_a_key_of_any_length(length: int) -> None:
    assert -(1 << 31) <= murmur2(b"\xff" * length) < 1 << 31


def test_a_negative_hash_loses_its_sign_and_not_its_value() -> None:
    assert partition_for_key(b"foobar", 1000) == (-790332482 & 0x7FFFFFFF) % 1000


def test_a_key_too_long_for_the_cache_goes_by_the_same_rule() -> None:
    key = b"k" * 1000
    assert partition_for_key(key, 7) == (murmur2(key) & 0x7FFFFFFF) % 7
