"""Single records are taken without a task where nothing about them is unusual, only there."""

import json
from typing import cast

import pytest

from kafkalite.api.data_plane.produce_slots import ProduceSlots
from kafkalite.api.data_plane.records import RecordsEndpoint
from kafkalite.broker.fetch import FetchPath
from kafkalite.broker.gathering import Then
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.broker.record_append import RecordAppendPath
from kafkalite.broker.record_place import RecordPlace
from kafkalite.model.errors import InvalidRequestError, NotEnoughReplicasError
from kafkalite.model.record import Record
from kafkalite.wire.messages import ACKS_ALL, ACKS_LEADER
from kafkalite.wire.record_bodies import IncomingRecord
from tests.support.whole_requests import Received

_ONE = b'{"records":[{"key":"k","value":{"a":1}}]}'


class _AppendPath:
    """Keeps what it is asked to append until the test says what became of it."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, IncomingRecord, int, int]] = []
        self.thens: list[Then] = []
        self.may_begin = True

    def begin(
        self, topic: str, incoming: IncomingRecord, *, acks: int, timeout_ms: int, then: Then
    ) -> bool:
        if self.may_begin:
            self.begun.append((topic, incoming, acks, timeout_ms))
            self.thens.append(then)
        return self.may_begin


class _Endpoint:
    def __init__(self, *, slots: int = 1, max_body_bytes: int = 1 << 20) -> None:
        self.path = _AppendPath()
        self.slots = ProduceSlots(slots)
        self._endpoint = RecordsEndpoint(
            cast("PartitionTable", None),
            cast("RecordAppendPath", self.path),
            cast("FetchPath", None),
            max_body_bytes,
            self.slots,
        )

    def take(self, received: Received, partition: int | None = None) -> bool:
        return self._endpoint.post_whole(received.request, "t", partition)

    def has_free_slot(self) -> bool:
        if not self.slots.try_take():
            return False
        self.slots.give_back()
        return True


def test_record_is_appended_and_answered_once_its_place_is_known() -> None:
    endpoint, received = _Endpoint(), Received(_ONE, query=b"acks=1&timeout_ms=7")
    assert endpoint.take(received)
    record = Record(b'{"a":1}', b'"k"')
    assert endpoint.path.begun == [("t", IncomingRecord(record), ACKS_LEADER, 7)]
    assert received.answer == (0, b"")
    assert not endpoint.has_free_slot()
    endpoint.path.thens[0](RecordPlace(3, 42))
    status, body = received.answer
    assert (status, json.loads(body)) == (200, {"offsets": [{"partition": 3, "offset": 42}]})
    assert endpoint.has_free_slot()


def test_path_names_the_partition_and_other_bodies_are_a_record_too() -> None:
    endpoint = _Endpoint()
    received = Received(b"\x00", media=b"application/octet-stream", query=b"key=a")
    assert endpoint.take(received, 5)
    expected = IncomingRecord(Record(b"\x00", b"a"), 5)
    assert [(one[1], one[2]) for one in endpoint.path.begun] == [(expected, ACKS_ALL)]


def test_record_that_was_refused_is_answered_with_its_error() -> None:
    endpoint, received = _Endpoint(), Received(_ONE)
    assert endpoint.take(received)
    endpoint.path.thens[0](RecordPlace(0, -1, NotEnoughReplicasError("too few")))
    status, body = received.answer
    problem = json.loads(body)
    assert (status, problem["error"]) == (503, "NOT_ENOUGH_REPLICAS")
    assert problem["offsets"][0]["message"] == "too few"
    assert endpoint.has_free_slot()


def test_error_that_nobody_foresaw_is_a_problem_document_and_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    endpoint, received = _Endpoint(), Received(_ONE)
    assert endpoint.take(received)
    endpoint.path.thens[0](RuntimeError("a bug"))
    status, body = received.answer
    assert (status, json.loads(body)["error"]) == (500, "UNKNOWN_SERVER_ERROR")
    assert b"a bug" not in body
    assert "a bug" in caplog.text
    assert endpoint.has_free_slot()


@pytest.mark.parametrize(
    "received",
    [
        Received(b'{"records":[{"value":1},{"value":2}]}'),
        Received(b'{"records":[{"value":1}'),
        Received(b'{"records":[{"value":"%b"}]}' % (b"x" * 10_000)),
        Received(_ONE, query=b"acks=0"),
        Received(_ONE, query=b"partition=1"),
        Received(b"line", media=b"text/plain"),
    ],
)
def test_what_needs_more_than_a_batch_is_left_to_a_task(received: Received) -> None:
    endpoint = _Endpoint()
    assert not endpoint.take(received)
    assert endpoint.path.begun == []
    assert endpoint.has_free_slot()
    assert received.answer == (0, b"")


def test_body_that_is_larger_than_the_broker_takes_is_left_to_be_refused() -> None:
    endpoint = _Endpoint(max_body_bytes=len(_ONE) - 1)
    assert not endpoint.take(Received(_ONE))
    assert endpoint.path.begun == []
    assert _Endpoint(max_body_bytes=len(_ONE)).take(Received(_ONE))


def test_nothing_is_done_when_parameters_are_wrong() -> None:
    endpoint = _Endpoint()
    with pytest.raises(InvalidRequestError):
        endpoint.take(Received(_ONE, query=b"what=1"))
    with pytest.raises(InvalidRequestError):
        endpoint.take(Received(b'{"records":[{"value":1,"partition":2}]}'), 1)
    assert endpoint.path.begun == []
    assert endpoint.has_free_slot()


def test_slot_is_not_kept_when_the_record_cannot_be_appended_at_once() -> None:
    endpoint = _Endpoint()
    endpoint.path.may_begin = False
    assert not endpoint.take(Received(_ONE))
    assert endpoint.has_free_slot()


def test_record_is_left_to_a_task_when_no_slot_is_free() -> None:
    endpoint = _Endpoint()
    with endpoint.slots:
        assert not endpoint.take(Received(_ONE))
    assert endpoint.path.begun == []
