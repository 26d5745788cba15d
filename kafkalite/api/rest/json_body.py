"""Fields of a JSON body, read as REST Proxy does: numbers and booleans may be strings."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from kafkalite.api.rest.errors import BAD_REQUEST, RestError, unprocessable
from kafkalite.model.ids import TopicPartition

_MAX_ENTRIES: Final = 10_000
_MAX_DIGITS: Final = 20
MAX_OFFSET: Final = 2**63 - 1
_MAX_PARTITION: Final = 2**31 - 1

Fields = Mapping[str, Any]

_decoder: Final = msgspec.json.Decoder(dict[str, Any])


def decode_object(body: bytes) -> Fields:
    """The object that a body holds; none, where it is empty.

    Raises:
        RestError: 400, it is no JSON object.
    """
    if not body.strip():
        return {}
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RestError(BAD_REQUEST, f"Bad Request: the body is no JSON object: {error}") from error


def list_field(fields: Fields, name: str) -> list[Fields]:
    """A list of objects.

    Raises:
        RestError: 422, it is missing, too long or something else.
    """
    found = fields.get(name)
    if found is None:
        raise unprocessable(f"{name} is missing")
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise unprocessable(f"{name} must be a list of objects")
    if len(found) > _MAX_ENTRIES:
        raise unprocessable(f"{name} may have {_MAX_ENTRIES} entries, not {len(found)}")
    return found


def text_field(fields: Fields, name: str) -> str:
    """A string that is not empty.

    Raises:
        RestError: 422, it is missing or something else.
    """
    found = fields.get(name)
    if found is None:
        raise unprocessable(f"{name} is missing")
    if not isinstance(found, str) or not found:
        raise unprocessable(f"{name} must be a string")
    return found


def int_field(fields: Fields, name: str, least: int, most: int) -> int:
    """A whole number, or a string that is one.

    Raises:
        RestError: 422, it is missing, something else or out of bounds.
    """
    if fields.get(name) is None:
        raise unprocessable(f"{name} is missing")
    number = whole_number(fields[name])
    if number is None or not least <= number <= most:
        raise unprocessable(f"{name} must be a whole number between {least} and {most}")
    return number


def whole_number(given: object) -> int | None:
    """What a JSON value, or a query parameter, is as a whole number; None where it is none."""
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    if not isinstance(given, str):
        return None
    digits = given.removeprefix("-")
    if digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS:
        return int(given)
    return None


def true_or_false(given: object) -> bool | None:
    """What a JSON value is as a boolean; None where it is none."""
    if isinstance(given, bool):
        return given
    if isinstance(given, str) and given.lower() in {"true", "false"}:
        return given.lower() == "true"
    return None


def partition_of(entry: Fields) -> TopicPartition:
    """The partition that an entry of a list names.

    Raises:
        RestError: 422, it names none.
    """
    return TopicPartition(
        text_field(entry, "topic"), int_field(entry, "partition", 0, _MAX_PARTITION)
    )
