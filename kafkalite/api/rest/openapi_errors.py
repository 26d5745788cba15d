"""What OpenAPI says of REST Proxy's errors: which codes come with which status, and why."""

from typing import Any, Final

from kafkalite.api.replies import reference
from kafkalite.api.rest import errors
from kafkalite.api.rest.errors import MEDIA

_MEDIA: Final = MEDIA.decode("ascii")
ERROR_SCHEMAS: Final[dict[str, Any]] = {
    "RestError": {
        "type": "object",
        "description": "An error of REST Proxy's: its code has five digits, or is the HTTP status.",
        "required": ["error_code", "message"],
        "properties": {
            "error_code": {"type": "integer"},
            "message": {"type": "string"},
            "validation_errors": {
                "type": "array",
                "items": {"type": "string"},
                "description": "What is wrong with each field of a topic to be created.",
            },
        },
        "examples": [{"error_code": 40403, "message": "Consumer instance not found."}],
    },
}
CODES: Final = "x-error-codes"
"""Of a response: all that its `error_code` may be."""
RANGE: Final = 416
TEXTS: Final[dict[int, str]] = {
    errors.BAD_REQUEST: "What was sent cannot be read, or names what cannot be.",
    errors.BAD_TOPIC_REQUEST: "Such a topic cannot be created.",
    errors.NOT_FOUND: "There is no such path.",
    errors.TOPIC_NOT_FOUND: "There is no such topic.",
    errors.PARTITION_NOT_FOUND: "The topic has no such partition.",
    errors.CONSUMER_NOT_FOUND: "There is no such consumer instance, or topic to be described.",
    errors.NOT_ACCEPTABLE: "The Accept header fits nothing that could be sent.",
    errors.FORMAT_MISMATCH: "The instance's records are in another format.",
    errors.CONSUMER_EXISTS: "The group has an instance of that name.",
    errors.ILLEGAL_STATE: "It does not go with what the instance reads.",
    RANGE: "The partition does not hold that offset.",
    errors.UNSUPPORTED_MEDIA: "The body is of no type that is known here.",
    errors.UNPROCESSABLE: "A field or parameter is missing or wrong; the message names it.",
    42201: "Keys of this format need a schema.",
    42202: "Values of this format need a schema.",
    errors.INVALID_CONFIG: "A setting of the instance cannot be used.",
    42205: "There is no registry of schemas; use another format.",
    429: "There are as many instances, or requests to one, as there may be.",
    500: "The instance reads nothing: subscribe first.",
}
"""Of each code that a client may meet where all is well with the broker: what it means."""


def error_responses(*codes: int, statuses_only: bool = False) -> dict[str, dict[str, Any]]:
    """Responses with these codes, by their HTTP status.

    Args:
        codes: of TEXTS.
        statuses_only: whether some clients get the HTTP status for a code, as Strimzi's do.
    """
    by_status: dict[int, list[int]] = {}
    for code in sorted(codes):
        by_status.setdefault(int(str(code)[:3]), []).append(code)
    return {
        str(status): _response(status, found, statuses_only) for status, found in by_status.items()
    }


def error_response(description: str) -> dict[str, Any]:
    """A response with whatever error."""
    return {"description": description, "content": {_MEDIA: {"schema": _ERROR}}}


def _response(status: int, codes: list[int], statuses_only: bool) -> dict[str, Any]:
    text = "\n".join(f"{code}: {TEXTS[code]}" for code in codes)
    if statuses_only and codes != [status]:
        text += f"\n{status}: any of these, to clients of Strimzi's dialect."
        codes = sorted({status, *codes})
    # Not in a schema, where generators of clients would make a type of each set of codes.
    return {**error_response(text), CODES: codes}


_ERROR: Final = reference("RestError")
