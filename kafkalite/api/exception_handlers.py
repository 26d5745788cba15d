"""What FastAPI's exceptions are in our words: everything ends as a problem document."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from kafkalite.api.errors import problem_response
from kafkalite.api.http.allowed_methods import method_not_allowed
from kafkalite.model.errors import InvalidRequestError, LogError, PathNotFoundError

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_MAX_SHOWN = 5
"""Problems of one request that are told; more would not help."""
_BODY_SOURCES = frozenset({"body", "query", "path", "header"})


def install(app: FastAPI) -> None:
    """Answer every exception that a handler of `app` may raise with a problem document."""
    app.add_exception_handler(LogError, _on_log_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)


def methods_of(app: FastAPI, path: str) -> tuple[str, ...]:
    """The methods that the routes of `app` have for `path`; empty where there is no such path."""
    scope = {"type": "http", "path": path, "root_path": "", "headers": [], "app": app}
    return tuple(
        method
        for method in _METHODS
        if any(
            route.matches({**scope, "method": method})[0] is Match.FULL
            for route in app.router.routes
        )
    )


def _respond(error: LogError) -> Response:
    answer = problem_response(error)
    response = Response(status_code=answer.status)
    response.body = answer.body
    response.raw_headers = answer.headers
    return response


async def _on_log_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, LogError)
    return _respond(error)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    """404 and 405 come from the router, 400 from a body that cannot be read."""
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == 404:
        return _respond(PathNotFoundError(f"There is nothing at {path}; see /docs."))
    if error.status_code == 405:
        return _respond(method_not_allowed(path, request.method, methods_of(request.app, path)))
    return _respond(InvalidRequestError(f"The request cannot be read: {error.detail}."))


async def _on_invalid_request(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = [_in_words(each) for each in error.errors()]
    shown = "; ".join(dict.fromkeys(problems[:_MAX_SHOWN]))
    more = len(problems) - _MAX_SHOWN
    return _respond(InvalidRequestError(f"{shown}; and {more} more" if more > 0 else shown))


def _in_words(detail: Any) -> str:  # noqa: ANN401 - FastAPI leaves its error dicts untyped
    """One problem, naming the field: `replica_assignment[0][1]: Input should be ...`."""
    source, *steps = detail["loc"]
    kind, message = detail["type"], detail["msg"]
    if kind == "json_invalid":
        return f"The body is not JSON: {detail['ctx']['error']} at character {steps[0]}"
    if kind == "missing":
        where = _path(steps)
        return f"{where} is missing" if where else "The body is missing: send a JSON object"
    if kind in {"model_attributes_type", "model_type"} and not steps:
        return "The body must be a JSON object"
    where = _path(steps) or ("" if source in _BODY_SOURCES else str(source))
    return f"{where}: {message}" if where else message


def _path(steps: Sequence[object]) -> str:
    path = ""
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            path += f".{step}" if path else str(step)
    return path[:200]
