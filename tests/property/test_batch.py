"""Batches under random records, and the validator under whatever bytes there are (invariant 8)."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kafkalite.model.compression import Compression
from kafkalite.model.errors import LogError
from kafkalite.model.record import Record
from kafkalite.wire.batch import HEADER_SIZE, check_intact, read_header, stamp
from kafkalite.wire.compression import compress
from kafkalite.wire.records import (
    MAX_HEADERS,
    decode_batch,
    decode_batches,
    encode_batch,
    encode_batch_with_header,
)
from kafkalite.wire.restamp import recompress, with_log_append_time
from tests.support.batches import MAX_BYTES, TIME, forge, validate

CODECS = st.sampled_from(Compression)
MAYBE_BYTES = st.none() | st.binary(max_size=300)
TIMES = st.integers(0, 2**63 - 1)
HEADERS = st.lists(st.tuples(st.text(max_size=20), MAYBE_BYTES), max_size=4).map(tuple)
RECORDS = st.lists(
    st.builds(Record, MAYBE_BYTES, MAYBE_BYTES, TIMES | st.just(-1), HEADERS),
    min_size=1,
    max_size=20,
)
MSGPACK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=20,
)

bounded = settings(max_examples=150, derandomize=True, deadline=None)

SMALL = encode_batch(
    [Record(b"v", b"k", TIME + 1, (("h", b"x"),)), Record(None, timestamp=TIME)], now_ms=TIME
)
STAMPED_BITS = {*range(8 * 8), *range(12 * 8, 16 * 8)}
"""base_offset and leader_epoch: the leader writes them, the checksum leaves them out."""


@given(records=RECORDS, codec=CODECS, now=TIMES, base_offset=st.integers(0, 2**40))
@bounded
def test_what_is_encoded_validates_and_comes_back(
    records: list[Record], codec: Compression, now: int, base_offset: int
) -> None:
    batch, header = encode_batch_with_header(records, now_ms=now, compression=codec)
    assert validate(batch) == [header]
    stamped = stamp(base_offset, header.batch_length, 3) + batch[16:]
    assert decode_batch(stamped, max_bytes=MAX_BYTES) == [
        record._replace(
            offset=base_offset + index, timestamp=now if record.timestamp < 0 else record.timestamp
        )
        for index, record in enumerate(records)
    ]


@given(groups=st.lists(RECORDS, min_size=1, max_size=4), codec=CODECS)
@bounded
def test_many_batches_are_the_records_of_each_in_turn(
    groups: list[list[Record]], codec: Compression
) -> None:
    data = b"".join(encode_batch(group, now_ms=5, compression=codec) for group in groups)
    assert len(validate(data)) == len(groups)
    values = [record.value for group in groups for record in group]
    assert [record.value for record in decode_batches(data, max_bytes=MAX_BYTES)] == values


@given(records=RECORDS, old=CODECS, new=CODECS)
@bounded
def test_a_batch_made_anew_is_valid_and_holds_the_same(
    records: list[Record], old: Compression, new: Compression
) -> None:
    batch = encode_batch(records, now_ms=5, compression=old)
    again = recompress(batch, new)
    validate(again)
    assert decode_batch(again, max_bytes=MAX_BYTES) == decode_batch(batch, max_bytes=MAX_BYTES)
    stamped = with_log_append_time(again, TIME)
    check_intact(memoryview(stamped), read_header(stamped))
    assert [record.value for record in decode_batch(stamped, max_bytes=MAX_BYTES)] == [
        record.value for record in records
    ]


@pytest.mark.parametrize("codec", Compression)
def test_every_flipped_bit_is_refused(codec: Compression) -> None:
    batch = recompress(SMALL, codec)
    for bit in range(len(batch) * 8):
        flipped = bytearray(batch)
        flipped[bit // 8] ^= 1 << bit % 8
        if bit in STAMPED_BITS:
            validate(flipped)
            continue
        with pytest.raises(LogError):
            validate(flipped)


@pytest.mark.parametrize("codec", Compression)
def test_a_batch_cut_off_at_any_byte_is_refused(codec: Compression) -> None:
    batch = recompress(SMALL, codec)
    for size in range(len(batch)):
        with pytest.raises(LogError):
            validate(batch[:size])
        if size:
            with pytest.raises(LogError):
                validate(batch + batch[:size])


@pytest.mark.parametrize("codec", Compression)
def test_a_payload_cut_off_at_any_byte_is_refused_whatever_the_checksum_says(
    codec: Compression,
) -> None:
    """Snappy has no end mark: what it then gives is short, and the records say so."""
    payload = recompress(SMALL, codec)[HEADER_SIZE:]
    fields: dict[str, Any] = {"max_timestamp": TIME + 1, "record_count": 2, "last_offset_delta": 1}
    assert validate(forge(payload=payload, attributes=codec, **fields))
    for size in range(len(payload)):
        with pytest.raises(LogError):
            validate(forge(payload=payload[:size], attributes=codec, **fields))


@given(data=st.binary(max_size=200))
@bounded
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(LogError):
        validate(data)


@given(payload=st.binary(max_size=200), codec=st.integers(0, 7), count=st.integers(1, 4))
@bounded
def test_a_random_payload_raises_nothing_but_our_errors(
    payload: bytes, codec: int, count: int
) -> None:
    batch = forge(
        payload=payload, attributes=codec, record_count=count, last_offset_delta=count - 1
    )
    with pytest.raises(LogError):
        validate(batch)
    with pytest.raises(LogError):
        decode_batch(batch, max_bytes=MAX_BYTES)


@given(payload=st.binary(max_size=200), codec=CODECS)
@bounded
def test_random_bytes_within_a_frame_raise_nothing_but_our_errors(
    payload: bytes, codec: Compression
) -> None:
    with pytest.raises(LogError):
        validate(forge(payload=compress(codec, b"\x91" + payload), attributes=codec))


@given(
    codec=st.sampled_from([codec for codec in Compression if codec]),
    edits=st.lists(st.tuples(st.integers(0, 2**16), st.binary(max_size=3)), min_size=1, max_size=4),
)
@bounded
def test_a_frame_written_over_in_places_raises_nothing_but_our_errors(
    codec: Compression, edits: list[tuple[int, bytes]]
) -> None:
    frame = bytearray(compress(codec, SMALL * 20))
    for where, what in edits:
        position = where % len(frame)
        frame[position : position + len(what)] = what
    with pytest.raises(LogError):
        validate(forge(payload=bytes(frame), attributes=codec))


@given(fields=st.lists(MSGPACK, min_size=0, max_size=5))
@bounded
def test_the_validator_takes_in_a_record_exactly_when_it_is_the_grammar(fields: list[Any]) -> None:
    batch = forge([fields])
    if _is_record(fields):
        validate(batch)
    else:
        with pytest.raises(LogError):
            validate(batch)


@given(
    delta=st.sampled_from([0, 0, 0, 1, -1, 0.0, False, None]),
    key=MAYBE_BYTES | MSGPACK,
    headers=st.none()
    | st.lists(st.tuples(st.text(max_size=4) | MSGPACK, MAYBE_BYTES | MSGPACK), max_size=3)
    | MSGPACK,
)
@bounded
def test_it_does_so_for_records_that_nearly_are(delta: Any, key: Any, headers: Any) -> None:
    fields = [delta, key, None, headers]
    batch = forge([fields])
    if _is_record(fields):
        validate(batch)
        assert decode_batch(batch, max_bytes=MAX_BYTES)[0].key == key
    else:
        with pytest.raises(LogError):
            validate(batch)


def _is_record(fields: list[Any]) -> bool:
    """The grammar of records.py once more, the long way, for a batch of one record at TIME."""
    if len(fields) != 4:
        return False
    delta, key, value, headers = fields
    if type(delta) is not int or delta != 0:
        return False
    if not all(item is None or type(item) is bytes for item in (key, value)):
        return False
    if headers is None:
        return True
    # What a tuple is in Python is an array in msgpack.
    headers = msgspec.msgpack.decode(msgspec.msgpack.encode(headers))
    return (
        type(headers) is list
        and len(headers) <= MAX_HEADERS
        and all(
            type(header) is list
            and len(header) == 2
            and type(header[0]) is str
            and (header[1] is None or type(header[1]) is bytes)
            for header in headers
        )
    )
