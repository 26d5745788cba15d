"""Operations that only a partition's leader can do, asked of any broker."""

from collections.abc import Callable, Coroutine
from typing import Any, Final
from urllib.parse import quote

import msgspec
from fastapi import Request, Response
from fastapi.routing import APIRoute

from kafkalite.broker.forwarding import FORWARDED_HEADER, Forwarding
from kafkalite.model.errors import (
    LeaderNotAvailableError,
    LogError,
    NetworkError,
    NotLeaderOrFollowerError,
    RequestTimedOutError,
    ThrottlingQuotaExceededError,
    error_by_name,
)
from kafkalite.model.ids import TopicPartition
from kafkalite.transport.peer_reply import PeerReply

LEADER_HEADER: Final = "kafkalite-leader"
"""Names, in an answer that another broker gave, where to ask directly."""

NO_LEADER_ANSWERS: Final = (
    NotLeaderOrFollowerError,
    LeaderNotAvailableError,
    NetworkError,
    RequestTimedOutError,
    ThrottlingQuotaExceededError,
)
"""What an operation of this kind may be answered with, beside what is its own."""

_TIMEOUT_MS: Final = 10_000
_MAX_DIGITS: Final = 10
_PASSED_ON: Final = ("accept", "content-type", "x-request-id")
_KEPT: Final = ("content-type", "retry-after", "allow")

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class _Problem(msgspec.Struct):
    error: str = ""


_problem: Final = msgspec.json.Decoder(_Problem)


class LeaderRoute(APIRoute):
    """Sends a request on to the broker that leads `{topic}` `{partition}`, where it is another.

    It must be one that may be carried out twice: a lost answer is asked for again. One hop: what
    another broker sent on is answered here or refused.
    """

    def get_route_handler(self) -> Handler:
        """The handler of FastAPI, with this around it."""
        here = super().get_route_handler()

        async def handle(request: Request) -> Response:
            partition = _partition_of(request)
            if partition is None:
                return await here(request)
            forwarding: Forwarding = request.app.state.broker.forwarding
            patience = forwarding.patience()
            while True:
                seen = patience.states_of([partition])
                try:
                    return await here(request)
                except LogError as error:
                    refusal = forwarding.named(error)
                    is_final = FORWARDED_HEADER in request.headers
                    if is_final or not forwarding.may_help(*partition, error):
                        raise refusal from error
                outcome = await _ask_leader(forwarding, partition, request)
                if isinstance(outcome, Response):
                    return outcome
                refusal = outcome or refusal
                if not forwarding.may_try_again(
                    *partition, refusal.code, is_repeatable=True
                ) or not await patience.wait(seen):
                    raise refusal

        return handle


def _partition_of(request: Request) -> TopicPartition | None:
    """What the path names; None where it names nothing that could exist."""
    number = request.path_params.get("partition", "")
    if not (number.isascii() and number.isdigit() and len(number) <= _MAX_DIGITS):
        return None
    return TopicPartition(request.path_params["topic"], int(number))


async def _ask_leader(
    forwarding: Forwarding, partition: TopicPartition, request: Request
) -> Response | LogError | None:
    """The leader's answer, why there is none, or None where there is nobody to ask."""
    leader = forwarding.leader_of(*partition)
    if leader is None:
        return None
    target = quote(request.scope["path"])
    query = request.scope["query_string"].decode("latin-1")
    try:
        reply = await forwarding.request(
            leader,
            request.method,
            f"{target}?{query}" if query else target,
            {name: request.headers[name] for name in _PASSED_ON if name in request.headers},
            await request.body(),
            _TIMEOUT_MS,
        )
    except LogError as error:
        return error
    if _may_try_again(forwarding, partition, reply):
        return None
    headers = {name: reply.headers[name] for name in _KEPT if name in reply.headers}
    return Response(reply.body, reply.status, {**headers, LEADER_HEADER: leader.url})


def _may_try_again(forwarding: Forwarding, partition: TopicPartition, reply: PeerReply) -> bool:
    """Whether the broker that was asked does not lead, or not yet."""
    if reply.status < 400:
        return False
    try:
        problem = _problem.decode(reply.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return forwarding.may_try_again(*partition, error_by_name(problem.error).code)
