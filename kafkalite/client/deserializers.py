"""From bytes to what people work with: the counterparts of `serializers.py`.

A deserializer is called with the bytes of a key or a value, never with None: a missing key and a
tombstone stay None. It raises whatever it likes for what it does not understand; what becomes of
such a record is the consumer's `on_poison`.
"""

import struct
from collections.abc import Callable
from typing import Any, Final

import msgspec

from kafkalite.model.errors import InvalidConfigError

Deserializer = Callable[[bytes], Any]


def text(data: bytes) -> str:
    """UTF-8."""
    return data.decode()


def _number(layout: str) -> Deserializer:
    unpack = struct.Struct(layout).unpack

    def number(data: bytes) -> int | float:
        value: int | float = unpack(data)[0]
        return value

    return number


json: Final[Deserializer] = msgspec.json.Decoder().decode
"""JSON, to dicts, lists, strings and numbers."""
msgpack: Final[Deserializer] = msgspec.msgpack.Decoder().decode
"""msgpack, to the same."""

DESERIALIZERS: Final[dict[str, Deserializer | None]] = {
    "bytes": None,
    "str": text,
    "json": json,
    "msgpack": msgpack,
    "long": _number(">q"),
    "int": _number(">i"),
    "short": _number(">h"),
    "double": _number(">d"),
    "float": _number(">f"),
}
"""By the names that settings take; None leaves the bytes as they are."""

_KAFKAS: Final = {
    "ByteArrayDeserializer": "bytes",
    "BytesDeserializer": "bytes",
    "ByteBufferDeserializer": "bytes",
    "StringDeserializer": "str",
    "LongDeserializer": "long",
    "IntegerDeserializer": "int",
    "ShortDeserializer": "short",
    "DoubleDeserializer": "double",
    "FloatDeserializer": "float",
}
"""Kafka's classes, by the end of their names."""


def deserializer(named: str | Deserializer | None) -> Deserializer | None:
    """What a setting means: a callable, a name of ours, or one of Kafka's classes.

    Raises:
        InvalidConfigError: nothing is called so.
    """
    if named is None or callable(named):
        return named
    name = _KAFKAS.get(named.rpartition(".")[2], named)
    if name not in DESERIALIZERS:
        known = ", ".join(DESERIALIZERS)
        raise InvalidConfigError(f"Unknown deserializer {named}; there are {known}")
    return DESERIALIZERS[name]
