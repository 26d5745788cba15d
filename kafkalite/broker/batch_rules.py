"""What is asked of the batches that a topic stores: their size, compression, times, producer."""

from collections.abc import Sequence

from kafkalite.config.topic_config import TopicSettings
from kafkalite.model.errors import InvalidRequestError, InvalidTimestampError, MessageTooLargeError
from kafkalite.wire.batch import BatchHeader, Buffer, header_at, read_headers
from kafkalite.wire.restamp import recompress, with_log_append_time


def as_stored(
    batch: Buffer, header: BatchHeader, settings: TopicSettings
) -> tuple[Buffer, BatchHeader]:
    """One whole batch, compressed as the topic wants it. May run in any thread.

    Raises:
        MessageTooLargeError: it is larger than the topic takes, as it is or once it is so.
    """
    _check_size(batch, settings)
    codec = settings.compression
    if codec is not None and header.compression != codec:
        batch = recompress(batch, codec)
        header = header_at(batch, 0)
        _check_size(batch, settings)
    return batch, header


def _check_size(batch: Buffer, settings: TopicSettings) -> None:
    if len(batch) > settings.max_message_bytes:
        raise MessageTooLargeError(
            f"A batch of {len(batch)} bytes, as the topic stores it, is more than "
            f"{settings.max_message_bytes} (max.message.bytes)"
        )


def check_one_producer(headers: Sequence[BatchHeader]) -> None:
    """Raise InvalidRequestError unless batches are all of one producer in one epoch, or of none."""
    producers = {(header.producer_id, header.producer_epoch) for header in headers}
    if len(producers) > 1:
        raise InvalidRequestError(
            f"The batches for one partition are of {len(producers)} producers; send those of each "
            "by themselves"
        )


def check_timestamps(headers: Sequence[BatchHeader], settings: TopicSettings, now_ms: int) -> None:
    """Raise InvalidTimestampError if a record is older or newer than the topic takes."""
    earliest = now_ms - settings.timestamp_before_max_ms
    latest = now_ms + settings.timestamp_after_max_ms
    for header in headers:
        if header.base_timestamp < earliest or header.max_timestamp > latest:
            raise InvalidTimestampError(
                f"Timestamps {header.base_timestamp} to {header.max_timestamp} are outside of "
                f"what the topic accepts, {earliest} to {latest}"
            )


def stamped(
    batches: Buffer, headers: Sequence[BatchHeader], now_ms: int
) -> tuple[Buffer, list[BatchHeader]]:
    """Batches back to back, with `now_ms` as the time of all their records."""
    view = memoryview(batches)
    result = bytearray()
    position = 0
    for header in headers:
        result += with_log_append_time(view[position : position + header.size], now_ms)
        position += header.size
    return result, read_headers(result)
