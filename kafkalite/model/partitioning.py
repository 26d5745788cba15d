"""Which partition a record with a key belongs to: Kafka's choice, so that all clients agree.

A record with a key goes to `(murmur2(key) & 0x7fffffff) % partitions`. Kafka's murmur2 has a fixed
seed and works on 32-bit words, little-endian.
"""

import struct
from functools import lru_cache
from typing import Final

_SEED: Final = 0x9747B28C
_MULTIPLIER: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF
_POSITIVE: Final = 0x7FFFFFFF

_CACHED_KEY_BYTES: Final = 64
"""Longer keys are hashed each time: the cache's memory stays below a few MiB."""
_CACHED_KEYS: Final = 16384


def murmur2(data: bytes) -> int:
    """Kafka's 32-bit murmur2 of `data`, as the signed number that Java shows."""
    length = len(data)
    words = length >> 2
    hashed = _SEED ^ length
    for word in struct.unpack_from(f"<{words}I", data):
        mixed = word * _MULTIPLIER & _MASK
        mixed = (mixed ^ mixed >> 24) * _MULTIPLIER & _MASK
        hashed = hashed * _MULTIPLIER & _MASK ^ mixed
    if length & 3:
        tail = int.from_bytes(data[words << 2 :], "little")
        hashed = (hashed ^ tail) * _MULTIPLIER & _MASK
    hashed = (hashed ^ hashed >> 13) * _MULTIPLIER & _MASK
    hashed ^= hashed >> 15
    return hashed - (1 << 32) if hashed > _POSITIVE else hashed


def partition_for_key(key: bytes, partitions: int) -> int:
    """The partition of a record with `key` in a topic with `partitions` of them (at least 1)."""
    if len(key) <= _CACHED_KEY_BYTES:
        return _cached_positive_hash(key) % partitions
    return (murmur2(key) & _POSITIVE) % partitions


@lru_cache(_CACHED_KEYS)
def _cached_positive_hash(key: bytes) -> int:
    """Keys repeat: a look-up costs a tenth of a hash."""
    return murmur2(key) & _POSITIVE
