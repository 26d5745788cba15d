"""JSON objects as payloads, and what is taken out of them; whatever is wrong names the znode."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from kafkalite.coordination.errors import MalformedZnodeError

Members = Mapping[str, Any]
"""A decoded JSON object."""
_T = TypeVar("_T")


def encode(members: Members) -> bytes:
    return json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode()


def decode(path: str, data: bytes) -> dict[str, Any]:
    try:
        members = json.loads(data)
    except ValueError as error:
        raise MalformedZnodeError(path, f"it is not JSON ({error}): {data[:80]!r}") from None
    except RecursionError:
        raise MalformedZnodeError(path, "its JSON is nested too deeply") from None
    if not isinstance(members, dict):
        raise MalformedZnodeError(path, f"it is not a JSON object: {data[:80]!r}")
    return members


def is_a(value: object, kind: type) -> bool:
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def all_of(values: object, kind: type) -> bool:
    return isinstance(values, Iterable) and all(is_a(value, kind) for value in values)


def member(path: str, members: Members, name: str, kind: type[_T]) -> _T:
    if name not in members:
        raise MalformedZnodeError(path, f'it has no "{name}"')
    value = members[name]
    if not isinstance(value, kind) or not is_a(value, kind):
        raise MalformedZnodeError(path, f'its "{name}" is {value!r}')
    return value


def list_of(path: str, members: Members, name: str, kind: type[_T]) -> list[_T]:
    values: list[_T] = member(path, members, name, list)
    if not all_of(values, kind):
        raise MalformedZnodeError(path, f'its "{name}" is {values!r}')
    return values


def decimal(path: str, members: Members, name: str) -> int:
    text = members.get(name, "0")
    try:
        return int(text)
    except (TypeError, ValueError):
        raise MalformedZnodeError(path, f'its "{name}" is {text!r}') from None
