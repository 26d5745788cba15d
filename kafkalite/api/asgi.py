"""Dispatch by path: the data plane as raw ASGI, everything else to the control plane."""

import logging
from typing import Final, NamedTuple

from kafkalite.api.data_plane.controller import ControllerEndpoint
from kafkalite.api.data_plane.exchange import (
    AsgiApp,
    ClientGoneError,
    Exchange,
    Receive,
    Scope,
    Send,
)
from kafkalite.api.data_plane.fetch import FetchEndpoint
from kafkalite.api.data_plane.produce import ProduceEndpoint
from kafkalite.api.data_plane.records import RecordsEndpoint
from kafkalite.api.errors import problem_response, unexpected
from kafkalite.api.groups.endpoint import GroupsEndpoint
from kafkalite.api.http.allowed_methods import method_not_allowed
from kafkalite.api.http.whole_request import WholeRequest
from kafkalite.api.remembered import remembered
from kafkalite.api.rest.proxy import RestProxy
from kafkalite.api.streams.endpoint import StreamsEndpoint
from kafkalite.api.streams.paths import StreamPath, parse_stream_path
from kafkalite.model.errors import LogError, RequestTooLargeError

_NATIVE_PATHS: Final = frozenset({"/v1/produce", "/v1/fetch", "/v1/controller"})
_CACHED_PATHS: Final = 4096
_MAX_PARTITION_DIGITS: Final = 10

_log = logging.getLogger(__name__)


class RecordsPath(NamedTuple):
    """A path of the records endpoint; `partition` is None where it names only the topic."""

    topic: str
    partition: int | None


class GroupPath(NamedTuple):
    """A path of a group that the data plane takes."""

    group: str
    end: str
    """`heartbeat`, `offsets`, `stream` or `stream/ack`."""


class Dispatcher:
    """The ASGI application of a broker. Lives on the loop; holds nothing of a request."""

    def __init__(
        self,
        produce: ProduceEndpoint,
        fetch: FetchEndpoint,
        records: RecordsEndpoint,
        controller: ControllerEndpoint,
        groups: GroupsEndpoint,
        streams: StreamsEndpoint,
        rest: RestProxy,
        control: AsgiApp,
    ) -> None:
        self._produce = produce
        self._fetch = fetch
        self._records = records
        self._controller = controller
        self._groups = groups
        self._streams = streams
        self._rest = rest
        self._control = control

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._control(scope, receive, send)
            return
        path: str = scope["path"]
        parsed: RecordsPath | GroupPath | StreamPath | None = None
        if path not in _NATIVE_PATHS:
            parsed = parse_records_path(path) or parse_group_path(path) or parse_stream_path(path)
            if parsed is None:
                app = self._rest.app_for(path) or self._control
                await app(scope, receive, send)
                return
        exchange = Exchange(scope, receive, send)
        try:
            await self._serve(exchange, scope["method"], path, parsed)
        except LogError as error:
            await _refuse(exchange, error)
        except ClientGoneError:
            pass
        except Exception as error:  # noqa: BLE001 - no input may be answered with a bare 500
            await _refuse(exchange, unexpected(error, exchange.request_id))

    def express(self, request: WholeRequest) -> bool:
        """Take a request that needs no task: small, with nothing unusual about it.

        False leaves it, and what is wrong with it, to `__call__`; nothing was done then.
        """
        scope = request.scope
        if scope["method"] != "POST":
            return False
        path = scope["path"]
        try:
            if path == "/v1/produce":
                return self._produce.post_whole(request)
            if path == "/v1/fetch":
                return self._fetch.post_whole(request)
            records_path = parse_records_path(path)
            if records_path is None:
                return self._rest.post_whole(request)
            return self._records.post_whole(request, *records_path)
        except Exception:  # noqa: BLE001 - it comes again where it can be answered
            return False

    async def _serve(
        self,
        exchange: Exchange,
        method: str,
        path: str,
        parsed: RecordsPath | GroupPath | StreamPath | None,
    ) -> None:
        match parsed:
            case GroupPath(group, "heartbeat"):
                await self._groups.heartbeat(exchange, method, group)
            case GroupPath(group, "stream"):
                await self._streams.groups.listen(exchange, method, group)
            case GroupPath(group, "stream/ack"):
                await self._streams.groups.acknowledge(exchange, method, group)
            case GroupPath(group):
                await self._groups.offsets(exchange, method, group)
            case StreamPath():
                await self._streams.serve(exchange, method, parsed)
            case RecordsPath():
                await self._serve_records(exchange, method, path, parsed)
            case _ if method != "POST":
                raise method_not_allowed(path, method, ("POST",))
            case _ if path == "/v1/fetch":
                await self._fetch.post(exchange)
            case _ if path == "/v1/produce":
                await self._produce.post(exchange)
            case _:
                await self._controller.post(exchange)

    async def _serve_records(
        self, exchange: Exchange, method: str, path: str, records_path: RecordsPath
    ) -> None:
        if method == "GET" and records_path.partition is not None:
            await self._records.get(exchange, records_path.topic, records_path.partition)
        elif method == "POST":
            await self._records.post(exchange, *records_path)
        else:
            methods = ("POST",) if records_path.partition is None else ("GET", "POST")
            raise method_not_allowed(path, method, methods)


@remembered(_CACHED_PATHS)
def parse_records_path(path: str) -> RecordsPath | None:
    """The topic and partition of `/v1/topics/T[/partitions/P]/records`; None for other paths."""
    match path.split("/"):
        case ["", "v1", "topics", topic, "records"] if topic:
            return RecordsPath(topic, None)
        case ["", "v1", "topics", topic, "partitions", number, "records"] if topic:
            if number.isascii() and number.isdigit() and len(number) <= _MAX_PARTITION_DIGITS:
                return RecordsPath(topic, int(number))
    return None


def parse_group_path(path: str) -> GroupPath | None:
    """The group and what is asked of it, of `/v1/groups/G/...`; None for other paths."""
    match path.split("/"):
        case ["", "v1", "groups", group, ("heartbeat" | "offsets" | "stream") as end]:
            return GroupPath(group, end)
        case ["", "v1", "groups", group, "stream", "ack"]:
            return GroupPath(group, "stream/ack")
    return None


async def _refuse(exchange: Exchange, error: LogError) -> None:
    if exchange.started:
        # Too late to say why: the connection ends before the announced length is reached.
        _log.warning("An answer was cut off: %s", error.detail)
        raise error
    await exchange.refuse(problem_response(error), close=isinstance(error, RequestTooLargeError))
