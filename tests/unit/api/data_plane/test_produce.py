"""Small produce requests are answered without a task, and left alone where anything is unusual."""

from typing import cast

import msgspec
import pytest

from kafkalite.api.data_plane.produce import ProduceEndpoint
from kafkalite.api.data_plane.produce_slots import ProduceSlots
from kafkalite.broker.append import AppendPath, Then
from kafkalite.wire.messages import (
    ACKS_LEADER,
    PartitionBatches,
    ProduceRequest,
    ProduceResponse,
    ProduceResult,
)
from tests.support.whole_requests import Received

_MSGPACK = b"application/msgpack"
_REQUEST = ProduceRequest([PartitionBatches("t", 0, memoryview(b"abc"))], ACKS_LEADER, 7)
_BODY = msgspec.msgpack.encode(_REQUEST)


class _AppendPath:
    """Keeps what it is asked to append until the test says what became of it."""

    def __init__(self) -> None:
        self.begun: list[ProduceRequest] = []
        self.thens: list[Then] = []
        self.may_begin = True

    def begin(self, request: ProduceRequest, then: Then) -> bool:
        if self.may_begin:
            self.begun.append(request)
            self.thens.append(then)
        return self.may_begin


class _Endpoint:
    def __init__(self, *, slots: int = 1, max_body_bytes: int = 1 << 20) -> None:
        self.path = _AppendPath()
        self.slots = ProduceSlots(slots)
        path = cast("AppendPath", self.path)
        self._endpoint = ProduceEndpoint(path, max_body_bytes, self.slots)

    def take(self, received: Received) -> bool:
        return self._endpoint.post_whole(received.request)

    def has_free_slot(self) -> bool:
        if not self.slots.try_take():
            return False
        self.slots.give_back()
        return True


def _received(body: bytes = _BODY, media: bytes = _MSGPACK) -> Received:
    return Received(body, path="/v1/produce", media=media)


def test_request_is_answered_once_its_results_are_known() -> None:
    endpoint, received = _Endpoint(), _received()
    assert endpoint.take(received)
    assert endpoint.path.begun == [_REQUEST]
    assert received.answer == (0, b"")
    assert not endpoint.has_free_slot()
    results = [ProduceResult("t", 0, base_offset=42)]
    endpoint.path.thens[0](results)
    status, body = received.answer
    assert status == 200
    assert msgspec.msgpack.decode(body, type=ProduceResponse) == ProduceResponse(results)
    assert b"content-type: application/msgpack\r\n" in received.transport.sent
    assert endpoint.has_free_slot()


def test_answer_for_a_client_that_has_gone_frees_its_slot() -> None:
    endpoint, received = _Endpoint(), _received()
    assert endpoint.take(received)
    received.cycle.disconnected = True
    endpoint.path.thens[0]([ProduceResult("t", 0)])
    assert received.answer == (0, b"")
    assert endpoint.has_free_slot()


def test_what_nobody_foresaw_is_answered_as_such() -> None:
    endpoint, received = _Endpoint(), _received()
    assert endpoint.take(received)
    endpoint.path.thens[0](RuntimeError("a bug"))
    assert received.answer[0] == 500
    assert endpoint.has_free_slot()


@pytest.mark.parametrize(
    "received",
    [
        pytest.param(_received(media=b"application/json"), id="media type"),
        pytest.param(_received(b"\x81"), id="no request"),
        pytest.param(
            _received(
                msgspec.msgpack.encode(
                    ProduceRequest([PartitionBatches("t", 0, memoryview(bytes(17 << 10)))])
                )
            ),
            id="large",
        ),
    ],
)
def test_unusual_request_is_left_alone(received: Received) -> None:
    endpoint = _Endpoint()
    assert not endpoint.take(received)
    assert (endpoint.path.begun, received.answer) == ([], (0, b""))
    assert endpoint.has_free_slot()


def test_body_that_is_larger_than_the_broker_takes_is_left_to_be_refused() -> None:
    endpoint = _Endpoint(max_body_bytes=len(_BODY) - 1)
    assert not endpoint.take(_received())
    assert endpoint.path.begun == []
    assert _Endpoint(max_body_bytes=len(_BODY)).take(_received())


def test_what_cannot_begin_is_left_alone_and_holds_no_slot() -> None:
    endpoint, received = _Endpoint(), _received()
    endpoint.path.may_begin = False
    assert not endpoint.take(received)
    assert received.answer == (0, b"")
    assert endpoint.has_free_slot()


def test_request_is_left_alone_when_no_slot_is_free() -> None:
    endpoint = _Endpoint(slots=0)
    assert not endpoint.take(_received())
    assert endpoint.path.begun == []
