"""`kafkalite console-producer`: kafka-console-producer, lines of standard input as records."""

import argparse
import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

from kafkalite.cli.batch_sender import BatchSender, SendOptions
from kafkalite.cli.client_properties import ClientProperties, load_properties
from kafkalite.cli.cluster import Cluster
from kafkalite.cli.command_line import (
    CommandParser,
    add_connection_arguments,
    check_connection_arguments,
    key_value,
    natural_number,
    positive_number,
)
from kafkalite.cli.failure import EXIT_FAILURE, CommandError
from kafkalite.cli.interruption import Interruption
from kafkalite.cli.line_parser import LineParser
from kafkalite.cli.line_source import LineSource
from kafkalite.cli.partition_batches import PartitionBatch, PartitionBatches
from kafkalite.model.compression import parse_compression
from kafkalite.model.errors import InvalidConfigError, LogError, MessageTooLargeError
from kafkalite.model.record import Record
from kafkalite.model.topic_name import check_topic_name

_BATCH_BYTES: Final = 256 << 10
"""Larger than Kafka's 16 KiB: each batch is an HTTP request."""
_BUFFER_BYTES: Final = 32 << 20
_MANY_RECORDS: Final = 1 << 30
_SHOWN_FAILURES: Final = 10
"""Failures told one by one; the rest are counted."""
_LONGEST_WAIT_S: Final = 1.0
"""No record waits longer than this, or --timeout, while others keep coming."""
_STDIN: Final = 0
_ACKS: Final = {"-1": -1, "all": -1, "0": 0, "1": 1}
_NOT_BUILT: Final = ("transactional.id", "enable.idempotence")


class _Progress(Protocol):
    """What a progress bar must do."""

    def update(self, n: float) -> object: ...


class _Options(NamedTuple):
    send: SendOptions
    batch_bytes: int
    batch_records: int
    buffer_bytes: int
    linger_s: float


def add_arguments(parser: CommandParser) -> None:
    """Declare kafka-console-producer's options on `parser`."""
    add_connection_arguments(parser)
    parser.add_argument("--topic", help="the topic to send to")
    parser.add_argument(
        "--sync", action="store_true", help="send each line by itself and wait until it is stored"
    )
    parser.add_argument(
        "--compression-codec",
        nargs="?",
        const="gzip",
        metavar="CODEC",
        help="none (default), gzip, snappy, lz4 or zstd; gzip when no codec is named",
    )
    parser.add_argument(
        "--batch-size",
        type=positive_number,
        metavar="BYTES",
        help=f"send the lines for a partition when they are this many bytes ({_BATCH_BYTES})",
    )
    parser.add_argument(
        "--timeout",
        type=natural_number,
        metavar="MS",
        help="wait this long for more lines while a batch is not full (0: never)",
    )
    parser.add_argument(
        "--message-send-max-retries",
        type=natural_number,
        metavar="N",
        help="how often a batch is sent again after an error that may pass (3)",
    )
    parser.add_argument(
        "--retry-backoff-ms", type=natural_number, metavar="MS", help="pause before that (100)"
    )
    parser.add_argument(
        "--request-required-acks",
        choices=sorted(_ACKS),
        metavar="ACKS",
        help="-1 or all: stored by every in-sync replica (default); 1: by the leader; 0: sent",
    )
    parser.add_argument(
        "--request-timeout-ms",
        type=positive_number,
        metavar="MS",
        help="how long a broker may take to answer (30000)",
    )
    parser.add_argument(
        "--max-block-ms",
        type=natural_number,
        metavar="MS",
        help="how long to wait for brokers that cannot be reached (60000)",
    )
    parser.add_argument(
        "--max-memory-bytes",
        type=positive_number,
        metavar="BYTES",
        help=f"lines kept in memory, and the longest line ({_BUFFER_BYTES})",
    )
    parser.add_argument(
        "--property",
        action="append",
        type=key_value,
        metavar="K=V",
        help="how a line is read: parse.key, key.separator, parse.headers, headers.delimiter, "
        "headers.separator, headers.key.separator, null.marker, ignore.error",
    )
    parser.add_argument("--reader-config", metavar="FILE", help="a file with such properties")
    parser.add_argument(
        "--producer-property",
        action="append",
        type=key_value,
        metavar="K=V",
        help="a setting of the producer by Kafka's name, such as linger.ms=5",
    )
    parser.add_argument("--producer.config", metavar="FILE", help="a file with such settings")
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Send standard input to the topic; gives the exit code."""
    args.parser.require(args, ["topic"])
    check_connection_arguments(args.parser, args)
    check_topic_name(args.topic)
    options = _options(args)
    lines = LineParser({**load_properties(args.reader_config), **dict(args.property or [])})
    with (
        Interruption() as interruption,
        Cluster.from_arguments(args, retry_for_s=0) as cluster,
    ):
        source = LineSource(_STDIN, options.buffer_bytes)
        producer = _ConsoleProducer(cluster, args.topic, options, lines, interruption)
        return producer.run(source)


class _ConsoleProducer:
    """Moves lines from a source to a topic, and keeps count of what failed."""

    def __init__(
        self,
        cluster: Cluster,
        topic: str,
        options: _Options,
        lines: LineParser,
        interruption: Interruption,
    ) -> None:
        self._topic = topic
        self._options = options
        self._lines = lines
        self._interruption = interruption
        self._sender = BatchSender(
            cluster,
            topic,
            options.send,
            interruption=interruption,
            on_failure=self._note_failure,
            on_notice=_say,
        )
        self._batches = PartitionBatches(1, options.batch_bytes, options.batch_records)
        self._failures: Counter[str] = Counter()
        self._line_number = 0
        self._oldest_s = 0.0
        self._has_prompt = os.isatty(_STDIN) and sys.stdout.isatty()

    def run(self, source: LineSource) -> int:
        """Send everything; gives the exit code."""
        try:
            self._sender.open()
            self._batches = PartitionBatches(
                self._sender.partition_count,
                self._options.batch_bytes,
                self._options.batch_records,
            )
            with _progress(source) as progress:
                self._send_lines(source, progress)
        except KeyboardInterrupt:
            self._interruption.requested = True
        except CommandError as error:
            _say(str(error))
            self._report()
            return error.exit_code
        finally:
            self._sender.close()
        self._report()
        if self._interruption.requested:
            return self._interruption.exit_code
        return EXIT_FAILURE if self._failures else 0

    def _send_lines(self, source: LineSource, progress: _Progress) -> None:
        """Read and send until the end of input, a broken line or an interruption.

        What was read in good order is sent in each of these cases.
        """
        try:
            while not self._interruption.requested:
                if self._batches.size and self._is_due(source):
                    self._sender.send(self._batches.take_all())
                before = source.bytes_read
                lines = self._read(source)
                if lines is None:
                    break
                self._add(lines)
                progress.update(source.bytes_read - before)
        except KeyboardInterrupt:
            self._interruption.requested = True
        finally:
            self._sender.send(self._batches.take_all())

    def _is_due(self, source: LineSource) -> bool:
        """Whether to send what there is: nothing more comes, or the first of it has waited."""
        age_s = time.monotonic() - self._oldest_s
        if age_s >= max(self._options.linger_s, _LONGEST_WAIT_S):
            return True
        with self._interruption.may_raise():
            return not source.has_more(max(self._options.linger_s - age_s, 0))

    def _read(self, source: LineSource) -> list[bytes | None] | None:
        if self._has_prompt:
            print(">", end="", flush=True)
        with self._interruption.may_raise():
            source.wait()  # apart from reading: an interruption must not lose what was read
        return source.read()

    def _add(self, lines: list[bytes | None]) -> None:
        """Take lines in, and send each batch that they fill."""
        if not self._batches.size:
            self._oldest_s = time.monotonic()
        self._batches.available = self._sender.led_partitions
        is_plain = self._lines.is_plain
        for number, line in enumerate(lines, self._line_number + 1):
            self._line_number = number
            if line is None:
                self._note_overlong(number)
                continue
            record = Record(line) if is_plain else self._lines.parse(line, number)
            full = self._batches.add(record, number)
            if full is not None:
                self._sender.send([full])
            elif self._batches.size >= self._options.buffer_bytes:
                self._sender.send(self._batches.take_all())

    def _note_overlong(self, number: int) -> None:
        error = MessageTooLargeError(
            f"The line is longer than {self._options.buffer_bytes} bytes, which is the value of "
            "max-memory-bytes"
        )
        batch = PartitionBatch(-1)
        batch.records, batch.lines = [Record(None)], [number]
        self._note_failure(batch, error)

    def _note_failure(self, batch: PartitionBatch, error: LogError | None) -> None:
        """Count the records of a batch that is given up, and say so unless that is old news."""
        if error is None:
            self._failures["not sent"] += len(batch.records)
            return
        if sum(self._failures.values()) < _SHOWN_FAILURES:
            first, last = batch.lines[0], batch.lines[-1]
            where = f"Line {first}" if first == last else f"Lines {first} to {last}"
            if len(batch.lines) > 1:
                where += f" ({len(batch.lines)} records for {self._topic}-{batch.partition})"
            _say(f"{where}: {error.name}: {error.detail}")
        self._failures[error.name] += len(batch.records)

    def _report(self) -> None:
        """Say what is missing from the topic."""
        for batch in self._batches.take_all():
            self._note_failure(batch, None)
        if self._failures:
            reasons = ", ".join(f"{name} {count}" for name, count in self._failures.items())
            _say(
                f"{sum(self._failures.values())} of {self._line_number} records were not stored "
                f"({reasons})."
            )


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)


@contextlib.contextmanager
def _progress(source: LineSource) -> Iterator[_Progress]:
    """A progress bar where somebody sees it and the end is known; else nothing."""
    is_shown = source.size is not None and sys.stderr.isatty()
    if not is_shown:
        yield _NoProgress()
        return
    from tqdm import tqdm  # noqa: PLC0415 - only those who watch wait for it

    with tqdm(total=source.size, unit="B", unit_scale=True, unit_divisor=1024) as bar:
        yield bar


class _NoProgress:
    def update(self, n: float) -> None:
        """Show nothing."""


def _options(args: argparse.Namespace) -> _Options:
    """Options of the command line, else of the properties, else defaults."""
    given = ClientProperties(getattr(args, "producer.config"), args.producer_property or [])

    def number(option: int | None, key: str, default: int) -> int:
        value = given.number(key)
        if option is not None:
            return option
        return default if value is None else value

    codec = args.compression_codec or given.text("compression.type") or "none"
    acks = args.request_required_acks or given.text("acks") or "all"
    if acks not in _ACKS:
        raise CommandError(f"Invalid value {acks} for configuration acks: it is all, -1, 0 or 1")
    try:
        compression = parse_compression(codec)
    except InvalidConfigError as error:
        raise CommandError(str(error)) from None
    given.text("client.id")
    options = _Options(
        SendOptions(
            acks=_ACKS[acks],
            compression=compression,
            request_timeout_ms=number(args.request_timeout_ms, "request.timeout.ms", 30_000),
            retries=number(args.message_send_max_retries, "retries", 3),
            retry_backoff_ms=number(args.retry_backoff_ms, "retry.backoff.ms", 100),
            max_block_ms=number(args.max_block_ms, "max.block.ms", 60_000),
        ),
        batch_bytes=number(args.batch_size, "batch.size", _BATCH_BYTES),
        batch_records=1 if args.sync else _MANY_RECORDS,
        buffer_bytes=number(args.max_memory_bytes, "buffer.memory", _BUFFER_BYTES),
        linger_s=number(args.timeout, "linger.ms", 0) / 1000,
    )
    given.check_rest(_NOT_BUILT)
    return options
