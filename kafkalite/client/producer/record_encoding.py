"""What callers give, as the bytes that are sent; what cannot be is refused here, at `send`.

Later nobody is left to be told: a batch with one record that cannot be encoded could not be sent at
all. So what is made here are bytes and texts themselves; the encoder takes no subclass of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from kafkalite.client.errors import SerializationError
from kafkalite.client.serializers import Serializer
from kafkalite.model.record import Header

_LATEST_MS: Final = 2**63 - 1
"""The last time that a batch can hold."""

Headers = Mapping[str, bytes | None] | Iterable[Header]


def to_bytes(what: str, value: Any, serialize: Serializer | None) -> bytes | None:  # noqa: ANN401 - a serializer takes what it likes
    """`value` as `serialize` makes it; None stays None.

    Args:
        what: "key" or "value".

    Raises:
        SerializationError: the serializer failed, made no bytes, or is missing.
    """
    if value is None:
        return None
    if serialize is not None:
        try:
            value = serialize(value)
        except Exception as error:  # its own business; the record is not sent
            raise SerializationError(
                f"The {what}, a {type(value).__name__}, cannot be serialized: {error}"
            ) from error
    if isinstance(value, bytes | bytearray | memoryview):
        return _own(value)
    made = "is" if serialize is None else "was serialized to"
    raise SerializationError(
        f"The {what} {made} a {type(value).__name__}, not bytes: set {what}_serializer, such as "
        f"'str' or 'json'"
    )


def to_values(values: Sequence[Any], serialize: Serializer | None) -> Sequence[bytes]:
    """All `values` as bytes.

    Raises:
        SerializationError: one of them cannot be; its index is told.
    """
    if serialize is None and set(map(type, values)) <= {bytes}:
        return values
    made: list[bytes] = []
    for index, value in enumerate(values):
        data = to_bytes("value", value, serialize)
        if data is None:
            raise SerializationError(f"Value {index} is None: tombstones go one by one, with keys")
        made.append(data)
    return made


def to_headers(headers: Headers | None) -> tuple[Header, ...]:
    """Headers as they are sent.

    Raises:
        SerializationError: a name is no text, or a value no bytes.
    """
    if not headers:
        return ()
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    made: list[Header] = []
    for name, value in pairs:
        if not isinstance(name, str) or not isinstance(value, bytes | None):
            raise SerializationError(
                f"Header {name!r} must be a str with bytes or None, not {type(value).__name__}"
            )
        made.append((_to_name(name), None if value is None else _own(value)))
    return tuple(made)


def _own(value: bytes | bytearray | memoryview) -> bytes:
    """`value` as bytes that nobody changes."""
    return value if type(value) is bytes else bytes(memoryview(value))


def _to_name(name: str) -> str:
    if type(name) is str and name.isascii():
        return name
    try:
        return name.encode().decode()
    except UnicodeEncodeError as error:
        raise SerializationError(f"Header {name!r} is no text that can be sent: {error}") from None


def check_timestamp(timestamp: int | None) -> None:
    """Raise SerializationError unless `timestamp` is a time in milliseconds, or None."""
    if timestamp is not None and (
        not isinstance(timestamp, int) or not 0 <= timestamp <= _LATEST_MS
    ):
        raise SerializationError(f"The timestamp must be milliseconds from 1970 on: {timestamp!r}")
