"""A topic of a running broker, as tests speak to it: records and batches in and out over HTTP."""

import itertools
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec

from kafkalite.model.compression import Compression
from kafkalite.model.record import Record
from kafkalite.wire.messages import (
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchResult,
    PartitionBatches,
    ProduceRequest,
    ProduceResponse,
    ProduceResult,
)
from kafkalite.wire.records import decode_batches, encode_batch

MSGPACK = {"content-type": "application/msgpack"}
TIMEOUT_S = 30.0
_MAX_BYTES = 64 << 20

_numbers = itertools.count(1)


class BrokerClient:
    """One kept connection to a broker; single-threaded, closed by whoever made it."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False)

    def make_topic(
        self,
        partitions: int = 1,
        config: Mapping[str, str] | None = None,
        name: str = "",
        *,
        replication_factor: int = 1,
    ) -> "Topic":
        """A new topic, of a name that no other test has unless one is given."""
        name = name or f"topic-{next(_numbers)}"
        body = {
            "name": name,
            "partitions": partitions,
            "replication_factor": replication_factor,
            "config": dict(config or {}),
        }
        created = self.http.post("/v1/topics", json=body)
        assert created.status_code == 201, created.text
        return Topic(self, name)

    def produce(
        self, entries: Iterable[tuple[str, int, bytes]], *, acks: int = -1, timeout_ms: int = 30_000
    ) -> list[ProduceResult]:
        """Send batches as `(topic, partition, batches)`, natively."""
        partitions = [PartitionBatches(t, p, memoryview(data)) for t, p, data in entries]
        body = msgspec.msgpack.encode(ProduceRequest(partitions, acks, timeout_ms))
        answer = self.http.post("/v1/produce", content=body, headers=MSGPACK)
        assert answer.status_code == 200, answer.text
        return msgspec.msgpack.decode(answer.content, type=ProduceResponse).partitions

    def fetch(self, *partitions: FetchPartition, **options: int) -> list[FetchResult]:
        """Fetch natively; `options` are FetchRequest's."""
        request = msgspec.structs.replace(FetchRequest(list(partitions), max_wait_ms=0), **options)
        body = msgspec.msgpack.encode(request)
        answer = self.http.post("/v1/fetch", content=body, headers=MSGPACK)
        assert answer.status_code == 200, answer.text
        return msgspec.msgpack.decode(answer.content, type=FetchResponse).partitions

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.http.close()


class Topic:
    """A topic that exists."""

    def __init__(self, client: BrokerClient, name: str) -> None:
        self.client = client
        self.name = name

    @property
    def path(self) -> str:
        return f"/v1/topics/{self.name}"

    def records_path(self, partition: int | None) -> str:
        return f"{self.path}/records" if partition is None else self.partition_path(partition)

    def partition_path(self, partition: int, what: str = "records") -> str:
        return f"{self.path}/partitions/{partition}/{what}"

    def post(
        self,
        body: bytes | str,
        media: str = "application/json",
        partition: int | None = None,
        **params: str | int,
    ) -> httpx.Response:
        """POST a body to the records endpoint of the topic, or of one of its partitions."""
        return self.client.http.post(
            self.records_path(partition),
            content=body,
            headers={"content-type": media},
            params=params,
        )

    def send(
        self, *records: Mapping[str, Any], partition: int | None = 0, **params: str | int
    ) -> list[dict[str, Any]]:
        """Produce records as JSON, all of which must be taken; gives their places."""
        answer = self.client.http.post(
            self.records_path(partition), json={"records": records}, params=params
        )
        assert answer.status_code == 200, answer.text
        places: list[dict[str, Any]] = answer.json()["offsets"]
        assert not any("error" in place for place in places), places
        return places

    def append(
        self, *records: Record, partition: int = 0, codec: Compression = Compression.NONE
    ) -> ProduceResult:
        """Produce one batch natively; gives what became of it."""
        batch = encode_batch(records, now_ms=1_700_000_000_000, compression=codec)
        return self.client.produce([(self.name, partition, batch)])[0]

    def get(self, partition: int = 0, accept: str = "", **params: str | int) -> httpx.Response:
        """GET records of a partition."""
        headers = {"accept": accept} if accept else {}
        return self.client.http.get(self.partition_path(partition), params=params, headers=headers)

    def page(self, partition: int = 0, **params: str | int) -> dict[str, Any]:
        """A page of records as JSON."""
        answer = self.get(partition, "", **params)
        assert answer.status_code == 200, answer.text
        page: dict[str, Any] = answer.json()
        return page

    def values(self, partition: int = 0, offset: int = 0) -> list[Any]:
        """The JSON values of all records from `offset` on, a page after the other."""
        found: list[Any] = []
        while True:
            page = self.page(partition, offset=offset)
            if not page["records"]:
                return found
            found += [record["value"] for record in page["records"]]
            offset = page["next_offset"]

    def fetch(self, offset: int = 0, partition: int = 0, **options: int) -> FetchResult:
        """Fetch one partition natively."""
        return self.client.fetch(FetchPartition(self.name, partition, offset), **options)[0]

    def read_all(self, partition: int = 0, offset: int = 0) -> list[Record]:
        """All records from `offset` on, fetched natively."""
        records: list[Record] = []
        while True:
            result = self.fetch(offset, partition)
            assert not result.error_code, result
            if not result.batches:
                return records
            read = list(decode_batches(result.batches, max_bytes=_MAX_BYTES))
            records += [record for record in read if record.offset >= offset]
            offset = read[-1].offset + 1

    def offsets(self, partition: int = 0) -> dict[str, Any]:
        """Where the partition stands."""
        answer = self.client.http.get(self.partition_path(partition, "offsets"))
        assert answer.status_code == 200, answer.text
        offsets: dict[str, Any] = answer.json()
        return offsets
