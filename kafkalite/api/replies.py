"""How an operation says, for OpenAPI, what it takes and answers."""

from collections.abc import Sequence
from types import UnionType
from typing import Any, Final, get_args

import msgspec

from kafkalite.api.errors import PROBLEM_MEDIA_TYPE
from kafkalite.model.errors import LogError

SCHEMA_REFERENCE: Final = "#/components/schemas/{name}"


def reference(name: str) -> dict[str, Any]:
    """A schema, by its name in the document."""
    return {"$ref": SCHEMA_REFERENCE.format(name=name)}


def parameter(name: str, where: str, schema: dict[str, Any], text: str) -> dict[str, Any]:
    """A parameter; `where` is `path` or `query`, and one of the path must be there."""
    return {
        "name": name,
        "in": where,
        "required": where == "path",
        "schema": schema,
        "description": text,
    }


def replies(
    document: type[msgspec.Struct] | UnionType | None,
    *errors: type[LogError],
    status: int = 200,
    media: str | Sequence[str] = "application/json",
) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's responses of an operation: a document (or one of a union) as `media`, or an error.

    Of several media the client has its choice.

    Without a document the good answer is left to others to describe.
    """
    found: dict[int | str, dict[str, Any]] = {}
    if document is not None:
        structs = get_args(document) or (document,)
        summary = " Or: ".join((each.__doc__ or "").partition("\n")[0] for each in structs)
        schemas = [reference(each.__name__) for each in structs]
        schema = schemas[0] if len(schemas) == 1 else {"oneOf": schemas}
        types = (media,) if isinstance(media, str) else media
        content = {each: {"schema": schema} for each in types}
        found[status] = {"description": summary, "content": content}
    texts: dict[int, list[str]] = {}
    for error in errors:
        texts.setdefault(error.status, []).append(f"{error.name}: {error.text}")
    for code in sorted(texts):
        found[code] = problem_reply("\n".join(texts[code]))
    return found


def problem_reply(description: str) -> dict[str, Any]:
    """One response of an operation that is a problem document."""
    content = {PROBLEM_MEDIA_TYPE: {"schema": reference("Problem")}}
    return {"description": description, "content": content}
