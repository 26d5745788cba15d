"""Requests of the control plane about one group: its coordinator answers, whoever is asked."""

from collections.abc import Callable, Coroutine
from typing import Any, Final
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.routing import APIRoute

from kafkalite.api.groups.endpoint import COORDINATOR_HEADER
from kafkalite.api.serving import running_broker
from kafkalite.broker.forwarding import FORWARDED_HEADER
from kafkalite.model.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    NetworkError,
    NotCoordinatorError,
    RequestTimedOutError,
)
from kafkalite.model.group_name import check_group_id

NO_COORDINATOR_ANSWERS: Final = (
    CoordinatorNotAvailableError,
    CoordinatorLoadInProgressError,
    NotCoordinatorError,
    NetworkError,
    RequestTimedOutError,
)
"""What an operation of this kind may be answered with, beside what is its own."""

_TIMEOUT_MS: Final = 30_000
_PASSED_ON: Final = ("accept", "content-type", "x-request-id")
_KEPT: Final = ("content-type", "retry-after", "allow")

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class GroupRoute(APIRoute):
    """Sends a request on to the broker that coordinates `{group}`, where it is another. One hop."""

    def get_route_handler(self) -> Handler:
        """The handler of FastAPI, with this around it."""
        here = super().get_route_handler()

        async def handle(request: Request) -> Response:
            group = request.path_params.get("group")
            if group is None or FORWARDED_HEADER in request.headers:
                return await here(request)
            check_group_id(group)
            broker = await running_broker(request)
            target = quote(request.scope["path"])
            query = request.scope["query_string"].decode("latin-1")
            answer = await broker.group_routing.forward(
                group,
                request.method,
                f"{target}?{query}" if query else target,
                {name: request.headers[name] for name in _PASSED_ON if name in request.headers},
                await request.body(),
                _TIMEOUT_MS,
            )
            if answer is None:
                return await here(request)
            coordinator, reply = answer
            kept = {name: reply.headers[name] for name in _KEPT if name in reply.headers}
            return Response(reply.body, reply.status, {**kept, COORDINATOR_HEADER: coordinator.url})

        return handle
