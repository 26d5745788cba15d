"""The streams of one broker: of groups, and of topics by what their path asks for."""

from kafkalite.api.data_plane.exchange import Exchange
from kafkalite.api.groups.stream import GroupStreamEndpoint
from kafkalite.api.http.options import cors_of
from kafkalite.api.streams.paths import StreamPath
from kafkalite.api.streams.record_stream import RecordStreamEndpoint
from kafkalite.api.streams.topic_stream import TopicStreamEndpoint
from kafkalite.broker.broker import Broker


class StreamsEndpoint:
    """Serves them. Holds nothing of a request."""

    def __init__(
        self,
        groups: GroupStreamEndpoint,
        tails: TopicStreamEndpoint,
        records: RecordStreamEndpoint,
    ) -> None:
        self.groups = groups
        """Those of groups, which have paths of their own."""
        self._tails = tails
        self._records = records

    async def serve(self, exchange: Exchange, method: str, path: StreamPath) -> None:
        """Answer for a topic."""
        if path.end == "stream":
            await self._tails.listen(exchange, method, path.topic)
        else:
            await self._records.post(exchange, method, path.topic)


def streams_endpoint(broker: Broker) -> StreamsEndpoint:
    """What answers for the streams of `broker`."""
    # JSON may take twice the bytes that it stands for.
    max_line_bytes = 2 * broker.settings.message_max_bytes
    return StreamsEndpoint(
        GroupStreamEndpoint(broker.streams, broker.view, broker.peers, cors_of(broker.settings)),
        TopicStreamEndpoint(broker.tails),
        RecordStreamEndpoint(
            broker.partitions, broker.record_append_path, broker.record_streams, max_line_bytes
        ),
    )
