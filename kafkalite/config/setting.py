"""What a setting is: how it is declared, read from text, written as text and described."""

import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from kafkalite.config.names import key_of

Scope = Literal["broker", "cluster"]
"""Whether a key may differ from broker to broker, or should be the same on all of them."""

MAX_INT = 2**31 - 1
MAX_LONG = 2**63 - 1


def _whole_number(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = value.strip()
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"{value!r} is not a whole number")
    return int(text) if len(digits) < 25 else MAX_LONG + 1


def _true_or_false(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = value.strip().lower()
    if text not in {"true", "false"}:
        raise ValueError(f"{value!r} is neither true nor false")
    return text == "true"


def _not_blank(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not value.strip():
        raise ValueError("a value is needed")
    return value.strip()


Boolean = Annotated[bool, BeforeValidator(_true_or_false)]
Int = Annotated[int, BeforeValidator(_whole_number), Field(le=MAX_INT)]
Long = Annotated[int, BeforeValidator(_whole_number), Field(le=MAX_LONG)]
Text = Annotated[str, BeforeValidator(_not_blank)]
Positive = Annotated[Int, Field(ge=1)]
PositiveLong = Annotated[Long, Field(ge=1)]
NotNegative = Annotated[Int, Field(ge=0)]
NotNegativeLong = Annotated[Long, Field(ge=0)]


class Section(BaseModel):
    """Settings that belong together, each declared once. Immutable."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=key_of,
        validate_by_name=True,
        validate_by_alias=True,
    )


def setting(
    default: object, doc: str, *, live: bool = False, scope: Scope = "broker", ours: bool = False
) -> Any:  # noqa: ANN401 - a default of every type, like pydantic's Field
    """Declare a key of the broker.

    Args:
        default: the value when the key is not set; `...` when it must be.
        doc: what it does, and its unit.
        live: whether it can be changed while the broker runs.
        scope: whether it should be the same on every broker.
        ours: whether Kafka has no key of that name, or another default for it.
    """
    extra: JsonDict = {"live": live, "scope": scope, "ours": ours}
    return Field(default, description=doc, json_schema_extra=extra)


def topic_setting(doc: str, *, default_of: str, synonyms: tuple[str, ...] | None = None) -> Any:  # noqa: ANN401 - as above
    """Declare a key of a topic.

    Args:
        doc: what it does, and its unit.
        default_of: the attribute of BrokerSettings whose value counts when the topic says nothing.
        synonyms: the broker's keys behind that value, the strongest first; by default the one that
            `default_of` names; none of them: the broker has no such key.
    """
    extra: JsonDict = {
        "default_of": default_of,
        "synonyms": list((key_of(default_of),) if synonyms is None else synonyms),
    }
    return Field(None, description=doc, json_schema_extra=extra)


@dataclass(frozen=True, slots=True)
class Setting:
    """One declared key, as documentation and descriptions need it."""

    key: str
    doc: str
    type_name: str
    """`int`, `long`, `boolean`, `list` or `string`, Kafka's words."""
    valid_values: str
    """The values it takes in words; empty where the type says all."""
    default: object
    is_required: bool
    live: bool
    scope: Scope
    ours: bool
    default_of: str
    """Of a topic's key: the attribute of BrokerSettings that it overrides."""
    synonyms: tuple[str, ...]
    """Of a topic's key: the broker's keys that it overrides, the strongest first."""


def declared(model: type[BaseModel]) -> Iterator[Setting]:
    """The keys that `model` declares, in order."""
    for attribute, field in model.model_fields.items():
        extra = field.json_schema_extra
        assert isinstance(extra, dict)
        least, largest = _bounds(field)
        yield Setting(
            key=key_of(attribute),
            doc=field.description or "",
            type_name=_type_name(field.annotation, largest),
            valid_values=_valid_values(field, least, largest),
            default=None if field.is_required() else field.default,
            is_required=field.is_required(),
            live=bool(extra.get("live", True)),
            scope=typing.cast("Scope", extra.get("scope", "broker")),
            ours=bool(extra.get("ours", False)),
            default_of=str(extra.get("default_of", "")),
            synonyms=tuple(map(str, typing.cast("list[str]", extra.get("synonyms", [])))),
        )


def _metadata(annotation: object) -> Iterator[object]:
    """The constraints in an annotation, those inside `... | None` included."""
    yield from getattr(annotation, "__metadata__", ())
    for part in typing.get_args(annotation):
        if hasattr(part, "__metadata__") or isinstance(part, types.UnionType):
            yield from _metadata(part)


def _bounds(field: FieldInfo) -> tuple[int | None, int | None]:
    """The least and the largest number that `field` takes."""
    found = [*field.metadata, *_metadata(field.annotation)]
    for item in list(found):
        if isinstance(item, FieldInfo):
            found += item.metadata
    least = [item.ge for item in found if hasattr(item, "ge")]
    largest = [item.le for item in found if hasattr(item, "le")]
    return max(least, default=None), min(largest, default=None)


def _plain_type(annotation: object) -> object:
    """The type behind `Annotated` and `... | None`."""
    if hasattr(annotation, "__metadata__"):
        return _plain_type(typing.get_args(annotation)[0])
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        return _plain_type(
            next(part for part in typing.get_args(annotation) if part is not type(None))
        )
    return annotation


def _type_name(annotation: object, largest: int | None) -> str:
    plain = _plain_type(annotation)
    if plain is bool:
        return "boolean"
    if plain is int:
        return "long" if largest is not None and largest > MAX_INT else "int"
    return "list" if typing.get_origin(plain) is tuple else "string"


def _valid_values(field: FieldInfo, least: int | None, largest: int | None) -> str:
    plain = _plain_type(field.annotation)
    if typing.get_origin(plain) is Literal:
        return ", ".join(typing.get_args(plain))
    if isinstance(plain, type) and issubclass(plain, Enum):
        return ", ".join(str(member.value) for member in plain)
    if largest in {MAX_INT, MAX_LONG}:
        largest = None
    if least is not None and largest is not None:
        return f"{least} to {largest}"
    return "" if least is None else f"{least} or more"


def as_text(value: object) -> str | None:
    """A value as Kafka writes it in a properties file; None for one that is not set."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple) and all(isinstance(item, (Path, str)) for item in value):
        return ",".join(map(str, value))
    return str(value)


def problems_in(error: ValidationError) -> Iterator[tuple[str, str]]:
    """What is wrong, as (key, reason in words)."""
    for detail in error.errors(include_url=False):
        yield key_of(str(detail["loc"][0])), _reason(detail)


def _reason(detail: ErrorDetails) -> str:
    value, context = detail["input"], detail.get("ctx", {})
    match detail["type"]:
        case "missing":
            return "is required"
        case "greater_than_equal":
            return f"{value} is too small, it must be at least {context['ge']}"
        case "less_than_equal":
            return f"{value} is too large, it must be at most {context['le']}"
        case "literal_error" | "enum":
            return f"{value!r} is not one of {context['expected']}"
        case "value_error":
            return str(context["error"])
        case _:
            return detail["msg"]
