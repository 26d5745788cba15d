"""Produce as REST Proxy has it: what goes without a task, and what is answered."""

import json
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from kafkalite.api.data_plane.produce_slots import ProduceSlots
from kafkalite.api.rest.errors import RestError
from kafkalite.api.rest.topics_produce import (
    ProduceOptions,
    RestProduce,
    answer_of,
    answer_of_values,
)
from kafkalite.broker.gathering import Then
from kafkalite.broker.metadata_view import MetadataView
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.broker.record_append import RecordAppendPath
from kafkalite.broker.record_place import RecordPlace, ValuesPlace
from kafkalite.model.errors import MessageTooLargeError, NotEnoughReplicasError
from kafkalite.model.record import Record
from kafkalite.wire.messages import ACKS_ALL
from kafkalite.wire.record_bodies import IncomingRecord
from kafkalite.wire.rest_records import EmbeddedFormat
from tests.support.whole_requests import Received

_JSON = b"application/vnd.kafka.json.v2+json"
_ONE = b'{"records":[{"key":"k","value":{"a":1}}]}'
_TWO = b'{"records":[{"value":1},{"value":null}]}'


class _AppendPath:
    """Keeps what it is asked to append until the test says what became of it."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, IncomingRecord, int]] = []
        self.thens: list[Then] = []
        self.values: list[tuple[str, Sequence[bytes | None], int | None]] = []
        self.values_thens: list[Callable[[ValuesPlace], None]] = []
        self.may_begin = True

    def begin(
        self, topic: str, incoming: IncomingRecord, *, acks: int, timeout_ms: int, then: Then
    ) -> bool:
        if self.may_begin:
            assert timeout_ms > 0
            self.begun.append((topic, incoming, acks))
            self.thens.append(then)
        return self.may_begin

    def begin_values(
        self,
        topic: str,
        values: Sequence[bytes | None],
        *,
        named: int | None,
        timeout_ms: int,
        then: Callable[[ValuesPlace], None],
    ) -> bool:
        if self.may_begin:
            assert timeout_ms > 0
            self.values.append((topic, values, named))
            self.values_thens.append(then)
        return self.may_begin


class _Produce:
    def __init__(self, max_body_bytes: int = 1 << 20) -> None:
        self.path = _AppendPath()
        self.slots = ProduceSlots(1)
        self._produce = RestProduce(
            cast("PartitionTable", None),
            MetadataView(),
            cast("RecordAppendPath", self.path),
            self.slots,
            lambda: ProduceOptions(EmbeddedFormat.BINARY, creates_topics=True),
            max_body_bytes,
        )

    def take(self, received: Received, partition: int | None = None) -> bool:
        return self._produce.post_whole(received.request, "t", partition)

    def has_free_slot(self) -> bool:
        if not self.slots.try_take():
            return False
        self.slots.give_back()
        return True


def _row(**fields: Any) -> dict[str, Any]:
    return {"partition": None, "offset": None, "error_code": None, "error": None, **fields}


def test_record_is_appended_and_answered_once_its_place_is_known() -> None:
    produce, received = _Produce(), Received(_ONE, media=_JSON)
    assert produce.take(received)
    record = Record(b'{"a":1}', b'"k"')
    assert produce.path.begun == [("t", IncomingRecord(record), ACKS_ALL)]
    assert received.answer == (0, b"")
    assert not produce.has_free_slot()
    produce.path.thens[0](RecordPlace(3, 42))
    status, body = received.answer
    assert status == 200
    assert json.loads(body) == {
        "offsets": [_row(partition=3, offset=42)],
        "key_schema_id": None,
        "value_schema_id": None,
    }
    assert produce.has_free_slot()


@pytest.mark.parametrize(("named", "expected"), [(b"", 5), (b',"partition":1', 1)])
def test_partition_of_the_path_holds_for_records_that_name_none(
    named: bytes, expected: int
) -> None:
    produce = _Produce()
    assert produce.take(Received(b'{"records":[{"value":1%b}]}' % named, media=_JSON), 5)
    assert produce.path.begun[0][1].partition == expected


def test_record_without_a_format_is_in_the_default_one() -> None:
    produce = _Produce()
    assert produce.take(Received(b'{"records":[{"value":"QQ=="}]}'))
    assert produce.path.begun[0][1].record.value == b"A"


@pytest.mark.parametrize("named", [None, 5])
def test_values_are_appended_together_and_answered_once_their_place_is_known(
    named: int | None,
) -> None:
    produce, received = _Produce(), Received(_TWO, media=_JSON)
    assert produce.take(received, named)
    assert produce.path.values == [("t", [b"1", None], named)]
    assert produce.path.begun == []
    assert received.answer == (0, b"")
    assert not produce.has_free_slot()
    produce.path.values_thens[0](ValuesPlace(3, 42))
    status, body = received.answer
    assert status == 200
    assert json.loads(body) == {
        "offsets": [_row(partition=3, offset=42), _row(partition=3, offset=43)],
        "key_schema_id": None,
        "value_schema_id": None,
    }
    assert produce.has_free_slot()


def test_record_that_was_refused_is_answered_with_its_error() -> None:
    produce, received = _Produce(), Received(_ONE, media=_JSON)
    assert produce.take(received)
    produce.path.thens[0](RecordPlace(0, -1, NotEnoughReplicasError("too few")))
    status, body = received.answer
    assert status == 422
    expected = _row(error_code=50003, error="too few", message="too few")
    assert json.loads(body)["offsets"] == [expected]
    assert produce.has_free_slot()


def test_error_that_nobody_foresaw_is_told_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    produce, received = _Produce(), Received(_ONE, media=_JSON)
    assert produce.take(received)
    produce.path.thens[0](RuntimeError("a bug"))
    status, body = received.answer
    assert (status, json.loads(body)["error_code"]) == (500, 50002)
    assert b"a bug" not in body
    assert "a bug" in caplog.text
    assert produce.has_free_slot()


@pytest.mark.parametrize(
    "received",
    [
        Received(b'{"records":[{"value":1},{"value":2,"key":3}]}', media=_JSON),
        Received(b'{"records":[{"value":1}', media=_JSON),
        Received(b"", media=_JSON),
        Received(b'{"records":[{"key":"%b"}]}' % (b"x" * 10_000), media=_JSON),
        Received(b'{"records":[{"value":"%b"},{}]}' % (b"x" * 70_000), media=_JSON),
        Received(_TWO, media=_JSON, query=b"async=true"),
        Received(_ONE, media=_JSON, query=b"async=true"),
        Received(_ONE, media=_JSON.replace(b"json.", b"avro.")),
    ],
)
def test_what_needs_more_than_a_batch_is_left_to_a_task(received: Received) -> None:
    produce = _Produce()
    assert not produce.take(received)
    assert produce.path.begun == []
    assert produce.path.values == []
    assert produce.has_free_slot()
    assert received.answer == (0, b"")


@pytest.mark.parametrize("body", [_ONE, _TWO])
def test_body_that_is_larger_than_the_broker_takes_is_left_to_be_refused(body: bytes) -> None:
    produce = _Produce(len(body) - 1)
    assert not produce.take(Received(body, media=_JSON))
    assert produce.path.begun == []
    assert produce.path.values == []
    assert _Produce(len(body)).take(Received(body, media=_JSON))


def test_nothing_is_done_when_the_type_is_not_one_of_ours() -> None:
    produce = _Produce()
    with pytest.raises(RestError):
        produce.take(Received(_ONE, media=b"text/plain"))
    assert produce.path.begun == []
    assert produce.has_free_slot()


@pytest.mark.parametrize("body", [_ONE, _TWO])
def test_slot_is_not_kept_when_what_came_cannot_be_appended_at_once(body: bytes) -> None:
    produce = _Produce()
    produce.path.may_begin = False
    assert not produce.take(Received(body, media=_JSON))
    assert produce.has_free_slot()


@pytest.mark.parametrize("body", [_ONE, _TWO])
def test_what_came_is_left_to_a_task_when_no_slot_is_free(body: bytes) -> None:
    produce = _Produce()
    with produce.slots:
        assert not produce.take(Received(body, media=_JSON))
    assert produce.path.begun == []
    assert produce.path.values == []


def test_answer_is_a_success_when_any_record_was_stored() -> None:
    failed = RecordPlace(1, -1, MessageTooLargeError("too large"))
    answer = answer_of([RecordPlace(0, 7), failed])
    assert answer.status == 200
    rows = json.loads(answer.body)["offsets"]
    told = _row(error_code=50002, error="too large", message="too large")
    assert rows == [_row(partition=0, offset=7), told]
    assert answer_of([failed]).status == 422


def test_values_that_share_a_batch_are_answered_one_by_one() -> None:
    rows = json.loads(answer_of_values(ValuesPlace(2, 7), 3).body)["offsets"]
    assert rows == [_row(partition=2, offset=offset) for offset in (7, 8, 9)]
    failed = answer_of_values(ValuesPlace(2, 7, NotEnoughReplicasError("too late")), 2)
    assert failed.status == 422
    told = _row(error_code=50003, error="too late", message="too late")
    assert json.loads(failed.body)["offsets"] == [told, told]


def test_record_that_may_yet_be_committed_has_no_offset_when_it_failed() -> None:
    timed_out = RecordPlace(1, 5, NotEnoughReplicasError("too late"))
    rows = json.loads(answer_of([timed_out, RecordPlace(0, 1)]).body)["offsets"]
    assert (rows[0]["partition"], rows[0]["offset"]) == (None, None)
