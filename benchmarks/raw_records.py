"""Raw batches, sent and read over several connections at a time."""

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

import msgspec

from benchmarks.connection import Connection, WrongAnswerError, make_request
from kafkalite.model.record import Record
from kafkalite.wire.batch import read_headers
from kafkalite.wire.messages import (
    FetchPartition,
    FetchRequest,
    PartitionBatches,
    ProduceRequest,
    ProduceResponse,
)
from kafkalite.wire.records import encode_batch

VALUE_BYTES: Final = 100
_MSGPACK: Final = "application/msgpack"
_FETCH_BYTES: Final = 32 << 20
"""Asked for at a time."""


class _FetchedPartition(msgspec.Struct):
    """The part of a FetchResult that a reader needs; its batches are not copied."""

    error: str
    batches: memoryview


class _Fetched(msgspec.Struct):
    partitions: list[_FetchedPartition]


_decode_produced = msgspec.msgpack.Decoder(ProduceResponse).decode
_decode_fetched = msgspec.msgpack.Decoder(_Fetched).decode


class Moved(NamedTuple):
    """What one measurement moved."""

    records: int
    size: int
    """Bytes of batches."""
    seconds: float
    load_busy: float
    """Share of its core that the load used."""


def make_batch(records: int, value_bytes: int = VALUE_BYTES) -> bytes:
    """A batch of so many records that do not compress, the same each time."""
    source = random.Random(records)
    return encode_batch(
        [Record(source.randbytes(value_bytes)) for _ in range(records)],
        now_ms=time.time_ns() // 1_000_000,
    )


def produce_request(topic: str, batch: bytes, acks: int, partition: int = 0) -> bytes:
    """The bytes of a request that appends `batch` to a partition."""
    request = ProduceRequest([PartitionBatches(topic, partition, memoryview(batch))], acks=acks)
    return make_request("POST", "/v1/produce", msgspec.msgpack.encode(request), _MSGPACK)


def fetch_request(topic: str, offset: int) -> bytes:
    """The bytes of a request that reads partition 0 from `offset`, and waits for nothing."""
    request = FetchRequest(
        [FetchPartition(topic, 0, offset, _FETCH_BYTES)], max_wait_ms=0, max_bytes=_FETCH_BYTES
    )
    return make_request("POST", "/v1/fetch", msgspec.msgpack.encode(request), _MSGPACK)


def produce(connection: Connection, request: bytes) -> None:
    """Send a request of `produce_request`; raises WrongAnswerError when it was refused."""
    for result in _decode_produced(connection.expect(request).body).partitions:
        if result.error:
            raise WrongAnswerError(f"{result.error}: {result.message}")


def fetch(connection: Connection, topic: str, offset: int) -> tuple[int, int]:
    """Read once from `offset`; gives the bytes that came and the offset after them."""
    partition = _decode_fetched(connection.expect(fetch_request(topic, offset)).body).partitions[0]
    if partition.error or not partition.batches:
        raise WrongAnswerError(f"Nothing at {offset} of {topic}: {partition.error}")
    headers = read_headers(partition.batches)
    if headers[0].base_offset != offset:
        raise WrongAnswerError(f"{topic} gave {headers[0].base_offset} in place of {offset}")
    return partition.batches.nbytes, headers[-1].next_offset


def send_all(
    port: int, request: bytes, batch_records: int, batch_size: int, *, times: int, connections: int
) -> Moved:
    """Send `request` so many times, shared by the connections."""
    return send_everywhere(
        [(port, request)], batch_records, batch_size, times=times, connections=connections
    )


def send_everywhere(
    requests: Sequence[tuple[int, bytes]],
    batch_records: int,
    batch_size: int,
    *,
    times: int,
    connections: int,
) -> Moved:
    """Send so many requests, shared by the connections, each of which repeats one of `requests`.

    Args:
        requests: the port to send to, and what.
        batch_records: records of one.
        batch_size: bytes of one's batches.
        times: requests in all.
        connections: how many at a time.
    """
    share, left = divmod(times, connections)

    def send(number: int) -> None:
        port, request = requests[number % len(requests)]
        with Connection(port) as connection:
            for _ in range(share + (number < left)):
                produce(connection, request)

    seconds, busy = in_parallel(send, connections)
    return Moved(times * batch_records, times * batch_size, seconds, busy)


def read_all(port: int, topic: str, end: int, *, connections: int) -> Moved:
    """Read everything below `end`, the whole on each connection."""
    sizes = [0] * connections

    def read(number: int) -> None:
        offset = 0
        with Connection(port) as connection:
            while offset < end:
                size, offset = fetch(connection, topic, offset)
                sizes[number] += size

    seconds, busy = in_parallel(read, connections)
    return Moved(end * connections, sum(sizes), seconds, busy)


def in_parallel(work: Callable[[int], None], count: int) -> tuple[float, float]:
    """Run `work` in so many threads; gives the seconds taken and the share of a core used."""
    with ThreadPoolExecutor(count) as threads:
        started, used = time.perf_counter(), time.process_time()
        for outcome in [threads.submit(work, number) for number in range(count)]:
            outcome.result()
        seconds = time.perf_counter() - started
        return seconds, (time.process_time() - used) / seconds
