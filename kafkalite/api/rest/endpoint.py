"""Consumers over plain HTTP: any broker takes any request, and has the right one serve it.

An instance is served by the broker that coordinates its group. A request that came to another one
is sent on to it, one hop, and tried again where that broker is gone and doing so does no harm: then
the next one serves the instance, from the committed offsets on.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from kafkalite.api.data_plane.exchange import ClientGoneError, Exchange, Receive, Scope, Send
from kafkalite.api.errors import unexpected
from kafkalite.api.http.cross_site import check_not_cross_site
from kafkalite.api.http.origins import NO_SITES, Cors
from kafkalite.api.rest.base_uri import BASE_HEADER, group_url
from kafkalite.api.rest.errors import (
    NOT_FOUND,
    RestAnswer,
    RestError,
    check_method,
    refusal,
    switched_off,
)
from kafkalite.api.rest.media import check_accepts_json, check_body_type
from kafkalite.api.rest.operations import MAX_TIMEOUT_MS, ConsumerOperations, ConsumerRequest
from kafkalite.api.rest.paths import CREATE, INSTANCE, OPERATIONS, parse_consumers_path
from kafkalite.api.rest.replying import send_answer
from kafkalite.broker.consumers.messenger import Messenger
from kafkalite.broker.forwarding import FORWARDED_HEADER
from kafkalite.broker.groups.routing import GroupRouting
from kafkalite.model.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    LogError,
    NetworkError,
    NotCoordinatorError,
    RequestTooLargeError,
)

_TIMEOUT_MS: Final = 15_000
"""How long another broker may take for anything but records."""
_FAILOVER_S: Final = 10.0
"""How long a request waits for another broker to take its group over."""
_PAUSE_S: Final = 0.1
_MAX_BODY_BYTES: Final = 16 << 20
_SENT_ON: Final = (b"accept", b"content-type", b"x-request-id")
_KEPT: Final = ("retry-after", "allow")
_WHAT_READING_DOES: Final = "takes records for a group"
_FORWARDED: Final = FORWARDED_HEADER.encode("ascii")
_MESSENGER_HEADER: Final = "kafkalite-messenger"
"""Says which broker sends a request on."""
_AGAIN_HEADER: Final = "kafkalite-again"
"""Marks a request that is sent on again, because the answer was lost."""
_NOT_REPEATABLE: Final = frozenset({("POST", CREATE), ("DELETE", INSTANCE)})
"""What would be answered otherwise for having been done once already."""
_AGAIN: Final = (NotCoordinatorError, CoordinatorNotAvailableError, CoordinatorLoadInProgressError)

_log = logging.getLogger(__name__)


class ConsumersEndpoint:
    """The ASGI application below `/consumers`. Lives on the loop; holds nothing of a request."""

    def __init__(
        self,
        operations: ConsumerOperations,
        routing: GroupRouting,
        *,
        is_running: Callable[[], bool],
        is_enabled: Callable[[], bool],
        own_messenger: Callable[[], Messenger],
        advertised_url: Callable[[], str | None],
        max_body_bytes: int,
        cors: Cors = NO_SITES,
    ) -> None:
        """Assign only.

        Args:
            operations: serves what is ours.
            routing: knows whose a group is.
            is_running: whether this broker may serve anybody yet, or still.
            is_enabled: whether the operator wants anybody to be served.
            own_messenger: this broker, as others know it.
            advertised_url: where clients reach the cluster, if that was configured.
            max_body_bytes: of a request.
            cors: whose pages may have a browser take records.
        """
        self._operations = operations
        self._routing = routing
        self._is_running = is_running
        self._is_enabled = is_enabled
        self._own_messenger = own_messenger
        self._advertised_url = advertised_url
        self._cors = cors
        self._max_body_bytes = min(max_body_bytes, _MAX_BODY_BYTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; whatever happens, it is answered."""
        exchange = Exchange(scope, receive, send)
        close = False
        try:
            answer = await self._answer(exchange, scope)
        except ClientGoneError:
            return
        except RequestTooLargeError:
            answer = refusal(RestError(413, "HTTP Request Entity Too Large"))
            close = True
        except NotCoordinatorError as error:
            answer = refusal(error)
            if exchange.header(_FORWARDED):
                answer = answer._replace(status=NotCoordinatorError.status)
        except (RestError, LogError) as error:
            answer = refusal(error)
        except Exception as error:  # noqa: BLE001 - no input may be answered with a bare 500
            answer = refusal(unexpected(error, exchange.request_id))
        await send_answer(exchange, answer, close=close)

    async def _answer(self, exchange: Exchange, scope: Scope) -> RestAnswer:
        method: str = scope["method"]
        raw_path: bytes = scope["raw_path"]
        path = parse_consumers_path(raw_path.partition(b"?")[0].decode("latin-1"))
        if path is None:
            raise RestError(NOT_FOUND, "HTTP 404 Not Found")
        options = check_method(method, OPERATIONS[path.operation])
        if options is not None:
            return options
        if path.operation == "records":
            check_not_cross_site(exchange.headers, self._cors, _WHAT_READING_DOES)
        if not self._is_enabled():
            raise switched_off("Consumer")
        accept = exchange.header(b"accept")
        if path.operation != "records":
            check_accepts_json(accept)
        if method == "POST":
            check_body_type(exchange.header(b"content-type"))
        if not self._is_running():
            raise NotCoordinatorError("The broker is starting or stopping")
        body = await exchange.read_body(self._max_body_bytes)
        request = ConsumerRequest(
            method,
            path,
            exchange.raw_query,
            accept,
            body,
            group_url(path, exchange.header, self._advertised_url()),
        )
        if exchange.header(_FORWARDED):
            request = _as_sent_on(request, exchange)
            return await exchange.while_connected(self._operations.serve(request))
        return await exchange.while_connected(self._serve_anywhere(exchange, request))

    async def _serve_anywhere(self, exchange: Exchange, request: ConsumerRequest) -> RestAnswer:
        loop = asyncio.get_running_loop()
        due = loop.time() + _FAILOVER_S
        is_repeatable = (request.method, request.path.operation) not in _NOT_REPEATABLE
        while True:
            try:
                return await self._send_on(exchange, request) or await self._operations.serve(
                    request
                )
            except LogError as error:
                again = isinstance(error, _AGAIN) or (
                    is_repeatable and isinstance(error, NetworkError)
                )
                if not again or loop.time() >= due:
                    raise
                request = request._replace(is_again=True)
            await asyncio.sleep(_PAUSE_S)

    async def _send_on(self, exchange: Exchange, request: ConsumerRequest) -> RestAnswer | None:
        """The coordinator's answer; None where this broker is it."""
        path = request.path
        if self._routing.is_here(path.group):
            return None
        headers = {
            name.decode("ascii"): text for name in _SENT_ON if (text := exchange.header(name))
        }
        headers[BASE_HEADER] = request.group_url
        headers[_MESSENGER_HEADER] = str(self._own_messenger())
        if request.is_again:
            headers[_AGAIN_HEADER] = "1"
        query = request.query.decode("latin-1")
        timeout_ms = _TIMEOUT_MS + (MAX_TIMEOUT_MS if path.operation == "records" else 0)
        sent = await self._routing.forward(
            path.group,
            request.method,
            f"{path.target}?{query}" if query else path.target,
            headers,
            request.body,
            timeout_ms,
        )
        if sent is None:
            return None
        _, reply = sent
        if reply.status == NotCoordinatorError.status:
            raise NotCoordinatorError("No broker coordinates the group at the moment")
        kept = [
            (name.encode("ascii"), reply.headers[name].encode("latin-1"))
            for name in _KEPT
            if name in reply.headers
        ]
        media = reply.headers.get("content-type", "").encode("latin-1")
        return RestAnswer(reply.status, reply.body, media, kept)


def _as_sent_on(request: ConsumerRequest, exchange: Exchange) -> ConsumerRequest:
    """The request with what the broker says of it that sent it on."""
    base = exchange.header(BASE_HEADER.encode("ascii"))
    return request._replace(
        group_url=base or request.group_url,
        messenger=Messenger.parse(exchange.header(_MESSENGER_HEADER.encode("ascii"))),
        is_again=bool(exchange.header(_AGAIN_HEADER.encode("ascii"))),
    )
