"""Records as lines: Kafka's default message formatter, on bytes and a batch at a time."""

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from kafkalite.cli.client_properties import is_true
from kafkalite.cli.failure import CommandError
from kafkalite.model.record import Header

Deserializer = Callable[[bytes], bytes]


class Printable(Protocol):
    """A record: one as it is stored, or one that the client has read."""

    @property
    def value(self) -> bytes | None: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def headers(self) -> tuple[Header, ...]: ...
    @property
    def offset(self) -> int: ...


_SWITCHES: Final = {
    "print.timestamp": False,
    "print.key": False,
    "print.offset": False,
    "print.partition": False,
    "print.headers": False,
    "print.value": True,
}
_TEXTS: Final = {
    "key.separator": "\t",
    "line.separator": "\n",
    "headers.separator": ",",
    "null.literal": "null",
}
_DESERIALIZERS: Final = ("key.deserializer", "value.deserializer", "headers.deserializer")
_NUMBERS: Final = {
    "LongDeserializer": struct.Struct(">q"),
    "IntegerDeserializer": struct.Struct(">i"),
    "ShortDeserializer": struct.Struct(">h"),
    "DoubleDeserializer": struct.Struct(">d"),
    "FloatDeserializer": struct.Struct(">f"),
}
_AS_THEY_ARE: Final = {
    "StringDeserializer",
    "ByteArrayDeserializer",
    "BytesDeserializer",
    "ByteBufferDeserializer",
}


class RecordFormat:
    """How records are printed, by the formatter's properties (`print.key`, ...)."""

    def __init__(self, properties: Mapping[str, str]) -> None:
        """Raises CommandError for a property or a deserializer that does not exist."""
        known = (*_SWITCHES, *_TEXTS, *_DESERIALIZERS)
        for key in properties:
            if key not in known:
                raise CommandError(f"Unknown property {key}; there are {', '.join(sorted(known))}")
        switches = {
            key: is_true(properties[key]) if key in properties else default
            for key, default in _SWITCHES.items()
        }
        texts = {key: properties.get(key, default).encode() for key, default in _TEXTS.items()}
        self._timestamp = switches["print.timestamp"]
        self._partition = switches["print.partition"]
        self._offset = switches["print.offset"]
        self._headers = switches["print.headers"]
        self._key = switches["print.key"]
        self._value = switches["print.value"]
        self._separator = texts["key.separator"]
        self._end = texts["line.separator"]
        self._headers_separator = texts["headers.separator"]
        self._null = texts["null.literal"]
        self._key_of, self._value_of, self._header_of = (
            _deserializer(properties.get(key)) for key in _DESERIALIZERS
        )
        switches["print.value"] = False
        self._has_only_value = self._value and not any(switches.values()) and self._value_of is None
        self._is_empty = not self._value and not any(switches.values())

    def lines(self, partition: int, time_name: str, records: Sequence[Printable]) -> bytes:
        """The lines of records of one batch.

        Args:
            partition: theirs.
            time_name: what their timestamps are, `CreateTime` or `LogAppendTime`.
            records: in their order.

        Raises:
            CommandError: a deserializer does not understand a record.
        """
        if not records or self._is_empty:
            return b""
        if self._has_only_value:
            null = self._null
            values = [null if record.value is None else record.value for record in records]
            values.append(b"")  # so that the last one is ended too
            return self._end.join(values)
        return b"".join(self._line(partition, time_name, record) for record in records)

    def _line(self, partition: int, time_name: str, record: Printable) -> bytes:
        parts: list[bytes] = []
        if self._timestamp:
            parts.append(b"%s:%d" % (time_name.encode(), record.timestamp))
        if self._partition:
            parts.append(b"Partition:%d" % partition)
        if self._offset:
            parts.append(b"Offset:%d" % record.offset)
        try:
            if self._headers:
                parts.append(self._header_text(record.headers))
            if self._key:
                parts.append(self._text(record.key, self._key_of))
            if self._value:
                parts.append(self._text(record.value, self._value_of))
        except struct.error as error:
            raise CommandError(
                f"The record at offset {record.offset} of partition {partition} cannot be "
                f"deserialized: {error}."
            ) from None
        return self._separator.join(parts) + self._end

    def _header_text(self, headers: tuple[Header, ...]) -> bytes:
        if not headers:
            return b"NO_HEADERS"
        return self._headers_separator.join(
            name.encode() + b":" + self._text(data, self._header_of) for name, data in headers
        )

    def _text(self, data: bytes | None, deserialize: Deserializer | None) -> bytes:
        if data is None:
            return self._null
        return data if deserialize is None else deserialize(data)


class SilentFormat(RecordFormat):
    """Prints nothing: Kafka's NoOpMessageFormatter, to measure reading alone."""

    def __init__(self) -> None:
        super().__init__({"print.value": "false"})


def record_format(formatter: str | None, properties: Mapping[str, str]) -> RecordFormat:
    """The format that Kafka's class name `formatter` stands for; None is the default one.

    Raises:
        CommandError: it is not one of ours.
    """
    name = "DefaultMessageFormatter" if formatter is None else formatter.rpartition(".")[2]
    if name == "DefaultMessageFormatter":
        return RecordFormat(properties)
    if name == "NoOpMessageFormatter":
        return SilentFormat()
    raise CommandError(
        f"Unknown formatter {formatter}; there are DefaultMessageFormatter and NoOpMessageFormatter"
    )


def _deserializer(class_name: str | None) -> Deserializer | None:
    """What Kafka's class does, or None where the bytes are printed as they are."""
    if class_name is None:
        return None
    name = class_name.rpartition(".")[2]
    if name in _AS_THEY_ARE:
        return None
    number = _NUMBERS.get(name)
    if number is None:
        raise CommandError(
            f"Unknown deserializer {class_name}; there are "
            f"{', '.join(sorted([*_AS_THEY_ARE, *_NUMBERS]))}"
        )
    return lambda data: str(number.unpack(data)[0]).encode()
