"""The answer to a request that nobody serves, as the API of its path has it."""

from typing import Final

from kafkalite.api.errors import ProblemResponse, problem_response
from kafkalite.api.rest.errors import refusal
from kafkalite.api.rest.paths import is_consumers_path
from kafkalite.api.rest.topics_paths import parse_topics_path
from kafkalite.api.v3.paths import is_v3_path
from kafkalite.model.errors import LogError

_JSON: Final = b"application/json"


def refusal_at(path: str, error: LogError) -> ProblemResponse:
    """`error` as clients of the API expect it that `path` belongs to; empty: of none."""
    is_v3 = is_v3_path(path)
    if not (is_v3 or is_consumers_path(path) or (path and parse_topics_path(path) is not None)):
        return problem_response(error)
    told = refusal(error)
    headers = [
        (b"content-type", _JSON if is_v3 else told.media),
        (b"content-length", b"%d" % len(told.body)),
        *told.headers,
    ]
    return ProblemResponse(told.status, headers, told.body)
