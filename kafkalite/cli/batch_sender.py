"""Sends batches to the leaders of a topic's partitions until each is stored or given up."""

import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec

from kafkalite.cli.backoff import Backoff
from kafkalite.cli.broker_address import shown
from kafkalite.cli.cluster import Cluster
from kafkalite.cli.data_connection import DataConnection
from kafkalite.cli.failure import CommandError, NoBrokerError
from kafkalite.cli.interruption import Interruption
from kafkalite.cli.partition_batches import PartitionBatch
from kafkalite.model.compression import Compression
from kafkalite.model.errors import (
    LeaderNotAvailableError,
    LogError,
    MessageTooLargeError,
    NotLeaderOrFollowerError,
    RecordListTooLargeError,
    RequestTooLargeError,
    UnknownTopicOrPartitionError,
    error_by_code,
)
from kafkalite.wire.messages import (
    PartitionBatches,
    ProduceRequest,
    ProduceResponse,
    ProduceResult,
)
from kafkalite.wire.records import encode_batch

_PRODUCE_PATH: Final = "/v1/produce"
_ANSWER_SLACK_S: Final = 5.0
"""Longer than the broker itself takes to give a request up."""
_TOO_LARGE: Final = (MessageTooLargeError, RecordListTooLargeError, RequestTooLargeError)
_LED_ELSEWHERE: Final = (LeaderNotAvailableError, NotLeaderOrFollowerError)
"""Nothing was stored: this is no attempt, only the wrong moment or the wrong broker."""
_encode = msgspec.msgpack.Encoder().encode
_decode_response = msgspec.msgpack.Decoder(ProduceResponse).decode


class SendOptions(NamedTuple):
    """How records are sent; the fields are Kafka's producer settings."""

    acks: int = -1
    compression: Compression = Compression.NONE
    request_timeout_ms: int = 30_000
    retries: int = 3
    retry_backoff_ms: int = 100
    max_block_ms: int = 60_000
    """How long to wait for a leader that can be reached."""


class BatchSender:
    """Sends to one topic, one request at a time, so the records of a partition keep their order.

    Owned by one command, single-threaded. A batch that a broker refuses for good, or too often,
    goes to `on_failure` and the others go on. A request whose answer is lost is sent again, so a
    record may be stored twice, never out of order.
    """

    def __init__(
        self,
        cluster: Cluster,
        topic: str,
        options: SendOptions,
        *,
        interruption: Interruption,
        on_failure: Callable[[PartitionBatch, LogError | None], None],
        on_notice: Callable[[str], None],
    ) -> None:
        """Tell what happens by callbacks.

        Args:
            interruption: looked at before each pause.
            on_failure: gets a batch that is not stored, and the broker's error; None for a batch
                that was never sent, which `send` explains with the exception that it raises.
            on_notice: gets a sentence when sending pauses for something that may heal.
        """
        self._cluster = cluster
        self._topic = topic
        self._options = options
        self._interruption = interruption
        self._on_failure = on_failure
        self._on_notice = on_notice
        self._connections: dict[str, DataConnection] = {}
        self._leaders: dict[int, str] = {}
        self._backoff = Backoff(options.retry_backoff_ms / 1000, 1.0)
        self._waiting_since: float | None = None
        self.partition_count = 0

    @property
    def led_partitions(self) -> list[int]:
        """Partitions that have a leader, as far as is known."""
        return sorted(self._leaders)

    def open(self) -> None:
        """Find the topic's leaders; a topic that does not exist is created, where brokers may.

        Raises:
            NoBrokerError: no broker could be reached within `max_block_ms`.
            LogError: the topic is not there and brokers do not create it.
        """
        while True:
            try:
                self._refresh()
            except UnknownTopicOrPartitionError:
                self._create_topic()
            except NoBrokerError as error:
                self._wait(error)
            except LogError as error:
                if not error.retriable:
                    raise
                self._wait(error)
            else:
                self._waiting_since = None
                return

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()

    def send(self, batches: Sequence[PartitionBatch]) -> None:
        """Send batches, at most one a partition, and return when each is stored or given up.

        Raises:
            NoBrokerError: a leader could not be reached within `max_block_ms`.
            KeyboardInterrupt: somebody did not want to wait for that.
        """
        try:
            pending = list(batches)
            while pending:
                again: list[PartitionBatch] = []
                by_leader = self._by_leader(pending, again)
                if again:
                    where = f"{self._topic}-{again[0].partition}"
                    self._wait(NoBrokerError(f"Partition {where} has no leader."))
                for url, group in by_leader.items():
                    again += self._send_to(url, group)
                pending = again
                if pending:
                    self._refresh_leaders()
        except (CommandError, KeyboardInterrupt):
            for batch in batches:
                self._fail(batch, None)
            raise

    def _by_leader(
        self, batches: Sequence[PartitionBatch], leaderless: list[PartitionBatch]
    ) -> dict[str, list[PartitionBatch]]:
        groups: dict[str, list[PartitionBatch]] = {}
        for batch in batches:
            url = self._leaders.get(batch.partition)
            if url is None:
                leaderless.append(batch)
            else:
                groups.setdefault(url, []).append(batch)
        return groups

    def _send_to(self, url: str, batches: list[PartitionBatch]) -> list[PartitionBatch]:
        """Send to one leader; gives the batches that are worth another attempt."""
        try:
            results = self._exchange(url, batches)
        except NoBrokerError as error:
            self._wait(error)  # nothing was sent: this is no attempt
            return batches
        except LogError as error:
            return [batch for batch in batches if self._is_retried(batch, error)]
        again = []
        elsewhere: LogError | None = None
        for batch, result in zip(batches, results, strict=True):
            if not result.error_code:
                batch.is_settled = True
                continue
            refused = error_by_code(result.error_code)(result.message or None)
            if isinstance(refused, _LED_ELSEWHERE):
                elsewhere = refused
                again.append(batch)
            elif self._is_retried(batch, refused):
                again.append(batch)
        if elsewhere is None:
            self._waiting_since = None
        else:
            self._wait(elsewhere)
        return again

    def _is_retried(self, batch: PartitionBatch, error: LogError) -> bool:
        """Whether to send `batch` again; a batch that is too large goes on as smaller ones."""
        if isinstance(error, _TOO_LARGE) and len(batch.records) > 1:
            batch.is_settled = True
            self._send_in_turn(batch.halves())
            return False
        return not self._is_given_up(batch, error)

    def _send_in_turn(self, batches: Sequence[PartitionBatch]) -> None:
        """Send batches for the same partition one after the other."""
        try:
            for batch in batches:
                self.send([batch])
        except (CommandError, KeyboardInterrupt):
            for batch in batches:
                self._fail(batch, None)
            raise

    def _is_given_up(self, batch: PartitionBatch, error: LogError) -> bool:
        if error.retriable and batch.attempts < self._options.retries:
            batch.attempts += 1
            return False
        self._fail(batch, error)
        return True

    def _fail(self, batch: PartitionBatch, error: LogError | None) -> None:
        if not batch.is_settled:
            batch.is_settled = True
            self._on_failure(batch, error)

    def _exchange(self, url: str, batches: list[PartitionBatch]) -> list[ProduceResult]:
        now_ms = time.time_ns() // 1_000_000
        entries = [
            PartitionBatches(
                self._topic,
                batch.partition,
                memoryview(
                    encode_batch(
                        batch.records, now_ms=now_ms, compression=self._options.compression
                    )
                ),
            )
            for batch in batches
        ]
        return self._produce(url, entries)

    def _produce(self, url: str, entries: list[PartitionBatches]) -> list[ProduceResult]:
        connection = self._connections.get(url)
        if connection is None:
            timeout_s = self._options.request_timeout_ms / 1000 + _ANSWER_SLACK_S
            connection = self._connections[url] = DataConnection(url, timeout_s)
        request = ProduceRequest(
            entries, acks=self._options.acks, timeout_ms=self._options.request_timeout_ms
        )
        connection.send(_PRODUCE_PATH, _encode(request))
        try:
            return _decode_response(connection.receive()).partitions
        except msgspec.DecodeError:
            raise CommandError(f"{shown(url)} is not a broker of kafkalite.") from None

    def _refresh_leaders(self) -> None:
        """Pause, then look who leads now."""
        self._pause()
        try:
            self._refresh()
        except NoBrokerError as error:
            self._wait(error)
        except LogError:
            return  # the next attempt says what is wrong
        else:
            self._backoff.reset()

    def _refresh(self) -> None:
        urls = self._cluster.broker_urls()
        topic = self._cluster.topic(self._topic)
        self.partition_count = topic.partition_count
        self._leaders = {
            partition.partition: urls[partition.leader]
            for partition in topic.partitions
            if partition.leader in urls
        }

    def _create_topic(self) -> None:
        """Have a broker create the topic as it does for any producer: by sending it something.

        What is sent is empty, so nothing is stored wherever the broker puts it.
        """
        entries = [PartitionBatches(self._topic, 0, memoryview(b""))]
        result = self._produce(self._cluster.known_urls[0], entries)[0]
        error = error_by_code(result.error_code)
        if error is UnknownTopicOrPartitionError:
            raise error(result.message or f"Topic '{self._topic}' does not exist.")
        self._wait(NoBrokerError(f"Topic '{self._topic}' is being created."), is_news=False)

    def _wait(self, error: NoBrokerError | LogError, *, is_news: bool = True) -> None:
        """Pause for something that may heal; raises NoBrokerError when that lasts too long."""
        now = time.monotonic()
        limit_s = self._options.max_block_ms / 1000
        if self._waiting_since is None:
            self._waiting_since = now
            if is_news:
                self._on_notice(f"{str(error).rstrip('.')}. Trying again for {limit_s:g} s.")
        elif now - self._waiting_since > limit_s:
            raise NoBrokerError(str(error))
        self._pause()

    def _pause(self) -> None:
        with self._interruption.may_raise():
            time.sleep(self._backoff.next_pause())
