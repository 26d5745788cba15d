"""Dispatch by path: the data plane as raw ASGI, everything else to the control plane."""

import logging
import uuid
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Final, NamedTuple

from kafkalite.api.controller import ControllerEndpoint
from kafkalite.api.errors import problem_response, unexpected
from kafkalite.api.exchange import ClientGoneError, Exchange, Receive, Scope, Send
from kafkalite.api.fetch import FetchEndpoint
from kafkalite.api.produce import ProduceEndpoint
from kafkalite.api.records import RecordsEndpoint
from kafkalite.api.whole_request import WholeRequest
from kafkalite.model.errors import (
    LogError,
    MethodNotAllowedError,
    RequestTooLargeError,
)

AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_NATIVE_PATHS: Final = frozenset({"/v1/produce", "/v1/fetch", "/v1/controller"})
_CACHED_PATHS: Final = 4096
_MAX_PARTITION_DIGITS: Final = 10

_log = logging.getLogger(__name__)


class RecordsPath(NamedTuple):
    """A path of the records endpoint; `partition` is None where it names only the topic."""

    topic: str
    partition: int | None


class Dispatcher:
    """The ASGI application of a broker. Lives on the loop; holds nothing of a request."""

    def __init__(
        self,
        produce: ProduceEndpoint,
        fetch: FetchEndpoint,
        records: RecordsEndpoint,
        controller: ControllerEndpoint,
        control: AsgiApp,
    ) -> None:
        self._produce = produce
        self._fetch = fetch
        self._records = records
        self._controller = controller
        self._control = control

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._control(scope, receive, send)
            return
        path: str = scope["path"]
        if path in _NATIVE_PATHS:
            records_path = None
        else:
            records_path = parse_records_path(path)
            if records_path is None:
                await self._control(scope, receive, send)
                return
        exchange = Exchange(scope, receive, send)
        try:
            await self._serve(exchange, scope["method"], path, records_path)
        except LogError as error:
            await _refuse(exchange, error)
        except ClientGoneError:
            pass
        except Exception as error:  # noqa: BLE001 - no input may be answered with a bare 500
            await _refuse(exchange, unexpected(error, uuid.uuid4().hex))

    def express(self, request: WholeRequest) -> bool:
        """Take a request that needs no task: of one record, with nothing unusual about it.

        False leaves it, and what is wrong with it, to `__call__`; nothing was done then.
        """
        scope = request.scope
        if scope["method"] != "POST":
            return False
        records_path = parse_records_path(scope["path"])
        if records_path is None:
            return False
        try:
            return self._records.post_whole(request, *records_path)
        except Exception:  # noqa: BLE001 - it comes again where it can be answered
            return False

    async def _serve(
        self, exchange: Exchange, method: str, path: str, records_path: RecordsPath | None
    ) -> None:
        if records_path is None:
            if method != "POST":
                raise _not_allowed(method, path, "POST")
            if path == "/v1/fetch":
                await self._fetch.post(exchange)
            elif path == "/v1/produce":
                await self._produce.post(exchange)
            else:
                await self._controller.post(exchange)
            return
        if method == "GET" and records_path.partition is not None:
            await self._records.get(exchange, records_path.topic, records_path.partition)
        elif method == "POST":
            await self._records.post(exchange, *records_path)
        else:
            allowed = "POST" if records_path.partition is None else "GET, POST"
            raise _not_allowed(method, path, allowed)


@lru_cache(_CACHED_PATHS)
def parse_records_path(path: str) -> RecordsPath | None:
    """The topic and partition of `/v1/topics/T[/partitions/P]/records`; None for other paths."""
    match path.split("/"):
        case ["", "v1", "topics", topic, "records"] if topic:
            return RecordsPath(topic, None)
        case ["", "v1", "topics", topic, "partitions", number, "records"] if topic:
            if number.isascii() and number.isdigit() and len(number) <= _MAX_PARTITION_DIGITS:
                return RecordsPath(topic, int(number))
    return None


async def _refuse(exchange: Exchange, error: LogError) -> None:
    if exchange.started:
        # Too late to say why: the connection ends before the announced length is reached.
        _log.warning("An answer was cut off: %s", error.detail)
        raise error
    await exchange.refuse(problem_response(error), close=isinstance(error, RequestTooLargeError))


def _not_allowed(method: str, path: str, allowed: str) -> MethodNotAllowedError:
    return MethodNotAllowedError(f"{path} does not take {method}, but {allowed}", allow=allowed)
