"""Reads partitions from their leaders, one long-polling request in flight to each."""

import select
import time
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from kafkalite.cli.broker_address import shown
from kafkalite.cli.data_connection import DataConnection
from kafkalite.cli.failure import CommandError, NoBrokerError
from kafkalite.cli.positions import UNKNOWN
from kafkalite.model.errors import LogError, NetworkError, error_by_code
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.batch import BatchHeader, read_headers
from kafkalite.wire.messages import FetchPartition, FetchRequest, FetchResponse, FetchResult

_FETCH_PATH: Final = "/v1/fetch"
_ANSWER_TIMEOUT_S: Final = 30.0
"""How much longer than it was asked to wait a broker may stay silent."""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(FetchResponse).decode


class FetchOptions(NamedTuple):
    """How much to ask for; the fields are Kafka's consumer settings."""

    max_bytes: int = 8 << 20
    partition_max_bytes: int = 1 << 20
    min_bytes: int = 1
    max_wait_ms: int = 500


class Fetched(NamedTuple):
    """Whole batches of one partition, or why there are none."""

    topic_partition: TopicPartition
    position: int
    """Offset that was asked for: the first batch may begin before it."""
    batches: memoryview
    headers: list[BatchHeader]
    error: LogError | None = None


class _Link:
    """A leader, what is read from it, and the request that it has not answered yet."""

    def __init__(self, connection: DataConnection) -> None:
        self.connection = connection
        self.partitions: list[TopicPartition] = []
        self.asked: list[FetchPartition] | None = None
        self.answer_due_s = 0.0


class PartitionFetcher:
    """Owned by one command, single-threaded: `assign`, then `poll` again and again.

    The positions belong to the caller; a poll moves them past what it gives.
    """

    def __init__(
        self,
        options: FetchOptions,
        positions: dict[TopicPartition, int],
        *,
        output: int | None = None,
        news: int | None = None,
    ) -> None:
        """Assign only.

        Args:
            options: how much to ask for.
            positions: the offset of the next record, of each partition; what has none, or an
                UNKNOWN one, is not asked for.
            output: a pipe to watch: when its reader has gone, polling is in vain.
            news: ends a poll at once when there is something to read from it.
        """
        self._options = options
        self._positions = positions
        self._output = output
        self._news = news
        self._links: dict[str, _Link] = {}
        self._trouble: LogError | NoBrokerError | None = None
        self.answers = 0
        """How many requests were answered."""

    def assign(self, leaders: Mapping[TopicPartition, str]) -> None:
        """Read these partitions from these leaders from now on."""
        wanted: dict[str, list[TopicPartition]] = {}
        for topic_partition, url in leaders.items():
            wanted.setdefault(url, []).append(topic_partition)
        for url in [url for url in self._links if url not in wanted]:
            self._links.pop(url).connection.close()
        for url, partitions in wanted.items():
            if url not in self._links:
                timeout_s = self._options.max_wait_ms / 1000 + _ANSWER_TIMEOUT_S
                self._links[url] = _Link(DataConnection(url, timeout_s))
            self._links[url].partitions = partitions

    @property
    def is_whole(self) -> bool:
        """Whether every leader is asked for something: none was given up since the assignment."""
        return all(link.partitions for link in self._links.values())

    def take_trouble(self) -> LogError | NoBrokerError | None:
        """What went wrong since the last call and may be cured by another assignment."""
        trouble, self._trouble = self._trouble, None
        return trouble

    def poll(self, timeout_s: float) -> list[Fetched]:
        """Wait for answers; gives what they hold, and errors that concern one partition only.

        Raises:
            BrokenPipeError: nobody reads the output any more.
        """
        for link in self._links.values():
            if link.asked is None and link.partitions:
                self._send(link)
        fetched: list[Fetched] = []
        for link in self._wait(timeout_s):
            fetched += self._receive(link)
            if link.partitions:
                self._send(link)  # under way while the caller works on what came
        return fetched

    def close(self) -> None:
        for link in self._links.values():
            link.connection.close()

    def _wait(self, timeout_s: float) -> list[_Link]:
        waiting = select.poll()
        by_descriptor: dict[int, _Link] = {}
        now = time.monotonic()
        for link in self._links.values():
            if link.asked is None:
                continue
            if now > link.answer_due_s:
                self._give_up(
                    link, NetworkError(f"{shown(link.connection.url)} did not answer in time")
                )
                continue
            descriptor = link.connection.fileno()
            by_descriptor[descriptor] = link
            waiting.register(descriptor, select.POLLIN)
        if self._output is not None:
            waiting.register(self._output, 0)  # errors are always told
        if self._news is not None:
            waiting.register(self._news, select.POLLIN)
        ready = []
        for descriptor, _ in waiting.poll(max(timeout_s, 0) * 1000):
            if descriptor == self._output:
                raise BrokenPipeError
            if descriptor == self._news:
                continue
            ready.append(by_descriptor[descriptor])
        return ready

    def _send(self, link: _Link) -> None:
        options = self._options
        # The last one first next time: who comes late must not starve behind a full answer.
        link.partitions = link.partitions[-1:] + link.partitions[:-1]
        asked = [
            FetchPartition(
                found.topic,
                found.partition,
                self._positions[found],
                max_bytes=options.partition_max_bytes,
            )
            for found in link.partitions
            if self._positions.get(found, UNKNOWN) != UNKNOWN
        ]
        if not asked:
            return
        request = FetchRequest(
            asked,
            max_wait_ms=options.max_wait_ms,
            min_bytes=options.min_bytes,
            max_bytes=options.max_bytes,
        )
        try:
            link.connection.send(_FETCH_PATH, _encode(request))
        except (NoBrokerError, LogError) as error:
            self._give_up(link, error)
            return
        link.asked = asked
        link.answer_due_s = time.monotonic() + options.max_wait_ms / 1000 + _ANSWER_TIMEOUT_S

    def _receive(self, link: _Link) -> list[Fetched]:
        asked, link.asked = link.asked, None
        try:
            results = _decode(link.connection.receive()).partitions
        except LogError as error:
            self._give_up(link, error)
            return []
        except msgspec.DecodeError:
            raise CommandError(
                f"{shown(link.connection.url)} is not a broker of kafkalite."
            ) from None
        self.answers += 1
        fetched = []
        for request, result in zip(asked or (), results, strict=True):
            topic_partition = TopicPartition(request.topic, request.partition)
            if self._positions.get(topic_partition) != request.offset:
                continue  # another leader was asked meanwhile, or it is another topic now
            if result.error_code:
                fetched += self._refused(link, topic_partition, result)
            elif result.batches:
                fetched.append(self._take(topic_partition, result))
        return fetched

    def _take(self, topic_partition: TopicPartition, result: FetchResult) -> Fetched:
        position = self._positions[topic_partition]
        try:
            headers = read_headers(result.batches)
        except LogError as error:
            return Fetched(topic_partition, position, memoryview(b""), [], error)
        self._positions[topic_partition] = headers[-1].next_offset
        return Fetched(topic_partition, position, memoryview(result.batches), headers)

    def _refused(
        self, link: _Link, topic_partition: TopicPartition, result: FetchResult
    ) -> list[Fetched]:
        """An error of one partition: the caller's, or trouble that another leader may cure."""
        error = error_by_code(result.error_code)(result.message or None)
        link.partitions = [found for found in link.partitions if found != topic_partition]
        if error.refresh_metadata:
            self._trouble = error
            return []
        position = self._positions[topic_partition]
        return [Fetched(topic_partition, position, memoryview(b""), [], error)]

    def _give_up(self, link: _Link, error: LogError | NoBrokerError) -> None:
        """Ask this leader nothing more until somebody has looked who leads."""
        link.connection.close()
        link.asked = None
        link.partitions = []
        self._trouble = error
