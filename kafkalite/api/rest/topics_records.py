"""Records of one partition in an embedded format, without a consumer instance."""

from collections.abc import Callable
from typing import Final

from kafkalite.api.rest.errors import RestAnswer, RestError
from kafkalite.api.rest.media import format_to_send, records_type
from kafkalite.api.rest.operations import MAX_TIMEOUT_MS
from kafkalite.api.rest.query import PageQuery, parse_page_query
from kafkalite.api.rest.replying import joined
from kafkalite.broker.consumers.page import ConsumerPage
from kafkalite.broker.consumers.ports import Reads
from kafkalite.broker.consumers.reader import ConsumerReader
from kafkalite.broker.offset_lookup import OffsetLookup
from kafkalite.broker.waiters import ReadWaiters
from kafkalite.model.errors import LogError
from kafkalite.model.ids import TopicPartition
from kafkalite.model.offsets import NO_OFFSET, OffsetRange
from kafkalite.wire.rest_records import EmbeddedFormat

_OUT_OF_RANGE: Final = 416


class RestRecords:
    """Gives pages of records. Lives on the loop; holds nothing of a request."""

    def __init__(
        self,
        reads: Reads,
        offset_lookup: OffsetLookup,
        default_format: Callable[[], EmbeddedFormat],
    ) -> None:
        """Assign only.

        Args:
            reads: the partitions, whoever leads them.
            offset_lookup: where they stand.
            default_format: of a request that does not ask for any.
        """
        self._reads = reads
        self._offset_lookup = offset_lookup
        self._default_format = default_format

    async def get(self, place: TopicPartition, accept: str, raw_query: bytes) -> RestAnswer:
        """A page of records, and in `X-Next-Offset` where the next one begins.

        Raises:
            RestError: the query, or the offset, is none to read from.
            LogError: the partition's leader does not answer.
            PoisonRecordError: the first record does not fit the format.
        """
        wanted = format_to_send(accept, self._default_format())
        query = parse_page_query(raw_query)
        offset = await self._begin(place, query)
        records = query.records
        page = ConsumerPage(wanted, records.max_bytes, records.on_error, query.max_records)
        reader = ConsumerReader(self._reads, ReadWaiters())
        await reader.read(
            {place: offset},
            page,
            wait_ms=min(records.timeout_ms or 0, MAX_TIMEOUT_MS),
            min_bytes=1,
        )
        if place in reader.out_of_range:
            raise _out_of_range(offset, await self._readable(place))
        if page.poison is not None:
            raise page.poison
        rows = page.rows_of(lambda _: True)
        next_offset = page.next_offsets.get(place, offset)
        return RestAnswer(
            200,
            b"[%b]" % await joined(rows),
            records_type(wanted),
            [(b"x-next-offset", b"%d" % next_offset)],
        )

    async def _begin(self, place: TopicPartition, query: PageQuery) -> int:
        """The offset of the first record that is asked for."""
        readable = await self._readable(place)
        if query.is_latest:
            return readable.end
        if query.timestamp is not None:
            found = (await self._offset_lookup.at_time([place], query.timestamp))[place]
            if isinstance(found, LogError):
                raise found
            return readable.end if found == NO_OFFSET else found
        if query.offset is None:
            return readable.start
        if not readable.start <= query.offset <= readable.end:
            raise _out_of_range(query.offset, readable)
        return query.offset

    async def _readable(self, place: TopicPartition) -> OffsetRange:
        found = (await self._offset_lookup.readable([place]))[place]
        if isinstance(found, LogError):
            raise found
        return found


def _out_of_range(offset: int, readable: OffsetRange) -> RestError:
    return RestError(
        _OUT_OF_RANGE,
        f"Offset {offset} is not in the partition, which holds {readable}",
    )
