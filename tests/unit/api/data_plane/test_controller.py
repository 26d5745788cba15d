"""Requests to the controller are decoded, done and answered; what is malformed is refused."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import msgspec
import pytest

from kafkalite.api.data_plane.controller import ControllerEndpoint
from kafkalite.api.data_plane.exchange import Exchange
from kafkalite.model.errors import InvalidRequestError, LogError, UnsupportedMediaTypeError
from kafkalite.wire.controller_messages import (
    BrokerUnreachable,
    ControllerReply,
    ControllerRequest,
    ElectLeaders,
    LeaveRequest,
    ReplicaDamaged,
)


class _Controller:
    def __init__(self) -> None:
        self.asked: list[ControllerRequest] = []

    async def ask(self, request: ControllerRequest) -> ControllerReply:
        self.asked.append(request)
        return ControllerReply(41, "NOT_CONTROLLER", controller_id=3)


def _post(
    controller: _Controller, body: bytes, media: bytes = b"application/msgpack"
) -> ControllerReply:
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {"headers": [(b"content-type", media)], "query_string": b""}
    asyncio.run(ControllerEndpoint(controller).post(Exchange(scope, receive, send)))
    assert sent[0]["status"] == 200
    return msgspec.msgpack.decode(sent[1]["body"], type=ControllerReply)


@pytest.mark.parametrize(
    "request_",
    [
        BrokerUnreachable(1, 2),
        LeaveRequest(1, 2),
        ReplicaDamaged("t", 0, 1, 2),
        ElectLeaders("preferred", [("t", 0)]),
    ],
)
def test_each_request_is_passed_on_and_its_reply_sent(request_: ControllerRequest) -> None:
    controller = _Controller()
    reply = _post(controller, msgspec.msgpack.encode(request_))
    assert controller.asked == [request_]
    assert (reply.error, reply.controller_id) == ("NOT_CONTROLLER", 3)


@pytest.mark.parametrize(
    ("body", "media", "error"),
    [
        (b"", b"application/msgpack", InvalidRequestError),
        (b"\xc1", b"application/msgpack", InvalidRequestError),
        (msgspec.msgpack.encode({"type": "other"}), b"", InvalidRequestError),
        (msgspec.msgpack.encode({"type": "leave"}), b"", InvalidRequestError),
        (b"{}", b"application/json", UnsupportedMediaTypeError),
    ],
)
def test_what_is_no_request_is_refused(body: bytes, media: bytes, error: type[LogError]) -> None:
    controller = _Controller()
    with pytest.raises(error):
        _post(controller, body, media)
    assert controller.asked == []
