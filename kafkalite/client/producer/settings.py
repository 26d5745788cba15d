"""What a producer can be told, by Kafka's names, and what its parts are told of it."""

import random
from collections.abc import Callable
from typing import Annotated, Final, Literal

from kafkalite.client.errors import ConfigError
from kafkalite.client.producer.accumulator import BatchOptions
from kafkalite.client.producer.core import CoreOptions
from kafkalite.client.producer.partition_queue import MAX_UNACKNOWLEDGED
from kafkalite.client.producer.partitioner import Partitioner, RoundRobin
from kafkalite.client.producer.sender import SendOptions
from kafkalite.client.serializers import Serializer, serializer
from kafkalite.client.settings import MAX_INT, MAX_LONG, ClientSettings, setting
from kafkalite.model.compression import Compression, parse_compression
from kafkalite.model.errors import InvalidConfigError
from kafkalite.wire.messages import ACKS_ALL, ACKS_NONE

_DEFAULT_PARTITIONERS: Final = frozenset({"", "default", "DefaultPartitioner"})
_ROUND_ROBIN: Final = frozenset({"round_robin", "RoundRobinPartitioner"})


class ProducerSettings(ClientSettings, frozen=True, kw_only=True):
    """The settings of `Producer` and `AsyncProducer`."""

    acks: Annotated[
        int,
        setting(
            "Who must have stored a record before it counts as sent: all in-sync replicas (all or "
            "-1), the leader (1), nobody (0).",
            ge=-1,
            le=1,
            words={"all": ACKS_ALL},
        ),
    ] = ACKS_ALL
    batch_size: Annotated[
        int,
        setting(
            "Bytes up to which records of one partition are sent as one batch; a batch does not "
            "wait to be full unless linger.ms says so. Kafka's default is 16384: here each batch "
            "is an HTTP request.",
            ge=0,
            le=MAX_INT,
        ),
    ] = 1_000_000
    linger_ms: Annotated[
        int,
        setting("How long a record waits for others to share its batch.", ge=0, le=MAX_INT),
    ] = 0
    buffer_memory: Annotated[
        int,
        setting(
            "Bytes that records may take until they are acknowledged, those under way included.",
            ge=1,
            le=MAX_LONG,
        ),
    ] = 32 << 20
    max_block_ms: Annotated[
        int,
        setting(
            "How long send waits for memory, or to learn which partitions a topic has.",
            ge=0,
            le=MAX_LONG,
        ),
    ] = 60_000
    max_request_size: Annotated[
        int,
        setting("Bytes of the largest request, and so of the largest record.", ge=1, le=MAX_INT),
    ] = 1 << 20
    compression_type: Annotated[
        Literal["none", "gzip", "snappy", "lz4", "zstd"],
        setting("How batches are compressed."),
    ] = "none"
    enable_idempotence: Annotated[
        bool | None,
        setting(
            "Whether each record is stored once and in order although it may be sent several "
            "times. Unless it is set, it is on except with acks=0, retries=0 or more than 5 "
            "requests in flight."
        ),
    ] = None
    max_in_flight_requests_per_connection: Annotated[
        int,
        setting("Requests to one broker whose answers are awaited.", ge=1, le=MAX_INT),
    ] = MAX_UNACKNOWLEDGED
    retries: Annotated[
        int,
        setting(
            "How often a batch is sent again after it was refused, or not answered. Brokers that "
            "cannot be reached or do not lead are not counted; delivery.timeout.ms ends it all.",
            ge=0,
            le=MAX_INT,
        ),
    ] = MAX_INT
    delivery_timeout_ms: Annotated[
        int,
        setting(
            "How long after `send` a record may still be waiting, under way or sent again.",
            ge=0,
            le=MAX_INT,
        ),
    ] = 120_000
    partitioner_class: Annotated[
        str | Callable[[str, bytes | None, bytes | None, int], int],
        setting(
            "Where records go: default (by key, else one partition until a batch has gone there), "
            "round_robin, or a function (topic, key, value, partition count) -> partition."
        ),
    ] = "default"
    partitioner_ignore_keys: Annotated[
        bool, setting("Whether the default partitioner treats records as if they had no key.")
    ] = False
    partitioner_adaptive_partitioning_enable: Annotated[
        bool, setting("Whether records without a key avoid partitions for which more waits.")
    ] = True
    key_serializer: Annotated[
        str | Serializer,
        setting(
            "How keys become bytes: bytes (as they are), str, json, msgpack, long, int, short, "
            "double, float, or a function."
        ),
    ] = "bytes"
    value_serializer: Annotated[str | Serializer, setting("The same for values.")] = "bytes"

    def check(self) -> None:
        """See `ClientSettings`."""
        super().check()
        if self.delivery_timeout_ms < self.linger_ms + self.request_timeout_ms:
            raise ConfigError(
                f"delivery.timeout.ms ({self.delivery_timeout_ms}) must be at least linger.ms + "
                f"request.timeout.ms ({self.linger_ms + self.request_timeout_ms})"
            )
        if self.enable_idempotence and self._against_idempotence:
            raise ConfigError(f"enable.idempotence cannot be had with {self._against_idempotence}")
        self.partitioner()
        self.serializers()

    @property
    def is_idempotent(self) -> bool:
        """Whether batches are numbered."""
        if self.enable_idempotence is None:
            return not self._against_idempotence
        return self.enable_idempotence

    @property
    def _against_idempotence(self) -> str:
        """The setting with which it cannot be had; empty if there is none."""
        if self.acks == ACKS_NONE:
            return "acks=0"
        if not self.retries:
            return "retries=0"
        if self.max_in_flight_requests_per_connection > MAX_UNACKNOWLEDGED:
            return f"max.in.flight.requests.per.connection above {MAX_UNACKNOWLEDGED}"
        return ""

    @property
    def compression(self) -> Compression:
        """The codec."""
        return parse_compression(self.compression_type)

    def partitioner(self) -> Partitioner | None:
        """A new one; None for Kafka's default.

        Raises:
            ConfigError: nothing is called so.
        """
        named = self.partitioner_class
        if not isinstance(named, str):
            return named
        name = named.rpartition(".")[2]
        if name in _DEFAULT_PARTITIONERS:
            return None
        if name in _ROUND_ROBIN:
            return RoundRobin()
        raise ConfigError(f"partitioner.class: {named!r} is none of default, round_robin")

    def serializers(self) -> tuple[Serializer | None, Serializer | None]:
        """Those of keys and of values; None where bytes are sent as they are.

        Raises:
            ConfigError: nothing is called so.
        """
        try:
            return serializer(self.key_serializer), serializer(self.value_serializer)
        except InvalidConfigError as error:
            raise ConfigError(error.detail) from None

    def core_options(self) -> CoreOptions:
        """What the parts of a producer are told."""
        return CoreOptions(
            batch=BatchOptions(
                batch_bytes=self.batch_size,
                max_request_bytes=self.max_request_size,
                delivery_timeout_s=self.delivery_timeout_ms / 1000,
                compression=self.compression,
                partitioner=self.partitioner(),
                ignores_keys=self.partitioner_ignore_keys,
            ),
            send=SendOptions(
                acks=self.acks,
                linger_s=self.linger_ms / 1000,
                max_in_flight=self.max_in_flight_requests_per_connection,
                max_request_bytes=self.max_request_size,
                request_timeout_s=self.request_timeout_ms / 1000,
                metadata_max_age_s=self.metadata_max_age_ms / 1000,
            ),
            buffer_bytes=self.buffer_memory,
            is_idempotent=self.is_idempotent,
            retries=self.retries,
            max_block_s=self.max_block_ms / 1000,
            is_adaptive=self.partitioner_adaptive_partitioning_enable,
        )

    def backoff_s(self, failures: int) -> float:
        """How long to wait after so many failures in a row: exponential, with full jitter."""
        doublings = min(max(failures - 1, 0), 30)
        bound_ms = min(self.retry_backoff_ms << doublings, self.retry_backoff_max_ms)
        return random.random() * bound_ms / 1000
