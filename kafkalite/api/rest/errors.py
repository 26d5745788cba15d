"""Errors as REST Proxy's clients expect them: `{"error_code", "message"}`, in this order.

Five digits where there is a code of REST Proxy's own, else the HTTP status; to an instance of
Strimzi's dialect always the HTTP status.
"""

import json
from collections.abc import Sequence
from typing import Final, NamedTuple

from kafkalite.api.errors import RETRY_AFTER_S
from kafkalite.api.http.allowed_methods import all_allowed
from kafkalite.broker.consumers.definition import Dialect
from kafkalite.broker.consumers.errors import (
    ConsumerError,
    ConsumerExistsError,
    ConsumerNotFoundError,
    IllegalStateError,
    InvalidPatternError,
    NotAssignedError,
    NotSubscribedError,
    TooManyConsumersError,
)
from kafkalite.broker.ports import StoreError
from kafkalite.model.errors import LogError
from kafkalite.wire.rest_produce import RefusedBodyError
from kafkalite.wire.rest_records import PoisonRecordError

MEDIA: Final = b"application/vnd.kafka.v2+json"
"""Content type of all answers but records."""

BAD_REQUEST: Final = 400
BAD_TOPIC_REQUEST: Final = 40002
NOT_FOUND: Final = 404
TOPIC_NOT_FOUND: Final = 40401
PARTITION_NOT_FOUND: Final = 40402
CONSUMER_NOT_FOUND: Final = 40403
TOPIC_DETAILS_NOT_FOUND: Final = 40403
"""The same number, for a topic that is described as a whole."""
NOT_ACCEPTABLE: Final = 406
FORMAT_MISMATCH: Final = 40601
CONSUMER_EXISTS: Final = 40902
ILLEGAL_STATE: Final = 40903
UNSUPPORTED_MEDIA: Final = 415
UNPROCESSABLE: Final = 422
INVALID_CONFIG: Final = 42204
KAFKA_ERROR: Final = 50002
RETRIABLE_KAFKA_ERROR: Final = 50003
UNAVAILABLE: Final = 50302
SWITCHED_OFF: Final = 503

_TOLD_IN_HEADERS: Final = ((b"allow", "allow"), (b"accept-encoding", "accept_encoding"))


class RestError(Exception):
    """A request is refused."""

    def __init__(
        self,
        code: int,
        message: str,
        headers: Sequence[tuple[bytes, bytes]] = (),
        *,
        status: int | None = None,
        validation_errors: Sequence[str] = (),
    ) -> None:
        """Refuse with a code whose first three digits are the HTTP status, unless one is given."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.headers = headers
        self.status = status or int(str(code)[:3])
        self.validation_errors = validation_errors


class RestAnswer(NamedTuple):
    """An answer, ready to be sent."""

    status: int
    body: bytes = b""
    media: bytes = MEDIA
    headers: Sequence[tuple[bytes, bytes]] = ()


def switched_off(what: str) -> RestError:
    """The operator wants nobody to consume, or to produce, this way; in the bridge's words."""
    name = what.lower()
    return RestError(
        SWITCHED_OFF,
        f"{what} is disabled in config. To enable {name} update rest.{name}.enabled to true",
    )


def unprocessable(message: str) -> RestError:
    """A field of the request is missing or wrong; the message names it."""
    return RestError(UNPROCESSABLE, message)


def not_ready(reasons: Sequence[str]) -> RestError:
    """The broker cannot serve anybody yet, or any more."""
    return _retry_later(UNAVAILABLE, f"The broker is not ready: {'; '.join(reasons)}")


def check_method(method: str, allowed: Sequence[str]) -> RestAnswer | None:
    """The answer to OPTIONS; None where the method is one of those `allowed` by the path.

    Raises:
        RestError: 405, it is another one.
    """
    if method in allowed:
        return None
    names = all_allowed(allowed)
    allow = [(b"allow", names.encode("ascii"))]
    if method == "OPTIONS":
        return RestAnswer(204, headers=allow)
    raise RestError(405, f"HTTP 405 Method Not Allowed: send {names}", allow)


def refusal(error: Exception, dialect: Dialect | None = None) -> RestAnswer:
    """The answer to a request that failed, as clients of a dialect expect it."""
    told = _told(error, dialect)
    code = told.status if dialect == "strimzi" else told.code
    # The standard encoder, because it never fails, whatever of a request is part of the message.
    document: dict[str, object] = {"error_code": code, "message": told.message}
    if told.validation_errors:
        document["validation_errors"] = told.validation_errors
    body = json.dumps(document, separators=(",", ":"))
    return RestAnswer(told.status, body.encode("ascii"), MEDIA, told.headers)


def _told(error: Exception, dialect: Dialect | None) -> RestError:
    match error:
        case RestError():
            told = error
        case LogError():
            told = _of_log_error(error)
        case ConsumerError():
            told = _of_consumer_error(error, dialect)
        case RefusedBodyError():
            told = RestError(error.code, error.message)
        case PoisonRecordError():
            told = RestError(UNPROCESSABLE, str(error))
        case StoreError():
            told = _retry_later(UNAVAILABLE, str(error))
        case _:
            told = RestError(500, "Internal Server Error")
    return told


_CONSUMER_ERRORS: Final[dict[type[ConsumerError], int]] = {
    ConsumerNotFoundError: CONSUMER_NOT_FOUND,
    ConsumerExistsError: CONSUMER_EXISTS,
    NotSubscribedError: 500,
    InvalidPatternError: UNPROCESSABLE,
}


def _of_consumer_error(error: ConsumerError, dialect: Dialect | None) -> RestError:
    match error:
        case TooManyConsumersError():
            return _retry_later(429, str(error))
        case NotAssignedError() if dialect == "strimzi":
            return RestError(NOT_FOUND, str(error))
        case IllegalStateError():
            return RestError(ILLEGAL_STATE, f"Illegal state: {error}")
    return RestError(_CONSUMER_ERRORS[type(error)], str(error))


def _of_log_error(error: LogError) -> RestError:
    status = error.status
    if error.name == "UNKNOWN_TOPIC_OR_PARTITION":
        return RestError(TOPIC_NOT_FOUND, error.detail)
    if status == 409:
        return RestError(ILLEGAL_STATE, f"Illegal state: {error.detail}")
    if status == 429:
        return _retry_later(429, error.detail)
    if status >= 500 or status == 421:
        if error.retriable or status == 503:
            return _retry_later(UNAVAILABLE, error.detail)
        return RestError(KAFKA_ERROR, error.detail)
    headers = [
        (header, str(error.extra[member]).encode("ascii"))
        for header, member in _TOLD_IN_HEADERS
        if member in error.extra
    ]
    return RestError(status, error.detail, headers)


def _retry_later(code: int, message: str) -> RestError:
    return RestError(code, message, [(b"retry-after", b"%d" % RETRY_AFTER_S)])
