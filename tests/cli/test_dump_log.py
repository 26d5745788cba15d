"""kafka-dump-log: what it prints of segments and indexes, whole, torn and altered."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from kafkalite.model.compression import Compression
from kafkalite.model.record import Record
from kafkalite.storage import producer_snapshot
from kafkalite.storage.files import LocalDisk
from kafkalite.storage.index_file import write_index
from kafkalite.storage.offset_index import ENTRY_SIZE as OFFSET_ENTRY_SIZE
from kafkalite.storage.offset_index import OffsetIndex
from kafkalite.storage.producer_state import Producer, StoredBatch
from kafkalite.storage.time_index import ENTRY_SIZE as TIME_ENTRY_SIZE
from kafkalite.storage.time_index import TimeIndex
from kafkalite.wire.batch import HEADER_SIZE, read_header, stamp
from kafkalite.wire.records import encode_batch
from tests.cli.command import Outcome, run_command, run_script
from tests.support.idempotent import idempotent

pytestmark = pytest.mark.slow

BASE_OFFSET = 100
RECORDS = [
    [Record(b"v1", b"k1", 1000, (("h1", b"x"), ("h2", None))), Record(None, None, 1005)],
    [Record(b"v2", None, 1010), Record(b"", b"", 1010)],
    [Record(b"v3", b"k3", 900)],
]


@dataclass(frozen=True)
class Segment:
    """A segment on disk, and where its batches begin."""

    log: Path
    positions: list[int]

    @property
    def index(self) -> Path:
        return self.log.with_suffix(".index")

    @property
    def timeindex(self) -> Path:
        return self.log.with_suffix(".timeindex")


@pytest.fixture
def segment(tmp_path: Path) -> Segment:
    log = tmp_path / f"{BASE_OFFSET:020}.log"
    data = bytearray()
    positions = []
    offset = BASE_OFFSET
    codecs = [Compression.NONE, Compression.ZSTD, Compression.NONE]
    for records, codec in zip(RECORDS, codecs, strict=True):
        batch = bytearray(encode_batch(records, now_ms=0, compression=codec))
        header = read_header(batch)
        batch[:16] = stamp(offset, header.batch_length, 7)
        positions.append(len(data))
        data += batch
        offset += header.record_count
    log.write_bytes(data)
    made = Segment(log, positions)
    offsets, times = OffsetIndex(), TimeIndex()
    offsets.append(2, positions[1])
    offsets.append(4, positions[2])
    times.append(1010, 2)
    write_index(LocalDisk(), made.index, offsets.encode(), OFFSET_ENTRY_SIZE)
    write_index(LocalDisk(), made.timeindex, times.encode(), TIME_ENTRY_SIZE)
    return made


def batch_lines(outcome: Outcome) -> list[str]:
    return [line for line in outcome.out.splitlines() if line.startswith("baseOffset: ")]


def test_a_segment_is_a_line_a_batch(segment: Segment) -> None:
    outcome = run_script("kafka-dump-log", "--files", str(segment.log))
    assert (outcome.exit_code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[:2] == [f"Dumping {segment.log}", f"Log starting offset: {BASE_OFFSET}"]
    assert len(lines) == 5
    header = read_header(segment.log.read_bytes(), segment.positions[1])
    assert lines[3] == (
        "baseOffset: 102 lastOffset: 103 count: 2 baseSequence: -1 lastSequence: -1 "
        "producerId: -1 producerEpoch: -1 partitionLeaderEpoch: 7 isTransactional: false "
        "isControl: false deleteHorizonMs: OptionalLong.empty "
        f"position: {segment.positions[1]} CreateTime: 1010 size: {header.size} magic: 75 "
        f"compresscodec: zstd crc: {header.crc} isvalid: true"
    )


def test_deep_iteration_adds_a_line_a_record(segment: Segment) -> None:
    out = run_command("dump-log", "--files", str(segment.log), "--deep-iteration").out
    assert [line for line in out.splitlines() if line.startswith("|")] == [
        "| offset: 100 CreateTime: 1000 keySize: 2 valueSize: 2 sequence: -1 headerKeys: [h1,h2]",
        "| offset: 101 CreateTime: 1005 keySize: -1 valueSize: -1 sequence: -1 headerKeys: []",
        "| offset: 102 CreateTime: 1010 keySize: -1 valueSize: 2 sequence: -1 headerKeys: []",
        "| offset: 103 CreateTime: 1010 keySize: 0 valueSize: 0 sequence: -1 headerKeys: []",
        "| offset: 104 CreateTime: 900 keySize: 2 valueSize: 2 sequence: -1 headerKeys: []",
    ]


def test_keys_and_values_are_printed_when_asked_for(segment: Segment) -> None:
    out = run_command("dump-log", "--files", str(segment.log), "--print-data-log").out
    first, second = [line for line in out.splitlines() if line.startswith("|")][:2]
    assert first.endswith("headerKeys: [h1,h2] key: k1 payload: v1")
    assert second.endswith("headerKeys: []")


@pytest.mark.parametrize("cut", [1, HEADER_SIZE - 1, HEADER_SIZE + 1])
def test_a_torn_tail_is_counted_and_what_precedes_it_is_shown(segment: Segment, cut: int) -> None:
    end = segment.positions[2]
    segment.log.write_bytes(segment.log.read_bytes()[: end + cut])
    outcome = run_command("dump-log", "--files", str(segment.log))
    assert outcome.exit_code == 0
    assert len(batch_lines(outcome)) == 2
    assert outcome.out.splitlines()[-1] == (
        f"Found {cut} invalid bytes at the end of {segment.log.name}"
    )


def test_an_altered_batch_is_not_valid_and_those_behind_it_are_shown(segment: Segment) -> None:
    data = bytearray(segment.log.read_bytes())
    data[segment.positions[1] + HEADER_SIZE] ^= 1
    segment.log.write_bytes(data)
    outcome = run_command("dump-log", "--files", str(segment.log), "--deep-iteration")
    validity = [line.rpartition(" ")[2] for line in batch_lines(outcome)]
    assert validity == ["true", "false", "true"]
    assert outcome.out.splitlines()[-1].startswith("| offset: 104 ")


def test_an_altered_length_hides_one_batch_only(segment: Segment) -> None:
    data = bytearray(segment.log.read_bytes())
    data[segment.positions[1] + 8] ^= 0x40
    segment.log.write_bytes(data)
    outcome = run_command("dump-log", "--files", str(segment.log))
    assert len(batch_lines(outcome)) == 2
    length = segment.positions[2] - segment.positions[1]
    assert (
        f"Found {length} invalid bytes at position {segment.positions[1]} of {segment.log.name}, "
        "going on with offset 104"
    ) in outcome.out


def test_indexes_are_printed(segment: Segment) -> None:
    files = f"{segment.index},{segment.timeindex}"
    assert run_command("dump-log", "--files", files) == (
        0,
        f"Dumping {segment.index}\n"
        f"offset: 102 position: {segment.positions[1]}\n"
        f"offset: 104 position: {segment.positions[2]}\n"
        f"Dumping {segment.timeindex}\n"
        "timestamp: 1010 offset: 102\n",
        "",
    )
    for option in ("--index-sanity-check", "--verify-index-only"):
        out = run_command("dump-log", "--files", files, option).out
        passed = " passed sanity check." if option == "--index-sanity-check" else None
        assert out.splitlines() == [
            line
            for path in (segment.index, segment.timeindex)
            for line in (f"Dumping {path}", *([f"{path}{passed}"] if passed else []))
        ]


def test_an_index_that_lies_is_found_out(segment: Segment) -> None:
    offsets, times = OffsetIndex(), TimeIndex()
    offsets.append(3, segment.positions[1])
    times.append(1009, 2)
    write_index(LocalDisk(), segment.index, offsets.encode(), OFFSET_ENTRY_SIZE)
    write_index(LocalDisk(), segment.timeindex, times.encode(), TIME_ENTRY_SIZE)
    files = f"{segment.index},{segment.timeindex}"
    assert run_command("dump-log", "--files", files, "--verify-index-only").out == (
        f"Dumping {segment.index}\n"
        f"Mismatches in :{segment.index}\n"
        "  Index offset: 103, log offset: 102\n"
        f"Dumping {segment.timeindex}\n"
        f"Found timestamp mismatch in :{segment.timeindex}\n"
        "  Index timestamp: 1009, log timestamp: 1010\n"
    )


def test_an_index_that_is_not_whole_says_so(segment: Segment) -> None:
    segment.index.write_bytes(segment.index.read_bytes()[:-3])
    outcome = run_command("dump-log", "--files", str(segment.index), "--index-sanity-check")
    assert f"{segment.index} is not whole (21 bytes" in outcome.out


def test_batches_of_idempotent_producers_are_printed_with_their_sequences(tmp_path: Path) -> None:
    log = tmp_path / f"{0:020}.log"
    batch, _ = idempotent(b"a", b"b", sequence=2**31 - 1, producer_id=5, epoch=3)
    log.write_bytes(batch)
    printed = run_command("dump-log", "--files", str(log), "--deep-iteration").out
    assert (
        "baseSequence: 2147483647 lastSequence: 0 producerId: 5 producerEpoch: 3 "
        "partitionLeaderEpoch: -1 isTransactional: false"
    ) in printed
    assert [line.split("sequence: ")[1].split()[0] for line in printed.splitlines()[3:]] == [
        "2147483647",
        "0",
    ]


def test_a_snapshot_of_producers_is_printed_as_kafka_does(tmp_path: Path) -> None:
    path = tmp_path / f"{9:020}.snapshot"
    batches = (StoredBatch(0, 1, 3, 4, 1000), StoredBatch(2, 4, 6, 8, 1010))
    path.write_bytes(producer_snapshot.encode({12: Producer(1, 5_000, batches)}))
    assert run_command("dump-log", "--files", str(path)).out == (
        f"Dumping {path}\n"
        "producerId: 12 producerEpoch: 1 coordinatorEpoch: -1 "
        "currentTxnFirstOffset: OptionalLong.empty lastTimestamp: 5000 firstSequence: 2 "
        "lastSequence: 4 lastOffset: 8 offsetDelta: 2 timestamp: 1010\n"
    )
    path.write_bytes(path.read_bytes()[:-1])
    outcome = run_command("dump-log", "--files", str(path))
    assert outcome.exit_code == 1
    assert "is not a sound snapshot" in outcome.err


def test_files_are_required_read_and_known(segment: Segment) -> None:
    assert run_command("dump-log").err.startswith('Missing required argument "[files]"')
    missing = segment.log.with_name("1.log")
    outcome = run_command("dump-log", "--files", f"{missing},{segment.index}")
    assert outcome.exit_code == 1
    assert outcome.err == f"Cannot read {missing}: No such file or directory.\n"
    assert "offset: 102" in outcome.out
    other = segment.log.with_name("leader-epoch-checkpoint")
    assert run_command("dump-log", "--files", str(other)).err == (
        f"Ignoring unknown file {other}\n"
    )
