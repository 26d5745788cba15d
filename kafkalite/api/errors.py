"""The one translation of the error table to HTTP: RFC 9457 problem documents.

Knows no web framework, so that the raw data plane and the control plane answer with the same bytes.
A few refusals exist in HTTP only (no such path, a method that is not allowed, ...): they are
`INVALID_REQUEST` for a client that looks at the name, with the status that HTTP has for them.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final, NamedTuple

import msgspec

from kafkalite.model.errors import InvalidRequestError, LogError

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 1
"""What a client is told to wait when the broker cannot serve it at the moment."""

_TYPE: Final = "about:blank"
_RETRY_LATER: Final = frozenset({429, 503})
_log = logging.getLogger(__name__)

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
"""ASGI's send."""


class UnknownPathError(InvalidRequestError):
    """No resource has this path."""

    status = 404
    text = "There is nothing at this path."


class MethodNotAllowedError(InvalidRequestError):
    """The resource exists but does not know the method; `allow` lists those it knows."""

    status = 405
    text = "The resource does not support this method."

    def __init__(self, detail: str | None = None, *, allow: str) -> None:
        super().__init__(detail, allow=allow)
        self.allow = allow


class NotAcceptableError(InvalidRequestError):
    """Nothing that the Accept header allows can be produced."""

    status = 406
    text = "The resource cannot be represented as the Accept header asks."


class UnsupportedMediaTypeError(InvalidRequestError):
    """The Content-Type of the body is not one that the resource takes."""

    status = 415
    text = "The resource does not take a body of this Content-Type."


class BodyTooLargeError(InvalidRequestError):
    """The body passes the bound, noticed while reading it."""

    status = 413
    text = "The body of the request is too large."


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
        "type": _TYPE,
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
    """`error` as a complete answer, with `headers` added to those it needs by itself."""
    status, document = problem(error)
    # The standard encoder, because it never fails: lone surrogates and huge integers that came in
    # with a request may be part of the detail.
    body = json.dumps(document, default=_plain, separators=(",", ":")).encode("ascii")
    all_headers = {
        "content-type": PROBLEM_MEDIA_TYPE,
        "content-length": str(len(body)),
        **problem_headers(error),
        **(headers or {}),
    }
    return ProblemResponse(
        status,
        [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in all_headers.items()],
        body,
    )


def problem_headers(error: LogError) -> dict[str, str]:
    """Headers that HTTP wants beside the document: Retry-After, Allow."""
    headers: dict[str, str] = {}
    if error.retriable and error.status in _RETRY_LATER:
        headers["retry-after"] = str(RETRY_AFTER_S)
    if isinstance(error, MethodNotAllowedError):
        headers["allow"] = error.allow
    return headers


async def send_problem(
    send: Send, error: LogError, headers: Mapping[str, str] | None = None, *, body: bool = True
) -> None:
    """Answer an ASGI request with `error`; only the headers where `body` is false (HEAD)."""
    response = problem_response(error, headers)
    await send(
        {
            "type": "http.response.start",
            "status": response.status,
            "headers": response.headers,
        }
    )
    await send({"type": "http.response.body", "body": response.body if body else b""})


def unexpected(error: Exception, request_id: str) -> LogError:
    """What to answer when `error` was not foreseen: it is logged whole, the client gets an id.

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
