import logging

import pytest

from kafkalite.client.bell import Bell
from kafkalite.client.producer.producer_batch import BATCH_OVERHEAD, ProducerBatch, record_size
from kafkalite.client.producer.record_metadata import RecordMetadata
from kafkalite.model.compression import Compression
from kafkalite.model.errors import PolicyViolationError
from kafkalite.model.record import Header
from kafkalite.wire.batch import header_at
from kafkalite.wire.records import decode_batch
from kafkalite.wire.validate import validate_batches

NOW = 1_000


def _open() -> ProducerBatch:
    return ProducerBatch("t", 3, now_ms=NOW, now_s=1.0, deadline_s=9.0)


def _add(
    batch: ProducerBatch,
    value: bytes | None,
    key: bytes | None = None,
    headers: tuple[Header, ...] = (),
    timestamp: int | None = None,
) -> int:
    return batch.add(value, key, headers, timestamp, record_size(value, key, headers) + 16)


def _closed(*values: bytes, codec: Compression = Compression.NONE) -> ProducerBatch:
    batch = _open()
    for value in values:
        _add(batch, value)
    batch.close(codec)
    return batch


@pytest.mark.parametrize("codec", list(Compression))
def test_a_batch_is_what_brokers_take(codec: Compression) -> None:
    batch = _open()
    _add(batch, b"plain")
    batch.tick(NOW + 5)
    _add(batch, b"later")
    _add(batch, b"v", b"k", (("h", None), ("i", b"")))
    _add(batch, None, b"gone", timestamp=NOW - 700)
    batch.close(codec)
    batch.number(7, 1, 40)
    validate_batches(batch.body, max_batch_bytes=1 << 20, max_decompressed_bytes=1 << 20)
    header = header_at(batch.body, 0)
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (7, 1, 40)
    assert (header.base_timestamp, header.max_timestamp) == (NOW - 700, NOW + 5)
    records = decode_batch(batch.body, max_bytes=1 << 20)
    assert [(record.value, record.key, record.timestamp) for record in records] == [
        (b"plain", None, NOW),
        (b"later", None, NOW + 5),
        (b"v", b"k", NOW + 5),
        (None, b"gone", NOW - 700),
    ]
    assert records[2].headers == (("h", None), ("i", b""))


def test_the_size_is_never_guessed_too_small() -> None:
    batch = _open()
    _add(batch, b"x" * 70_000)
    _add(batch, b"")
    _add(batch, b"v" * 300, b"k" * 300, (("n" * 300, b"h" * 300), ("é", None)), 2**40)
    guessed = batch.size
    batch.close(Compression.NONE)
    assert batch.size == len(batch.body) <= guessed <= batch.size + 1_200 + BATCH_OVERHEAD


def test_a_time_in_which_no_record_came_is_not_in_the_header() -> None:
    batch = _open()
    batch.tick(NOW + 1)
    _add(batch, b"a")
    batch.tick(NOW + 2)
    batch.close(Compression.NONE)
    batch.number(-1, -1, -1)
    header = header_at(batch.body, 0)
    assert (header.base_timestamp, header.max_timestamp) == (NOW + 1, NOW + 1)


def test_a_batch_may_be_numbered_anew() -> None:
    batch = _closed(b"a", b"b")
    batch.number(7, 0, 10)
    batch.number(7, 1, 0)
    validate_batches(batch.body, max_batch_bytes=1 << 20, max_decompressed_bytes=1 << 20)
    assert header_at(batch.body, 0).producer_epoch == 1


def test_metadata_says_where_each_record_is() -> None:
    batch = _open()
    _add(batch, b"a")
    batch.tick(NOW + 5)
    _add(batch, b"b")
    _add(batch, b"c", timestamp=5)
    batch.close(Compression.NONE)
    batch.finish(base_offset=100)
    assert batch.metadata(0) == RecordMetadata("t", 3, 100, NOW)
    assert batch.metadata(1) == RecordMetadata("t", 3, 101, NOW + 5)
    assert batch.metadata(2) == RecordMetadata("t", 3, 102, 5)


def test_the_brokers_time_counts_where_the_topic_says_so() -> None:
    batch = _closed(b"a")
    batch.finish(base_offset=1, log_append_time=77)
    assert batch.metadata(0).timestamp == 77


def test_an_error_is_every_records() -> None:
    batch = _closed(b"a", b"b")
    batch.finish(PolicyViolationError("no"))
    for index in range(2):
        with pytest.raises(PolicyViolationError, match="no"):
            batch.metadata(index)


@pytest.mark.parametrize("codec", [Compression.NONE, Compression.LZ4])
def test_halves_hold_the_same_records_and_settle_the_whole(codec: Compression) -> None:
    batch = _closed(b"a", b"b", b"c", codec=codec)
    batch.reserved = 101
    batch.number(7, 0, 0)
    calls: list[int] = []
    batch.call_when_done(lambda: calls.append(1))
    first, second = batch.halve()
    for half in (first, second):
        half.number(7, 0, 0)
        validate_batches(half.body, max_batch_bytes=1 << 20, max_decompressed_bytes=1 << 20)
    records = [
        record.value
        for half in (first, second)
        for record in decode_batch(half.body, max_bytes=999)
    ]
    assert records == [b"a", b"b", b"c"]
    assert (first.reserved + second.reserved, batch.reserved) == (101, 0)
    first.finish(base_offset=10)
    assert not batch.is_done
    second.finish(PolicyViolationError())
    assert batch.is_done
    assert calls == [1]
    assert batch.metadata(0).offset == 10
    assert batch.error_of(0) is None
    assert isinstance(batch.error_of(2), PolicyViolationError)


def test_callbacks_are_called_once_and_at_once_when_it_is_known() -> None:
    batch = _closed(b"a")
    calls: list[str] = []
    batch.call_when_done(lambda: calls.append("before"))
    batch.finish(base_offset=0)
    batch.call_when_done(lambda: calls.append("after"))
    assert calls == ["before", "after"]


def test_a_callback_that_fails_is_logged_and_harms_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    batch = _closed(b"a")
    calls: list[int] = []
    batch.call_when_done(lambda: 1 // 0)
    batch.call_when_done(lambda: calls.append(1))
    with caplog.at_level(logging.ERROR):
        batch.finish(base_offset=0)
    assert calls == [1]
    assert "callback failed" in caplog.text


def test_waiting_ends_with_the_timeout_and_with_the_batch() -> None:
    batch = _closed(b"a")
    assert not batch.wait(0)
    batch.finish(base_offset=0)
    assert batch.wait(0)
    assert batch.wait(None)


def test_others_go_on_waiting_where_one_is_interrupted_in_any_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wait = Bell.wait
    batch = _closed(b"a")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def interrupt_behind_the_ring(bell: Bell, _: float | None) -> None:
        batch.finish()
        assert wait(bell, 0)
        raise KeyboardInterrupt

    for where, name, step in (
        (ProducerBatch, "call_when_done", interrupt),
        (Bell, "wait", interrupt_behind_the_ring),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(where, name, step)
            with pytest.raises(KeyboardInterrupt):
                batch.wait(None)
    assert batch._bell is not None
    assert batch._bell.wait(0)
