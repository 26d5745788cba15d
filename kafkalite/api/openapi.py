"""The OpenAPI 3.1 document: FastAPI's, corrected, with the data plane that FastAPI never sees."""

from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from kafkalite.api.answers import ANSWERS
from kafkalite.api.data_plane.paths import DATA_PLANE_BODIES, EXAMPLES, SCHEMAS, data_plane_paths
from kafkalite.api.groups.stream_paths import group_stream_paths
from kafkalite.api.replies import SCHEMA_REFERENCE, problem_reply
from kafkalite.api.rest.openapi_paths import REST_SCHEMAS, rest_paths
from kafkalite.api.rest.topics_openapi import TOPICS_SCHEMAS, topics_paths
from kafkalite.api.streams.openapi_paths import STREAM_SCHEMAS, stream_paths
from kafkalite.api.v3.openapi_paths import v3_paths
from kafkalite.api.v3.openapi_schemas import V3_SCHEMAS

_DESCRIPTION: Final = """\
A partitioned, durable commit log with Kafka's model, spoken over HTTP.

Every error of `/v1` is a problem document (RFC 9457) with Kafka's name and code of the error and
whether the same request may succeed later; `/consumers`, `/topics` and `/v3` speak as REST Proxy
does. Any broker answers; the partition's own requests (offsets, records) are for its leader, and
another broker names it in `leader_id` and `leader_url`.
"""
_PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457; members beyond these say more, such as `leader_url`.",
    "required": ["type", "title", "status", "detail", "error", "error_code", "retriable"],
    "properties": {
        "type": {"type": "string", "const": "about:blank"},
        "title": {"type": "string", "description": "What the error means in general."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {"type": "string", "description": "What happened here."},
        "error": {"type": "string", "examples": ["UNKNOWN_TOPIC_OR_PARTITION"]},
        "error_code": {"type": "integer", "examples": [3]},
        "retriable": {"type": "boolean", "description": "Whether trying again may help."},
    },
    "additionalProperties": True,
}


def make_openapi(app: FastAPI) -> dict[str, Any]:
    """The whole document; takes a moment, so it should be made once."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version="3.1.0",
        description=_DESCRIPTION,
        routes=app.routes,
        tags=app.openapi_tags,
    )
    paths = document["paths"]
    for item in paths.values():
        for operation in item.values():
            # FastAPI's own idea of a refusal; ours is an INVALID_REQUEST like any other.
            operation["responses"].pop("422", None)
            for parameter in operation.get("parameters", ()):
                _without_null(parameter["schema"])
    paths.update(data_plane_paths())
    paths.update(group_stream_paths())
    paths.update(stream_paths())
    paths.update(rest_paths())
    paths.update(topics_paths())
    paths.update(v3_paths())
    for item in paths.values():
        for operation in item.values():
            operation["responses"].setdefault("default", problem_reply("Any other error."))
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    _, ours = msgspec.json.schema_components(
        [*ANSWERS, *DATA_PLANE_BODIES], ref_template=SCHEMA_REFERENCE
    )
    for name, examples in EXAMPLES.items():
        ours[name]["examples"] = examples
    schemas.update(ours)
    schemas.update(SCHEMAS)
    schemas.update(STREAM_SCHEMAS)
    schemas.update(REST_SCHEMAS)
    schemas.update(TOPICS_SCHEMAS)
    schemas.update(V3_SCHEMAS)
    schemas["Problem"] = _PROBLEM
    document["paths"] = dict(sorted(paths.items()))
    return document


def _without_null(schema: dict[str, Any]) -> None:
    """Leave null out of a parameter's schema, in place: no URL says null."""
    options = schema.get("anyOf", ())
    kept = [option for option in options if option != {"type": "null"}]
    if len(kept) == 1 < len(options):
        del schema["anyOf"]
        schema.update(kept[0])
