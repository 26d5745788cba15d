"""The snapshot of a log's producers: its bytes, and what of them is not taken."""

import pytest

from kafkalite.storage import producer_snapshot
from kafkalite.storage.producer_snapshot import SnapshotError
from kafkalite.storage.producer_state import Producer, StoredBatch

_PRODUCERS = {
    2**63 - 1: Producer(2**15 - 1, 1_700_000_000_000, (StoredBatch(2**31 - 1, 1, 7, 9, -1),)),
    0: Producer(0, -1, tuple(StoredBatch(n, n, n, n, n) for n in range(5))),
}


def test_a_snapshot_says_what_it_was_made_of_in_its_order() -> None:
    found = producer_snapshot.decode(producer_snapshot.encode(_PRODUCERS))
    assert list(found.items()) == list(_PRODUCERS.items())


def test_the_layout_is_the_documented_one() -> None:
    one = {3: Producer(1, 5, (StoredBatch(0, 2, 4, 6, 8),))}
    data = producer_snapshot.encode(one)
    assert data[:2] == b"\x00\x01"
    assert data[6:] == b"\x91\x94\x03\x01\x05\x91\x95\x00\x02\x04\x06\x08"
    assert producer_snapshot.encode({})[6:] == b"\x90"


def test_a_snapshot_that_is_cut_off_anywhere_is_refused() -> None:
    data = producer_snapshot.encode(_PRODUCERS)
    for size in range(len(data)):
        with pytest.raises(SnapshotError):
            producer_snapshot.decode(data[:size])


def test_a_snapshot_with_any_bit_altered_is_refused() -> None:
    data = producer_snapshot.encode(_PRODUCERS)
    for position in range(len(data)):
        altered = bytearray(data)
        altered[position] ^= 1
        with pytest.raises(SnapshotError):
            producer_snapshot.decode(bytes(altered))


def test_another_version_is_refused() -> None:
    data = producer_snapshot.encode({})
    with pytest.raises(SnapshotError, match="version is 2"):
        producer_snapshot.decode(b"\x00\x02" + data[2:])
