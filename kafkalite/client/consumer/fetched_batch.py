"""What a poll gives of one partition: (part of) one record batch, encoded until it is touched."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from kafkalite.client.consumer.record import BatchOrigin, ConsumerRecord
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.batch import TIMESTAMP_TYPE_BIT, BatchHeader, check_intact
from kafkalite.wire.records import MALFORMED, malformed, read_payload, wrong_count

MAX_PAYLOAD_BYTES = 256 << 20
"""A batch that is larger once decompressed is not read."""

_decode = msgspec.msgpack.Decoder(list[ConsumerRecord]).decode


class EncodedBatch:
    """One whole batch as it came. Decoded at most once, however many windows look at it."""

    __slots__ = ("_data", "_records", "header", "topic_partition")

    def __init__(
        self, topic_partition: TopicPartition, header: BatchHeader, data: memoryview
    ) -> None:
        """`data` is exactly the batch; it may be a part of a larger answer, which it keeps."""
        self.topic_partition = topic_partition
        self.header = header
        self._data = data
        self._records: list[ConsumerRecord] | None = None

    @property
    def data(self) -> memoryview:
        """The bytes of the whole batch."""
        return self._data

    def check(self) -> None:
        """Check that it is as its leader sent it; raises CorruptMessageError."""
        check_intact(self._data, self.header)

    def records(self) -> list[ConsumerRecord]:
        """All of its records, the same objects each time.

        Raises:
            LogError: they are not what their grammar says, or too large.
        """
        if self._records is None:
            self._records = self._numbered(self._decoded())
        return self._records

    @property
    def is_decoded(self) -> bool:
        """Whether its records are there."""
        return self._records is not None

    def raw_values(self) -> list[bytes | None]:
        """The values alone, without building records that are kept; raises as `records`."""
        return [record.value for record in self._records or self._decoded()]

    def _decoded(self) -> list[ConsumerRecord]:
        header = self.header
        try:
            records = _decode(read_payload(self._data, header, MAX_PAYLOAD_BYTES))
        except MALFORMED as error:
            raise malformed(error) from error
        if len(records) != header.record_count:
            raise wrong_count(len(records), header)
        return records

    def _numbered(self, records: list[ConsumerRecord]) -> list[ConsumerRecord]:
        header = self.header
        origin = BatchOrigin(
            *self.topic_partition,
            header.base_timestamp,
            bool(header.attributes & TIMESTAMP_TYPE_BIT),
            header.leader_epoch,
        )
        offset = header.base_offset
        for record in records:
            record.offset = offset
            record._origin = origin
            offset += 1
        return records


class FetchedBatch(Sequence[ConsumerRecord]):
    """Consecutive records of one partition; a sequence of them, decoded when first looked at.

    What it was made of stays in memory for as long as it lives.
    """

    __slots__ = ("_batch", "_records", "_start", "_stop")

    def __init__(
        self,
        batch: EncodedBatch,
        start: int,
        stop: int,
        records: list[ConsumerRecord] | None = None,
    ) -> None:
        """Records `start` to `stop` (exclusive) of `batch`; or `records`, what is left of them."""
        self._batch = batch
        self._start = start
        self._stop = stop
        self._records = records

    @property
    def topic_partition(self) -> TopicPartition:
        """Where they were read."""
        return self._batch.topic_partition

    @property
    def topic(self) -> str:
        """The topic they were read from."""
        return self._batch.topic_partition.topic

    @property
    def partition(self) -> int:
        """The partition they were read from."""
        return self._batch.topic_partition.partition

    @property
    def first_offset(self) -> int:
        """Where it begins."""
        return self._batch.header.base_offset + self._start

    @property
    def next_offset(self) -> int:
        """The offset after its last one: what to commit once all of it is dealt with."""
        return self._batch.header.base_offset + self._stop

    @property
    def size(self) -> int:
        """Bytes of the encoded batch that it is (a part) of."""
        return len(self._batch.data)

    @property
    def encoded(self) -> memoryview:
        """The whole encoded batch, for those who pass it on; see `wire/batch.py`."""
        return self._batch.data

    @property
    def header(self) -> BatchHeader:
        """Its header, decoded."""
        return self._batch.header

    def records(self) -> list[ConsumerRecord]:
        """All of them.

        Raises:
            CorruptMessageError: the batch is intact and yet not what its format says.
            MessageTooLargeError: it is larger than 256 MiB once decompressed.
            UnsupportedCompressionTypeError: a codec that is not known.
        """
        if self._records is None:
            records = self._batch.records()
            if self._is_part:
                records = records[self._start : self._stop]
            self._records = records
        return self._records

    def values(self) -> list[Any]:
        """The values alone: the cheapest way to all of them; raises as `records` does."""
        if self._records is None and not self._is_part:
            return self._batch.raw_values()
        return [record.value for record in self.records()]

    def keys(self) -> list[Any]:
        """The keys alone; raises as `records` does."""
        return [record.key for record in self.records()]

    def rest(self, records: list[ConsumerRecord]) -> "FetchedBatch":
        """The end of it that consists of `records`, one or more of its own."""
        start = records[0].offset - self._batch.header.base_offset
        return FetchedBatch(self._batch, start, self._stop, records)

    def split(self, count: int) -> "tuple[FetchedBatch, FetchedBatch]":
        """Its first `count` records and the others; it has more than that."""
        records = self.records()
        rest = self.rest(records[count:])
        return FetchedBatch(self._batch, self._start, rest._start, records[:count]), rest

    def __len__(self) -> int:
        return self._stop - self._start if self._records is None else len(self._records)

    def __iter__(self) -> Iterator[ConsumerRecord]:
        return iter(self.records())

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401 - one record or a list, as in a list
        return self.records()[index]

    def __repr__(self) -> str:
        return (
            f"FetchedBatch({self.topic_partition}, offsets {self.first_offset} to "
            f"{self.next_offset - 1})"
        )

    @property
    def _is_part(self) -> bool:
        return self._stop - self._start != self._batch.header.record_count
