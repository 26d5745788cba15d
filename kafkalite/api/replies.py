"""How an operation says, for OpenAPI, what it answers."""

from typing import Any, Final

import msgspec

from kafkalite.api.errors import PROBLEM_MEDIA_TYPE
from kafkalite.model.errors import LogError

SCHEMA_REFERENCE: Final = "#/components/schemas/{name}"


def replies(
    document: type[msgspec.Struct] | None,
    *errors: type[LogError],
    status: int = 200,
    media: str = "application/json",
) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's responses of an operation: a document as `media`, or one of these errors.

    Without a document the good answer is left to others to describe.
    """
    found: dict[int | str, dict[str, Any]] = {}
    if document is not None:
        summary = (document.__doc__ or "").partition("\n")[0]
        schema = {"$ref": SCHEMA_REFERENCE.format(name=document.__name__)}
        found[status] = {"description": summary, "content": {media: {"schema": schema}}}
    texts: dict[int, list[str]] = {}
    for error in errors:
        texts.setdefault(error.status, []).append(f"{error.name}: {error.text}")
    for code in sorted(texts):
        found[code] = problem_reply("\n".join(texts[code]))
    return found


def problem_reply(description: str) -> dict[str, Any]:
    """One response of an operation that is a problem document."""
    schema = {"$ref": SCHEMA_REFERENCE.format(name="Problem")}
    return {"description": description, "content": {PROBLEM_MEDIA_TYPE: {"schema": schema}}}
