"""Media types of the records endpoints, and which of them a request means."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from kafkalite.model.errors import NotAcceptableError, UnsupportedMediaTypeError


class Media(StrEnum):
    """The media types that this server takes or sends for records."""

    JSON = "application/json"
    NDJSON = "application/x-ndjson"
    MSGPACK = "application/msgpack"
    TEXT = "text/plain"
    BYTES = "application/octet-stream"
    EVENTS = "text/event-stream"


_ALIASES: Final[Mapping[str, Media]] = {
    **{media.value: media for media in Media},
    "application/ndjson": Media.NDJSON,
    "application/jsonl": Media.NDJSON,
    "application/x-msgpack": Media.MSGPACK,
    "application/vnd.msgpack": Media.MSGPACK,
}


def media_of_body(content_type: str, taken: Sequence[Media]) -> Media:
    """What a Content-Type header means; parameters and case do not matter, none means JSON.

    Raises:
        UnsupportedMediaTypeError: it is not one of `taken`.
    """
    if not content_type:
        return Media.JSON
    name = content_type.partition(";")[0].strip().lower()
    media = _ALIASES.get(name)
    if media is None and name.endswith("+json"):
        media = Media.JSON
    if media is None or media not in taken:
        raise UnsupportedMediaTypeError(
            f"Cannot read a body of {name!r}; set Content-Type to one of {', '.join(taken)}"
        )
    return media


def negotiate(accept: str, offered: Sequence[Media]) -> Media:
    """The best of `offered` for an Accept header; an empty one gets the first.

    The highest quality wins, then the order of `offered`.

    Raises:
        NotAcceptableError: none of them is wanted.
    """
    if not accept:
        return offered[0]
    ranges = [_parse_range(entry) for entry in accept.split(",")]
    best = max(offered, key=lambda media: _quality(media, ranges))
    if _quality(best, ranges) <= 0:
        raise NotAcceptableError(f"Cannot send {accept!r}; accept one of {', '.join(offered)}")
    return best


def _parse_range(entry: str) -> tuple[str, float]:
    name, *parameters = (part.strip().lower() for part in entry.split(";"))
    quality = 1.0
    for parameter in parameters:
        key, _, text = parameter.partition("=")
        if key.strip() == "q":
            try:
                quality = float(text)
            except ValueError:
                quality = 0.0
    return name, quality


def _quality(media: Media, ranges: Sequence[tuple[str, float]]) -> float:
    """Quality of the most specific range that covers `media`; 0 when none does."""
    best = (-1, 0.0)
    family = media.partition("/")[0]
    for name, quality in ranges:
        if _ALIASES.get(name) is media:
            specificity = 2
        elif name == f"{family}/*":
            specificity = 1
        elif name == "*/*":
            specificity = 0
        else:
            continue
        best = max(best, (specificity, quality))
    return best[1]
