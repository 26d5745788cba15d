"""One partition: offsets, offsets by time, delete records. Its leader answers, whoever is asked."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

from kafkalite.api.answers import answer
from kafkalite.api.leader_route import NO_LEADER_ANSWERS, LeaderRoute
from kafkalite.api.replies import replies
from kafkalite.api.schemas import DeleteRecordsBody, OffsetsQuery
from kafkalite.api.serving import LedPartition
from kafkalite.broker.offset_lookup import found_at
from kafkalite.broker.partition import Partition
from kafkalite.model.errors import (
    InvalidRequestError,
    KafkaStorageError,
    OffsetNotAvailableError,
    OffsetOutOfRangeError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.offsets import NO_OFFSET
from kafkalite.model.record import NO_TIMESTAMP
from kafkalite.wire.admin_messages import DeletedRecords, FoundOffset, PartitionOffsets

router = APIRouter(
    prefix="/v1/topics/{topic}/partitions/{partition}",
    tags=["partitions"],
    route_class=LeaderRoute,
)

_LATEST_TIMESTAMP: Final = 2**63 - 1


@router.get(
    "/offsets",
    summary="Offsets of a partition",
    responses=replies(
        PartitionOffsets | FoundOffset,
        InvalidRequestError,
        UnknownTopicOrPartitionError,
        *NO_LEADER_ANSWERS,
        OffsetNotAvailableError,
        KafkaStorageError,
    ),
)
async def partition_offsets(
    partition: LedPartition, query: Annotated[OffsetsQuery, Query()]
) -> Response:
    """Where the partition stands; with `at=` the offset at a point in time instead."""
    if query.at is not None:
        return answer(_find(partition, query.at))
    partition.check_offsets_available()
    offsets = partition.offsets
    return answer(
        PartitionOffsets(
            topic=partition.topic_partition.topic,
            partition=partition.topic_partition.partition,
            log_start_offset=offsets.start,
            high_watermark=offsets.high_watermark,
            log_end_offset=offsets.end,
            leader_epoch=partition.leader_epoch,
        )
    )


@router.post(
    "/delete-records",
    summary="Delete records",
    responses=replies(
        DeletedRecords,
        InvalidRequestError,
        UnknownTopicOrPartitionError,
        OffsetOutOfRangeError,
        *NO_LEADER_ANSWERS,
        KafkaStorageError,
    ),
)
async def delete_records(partition: LedPartition, body: DeleteRecordsBody) -> Response:
    """Delete the records below an offset: the partition begins there from now on."""
    return answer(
        DeletedRecords(
            topic=partition.topic_partition.topic,
            partition=partition.topic_partition.partition,
            low_watermark=partition.delete_records(body.before_offset),
        )
    )


def _find(partition: Partition, at: str) -> FoundOffset:
    """The offset that `at` stands for, among the records that consumers can read.

    Raises:
        InvalidRequestError: `at` is neither a word that we know nor a time.
        OffsetNotAvailableError: the newest record cannot be read yet, or is not known.
    """
    if at != "earliest":
        partition.check_offsets_available()
    offsets = partition.offsets
    offset, timestamp = NO_OFFSET, NO_TIMESTAMP
    match at:
        case "earliest":
            offset = offsets.start
        case "latest":
            offset = offsets.high_watermark
        case "max-timestamp":
            newest = partition.log.max_timestamp_offset()
            if newest is not None:
                timestamp, offset = newest
            if offset >= offsets.high_watermark:
                raise OffsetNotAvailableError("The newest record cannot be read yet.")
        case _:
            offset, timestamp = found_at(partition, _parse_time(at))
    topic, number = partition.topic_partition
    return FoundOffset(topic, number, offset, timestamp, partition.leader_epoch)


def _parse_time(at: str) -> int:
    time = int(at) if at.isascii() and at.isdigit() else _LATEST_TIMESTAMP + 1
    if time > _LATEST_TIMESTAMP:
        raise InvalidRequestError(
            "at: it must be earliest, latest, max-timestamp, or a time in milliseconds since the "
            f"epoch, not '{at}'"
        )
    return time
