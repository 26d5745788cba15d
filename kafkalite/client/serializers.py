"""From what people work with to bytes: the counterparts of `deserializers.py`.

A serializer is called with a key or a value, never with None: no key and a tombstone stay None. It
raises whatever it likes for what it does not take; the caller of `send` gets a SerializationError.
"""

import struct
from collections.abc import Callable
from typing import Any, Final

import msgspec

from kafkalite.model.errors import InvalidConfigError

Serializer = Callable[[Any], bytes]


def text(value: str) -> bytes:
    """UTF-8."""
    return value.encode()


def _number(layout: str) -> Serializer:
    return struct.Struct(layout).pack


json: Final[Serializer] = msgspec.json.Encoder().encode
"""JSON, of dicts, lists, strings, numbers, dates, dataclasses and msgspec.Structs."""
msgpack: Final[Serializer] = msgspec.msgpack.Encoder().encode
"""msgpack, of the same."""

SERIALIZERS: Final[dict[str, Serializer | None]] = {
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
"""By the names that settings take; None takes bytes as they are."""

_KAFKAS: Final = {
    "ByteArraySerializer": "bytes",
    "BytesSerializer": "bytes",
    "ByteBufferSerializer": "bytes",
    "StringSerializer": "str",
    "LongSerializer": "long",
    "IntegerSerializer": "int",
    "ShortSerializer": "short",
    "DoubleSerializer": "double",
    "FloatSerializer": "float",
}
"""Kafka's classes, by the end of their names."""


def serializer(named: str | Serializer | None) -> Serializer | None:
    """What a setting means: a callable, a name of ours, or one of Kafka's classes.

    Raises:
        InvalidConfigError: nothing is called so.
    """
    if named is None or callable(named):
        return named
    name = _KAFKAS.get(named.rpartition(".")[2], named)
    if name not in SERIALIZERS:
        known = ", ".join(SERIALIZERS)
        raise InvalidConfigError(f"Unknown serializer {named}; there are {known}")
    return SERIALIZERS[name]
