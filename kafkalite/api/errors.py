"""The one translation of the error table to HTTP: RFC 9457 problem documents.

Knows no web framework, so that the raw data plane and the control plane answer with the same bytes.
"""

import json
import logging
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from kafkalite.model.errors import LogError

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 1
"""What a client is told to wait when the broker cannot serve it at the moment."""

_RETRY_LATER: Final = frozenset({429, 503})
_TOLD_IN_HEADERS: Final = (("allow", "allow"), ("accept-encoding", "accept_encoding"))
_log = logging.getLogger(__name__)


class ProblemResponse(NamedTuple):
    """An answer, ready to be sent by whatever speaks ASGI."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def problem(error: LogError) -> tuple[int, dict[str, object]]:
    """The HTTP status of `error` and its problem document.

    The members after `detail` are ours: Kafka's name and code, whether the same request may
    succeed later, and whatever the error carries (`leader_id`, `offsets`, ...).
    """
    document: dict[str, object] = {
        "type": "about:blank",
        "title": error.text,
        "status": error.status,
        "detail": error.detail,
        "error": error.name,
        "error_code": error.code,
        "retriable": error.retriable,
    }
    for name, value in error.extra.items():
        document.setdefault(name, value)
    return error.status, document


def problem_response(error: LogError, headers: Mapping[str, str] | None = None) -> ProblemResponse:
    """`error` as a complete answer, with `headers` added to those it needs by itself.

    HTTP wants `Retry-After` beside an error that goes away, `Allow` beside a 405 and
    `Accept-Encoding` beside a body in a form that we cannot read; both are members of the error.
    """
    status, document = problem(error)
    # The standard encoder, because it never fails: lone surrogates and huge integers that came in
    # with a request may be part of the detail.
    body = json.dumps(document, default=_plain, separators=(",", ":")).encode("ascii")
    fields = {"content-type": PROBLEM_MEDIA_TYPE, "content-length": str(len(body))}
    if status in _RETRY_LATER:
        fields["retry-after"] = str(RETRY_AFTER_S)
    for header, member in _TOLD_IN_HEADERS:
        if member in document:
            fields[header] = str(document[member])
    fields.update(headers or {})
    raw = [
        (name.lower().encode("latin-1"), text.encode("latin-1")) for name, text in fields.items()
    ]
    return ProblemResponse(status, raw, body)


def unexpected(error: Exception, request_id: str) -> LogError:
    """What to answer when `error` was not foreseen: the log has it whole, the client gets its id.

    Nothing of the exception reaches the client: its text may name paths or carry other people's
    data.
    """
    _log.error("request %s failed unexpectedly", request_id, exc_info=error)
    return LogError(
        f"The broker met an error that it did not expect; its log has it under {request_id}.",
        request_id=request_id,
    )


def _plain(value: object) -> object:
    """Members that JSON does not know: our message structs as objects, the rest as text."""
    return msgspec.to_builtins(value) if isinstance(value, msgspec.Struct) else str(value)
