"""Content types and Accept headers of REST Proxy's clients."""

import re
from typing import Final

from kafkalite.api.remembered import remembered
from kafkalite.api.rest.errors import (
    FORMAT_MISMATCH,
    NOT_ACCEPTABLE,
    UNSUPPORTED_MEDIA,
    RestError,
)
from kafkalite.wire.rest_records import EmbeddedFormat

_FORMATS: Final = "|".join(EmbeddedFormat)
_KAFKA: Final = re.compile(rf"application/vnd\.kafka(?:\.({_FORMATS}))?(?:\.v[12])?\+json")
_PLAIN_BODIES: Final = frozenset({"", "application/json", "application/octet-stream"})
_ANY_JSON: Final = frozenset({"*/*", "application/*", "*/json", "application/json", "*"})
_CACHED: Final = 256
_UNSUPPORTED: Final = (
    "HTTP 415 Unsupported Media Type: set Content-Type to application/json, or "
    "application/vnd.kafka.FORMAT.v2+json with FORMAT json, binary or text"
)
_UNACCEPTABLE: Final = (
    "HTTP 406 Not Acceptable: accept application/json or application/vnd.kafka.v2+json"
)
_MISMATCH: Final = (
    "The requested embedded data format does not match the deserializer for this consumer instance"
)


def check_body_type(content_type: str) -> None:
    """See that a consumer's body may be of that type; parameters and case do not matter.

    Raises:
        RestError: 415.
    """
    name = content_type.partition(";")[0].strip().lower()
    if name not in _PLAIN_BODIES and _KAFKA.fullmatch(name) is None:
        raise RestError(UNSUPPORTED_MEDIA, _UNSUPPORTED)


def embedded_format(content_type: str, default: EmbeddedFormat) -> EmbeddedFormat:
    """The format of a body's keys and values; parameters and case do not matter.

    Args:
        content_type: as it came.
        default: of a type that does not name a format.

    Raises:
        RestError: 415.
    """
    named = _named_format(content_type)
    return default if named is None else EmbeddedFormat(named)


@remembered(_CACHED)
def _named_format(content_type: str) -> str | None:
    check_body_type(content_type)
    kafka = _KAFKA.fullmatch(content_type.partition(";")[0].strip().lower())
    return None if kafka is None else kafka[1]


def check_accepts_json(accept: str) -> None:
    """See that an answer that is not records may be sent.

    Raises:
        RestError: 406.
    """
    if not _entries(accept).accepts_json:
        raise RestError(NOT_ACCEPTABLE, _UNACCEPTABLE)


def check_accepts_records(accept: str, wanted: EmbeddedFormat) -> None:
    """See that records in a format may be sent.

    Raises:
        RestError: 406, with the code of a mismatch where another format is asked for.
    """
    entries = _entries(accept)
    if wanted in entries.formats or None in entries.formats:
        return
    if entries.formats:
        raise RestError(FORMAT_MISMATCH, _MISMATCH)
    raise RestError(NOT_ACCEPTABLE, _UNACCEPTABLE)


def format_to_send(accept: str, default: EmbeddedFormat) -> EmbeddedFormat:
    """The format of records that an Accept header asks for: the first that it names.

    Raises:
        RestError: 406, it names none, and does not accept any either.
    """
    for named in _entries(accept).formats:
        if named is not None:
            return EmbeddedFormat(named)
    check_accepts_json(accept)
    return default


def records_type(wanted: EmbeddedFormat) -> bytes:
    """The content type of records in a format."""
    return f"application/vnd.kafka.{wanted.value}.v2+json".encode()


class _Accepted:
    """What an Accept header lets us send."""

    __slots__ = ("accepts_json", "formats")

    def __init__(self, accept: str) -> None:
        self.formats: dict[str | None, None] = {}
        """Embedded formats that are asked for, in their order; None: whichever there is."""
        for entry in accept.split(",") if accept.strip() else ["*/*"]:
            name, *parameters = (part.strip().lower() for part in entry.split(";"))
            if any(_is_refusal(parameter) for parameter in parameters):
                continue
            kafka = _KAFKA.fullmatch(name)
            if name in _ANY_JSON:
                self.formats[None] = None
            elif kafka is not None:
                self.formats[kafka[1]] = None
        self.accepts_json = bool(self.formats)


def _is_refusal(parameter: str) -> bool:
    name, _, text = parameter.partition("=")
    try:
        return name.strip() == "q" and float(text) <= 0
    except ValueError:
        return True


_entries = remembered(_CACHED)(_Accepted)
