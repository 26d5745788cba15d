"""`kafkalite console-producer`: kafka-console-producer, lines of standard input as records."""

import argparse
import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from typing import Final, Protocol

from kafkalite.cli.broker_address import brokers_of
from kafkalite.cli.client_properties import ClientProperties, load_properties
from kafkalite.cli.command_line import (
    CommandParser,
    add_connection_arguments,
    check_connection_arguments,
    key_value,
    natural_number,
    positive_number,
)
from kafkalite.cli.failure import EXIT_FAILURE, CommandError, NoBrokerError
from kafkalite.cli.interruption import Interruption
from kafkalite.cli.line_parser import LineParser
from kafkalite.cli.line_source import LineSource
from kafkalite.cli.sent_lines import LineFailures, SentLines
from kafkalite.client.errors import BufferExhaustedError, ConfigError
from kafkalite.client.producer.delivery import Delivery
from kafkalite.client.producer.producer import Producer
from kafkalite.client.producer.settings import ProducerSettings
from kafkalite.model.compression import parse_compression
from kafkalite.model.errors import InvalidConfigError, MessageTooLargeError
from kafkalite.model.topic_name import check_topic_name

_GOES_ON: Final = "Trying again for"
"""What the client says itself of some things."""
_BATCH_BYTES: Final = 256 << 10
"""Larger than Kafka's 16 KiB: each batch is an HTTP request."""
_BUFFER_BYTES: Final = 32 << 20
_LAST_CHANCE_S: Final = 5.0
"""After Ctrl-C, for what was read before."""
_STDIN: Final = 0
_ACKS: Final = {"-1": -1, "all": -1, "0": 0, "1": 1}
_NOT_BUILT: Final = ("transactional.id",)
_LOGGER: Final = "kafkalite.client"


class _Progress(Protocol):
    """What a progress bar must do."""

    def update(self, n: float) -> object: ...


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
    lines = LineParser({**load_properties(args.reader_config), **dict(args.property or [])})
    given = _settings(args)
    given["bootstrap_servers"] = brokers_of(args)
    try:
        settings = ProducerSettings.of(given)
    except ConfigError as error:
        raise CommandError(str(error)) from None
    with Interruption() as interruption:
        source = LineSource(_STDIN, settings.buffer_memory)
        command = _ConsoleProducer(args.topic, settings, lines, interruption, is_sync=args.sync)
        with _notices(settings, command), Producer(**given) as producer:
            return command.run(producer, source)


class _ConsoleProducer:
    """Moves lines from a source to a topic, and keeps count of what failed."""

    def __init__(
        self,
        topic: str,
        settings: ProducerSettings,
        lines: LineParser,
        interruption: Interruption,
        *,
        is_sync: bool,
    ) -> None:
        self._topic = topic
        self._settings = settings
        self._lines = lines
        self._interruption = interruption
        self._is_sync = is_sync
        self._failures = LineFailures(topic, _say)
        self._sent = SentLines(self._failures)
        self._line_number = 0
        self._has_prompt = os.isatty(_STDIN) and sys.stdout.isatty()
        self.is_in_trouble = False
        """Whether brokers were away at some time."""

    def run(self, producer: Producer, source: LineSource) -> int:
        """Send everything; gives the exit code."""
        exit_code = 0
        try:
            with self._interruption.may_raise():
                producer.partitions_for(self._topic)
            with _progress(source) as progress:
                self._send_lines(producer, source, progress)
        except KeyboardInterrupt:
            self._interruption.requested = True
        except CommandError as error:
            _say(str(error))
            exit_code = error.exit_code
        self._finish(producer)
        self._failures.report(self._line_number)
        if self._interruption.requested:
            return self._interruption.exit_code
        return exit_code or (EXIT_FAILURE if self._failures else 0)

    def _send_lines(self, producer: Producer, source: LineSource, progress: _Progress) -> None:
        """Read and send until the end of input, a broken line or an interruption."""
        while not self._interruption.requested:
            before = source.bytes_read
            lines = self._read(source)
            if lines is None:
                return
            self._send(producer, lines)
            self._sent.settle()
            progress.update(source.bytes_read - before)

    def _read(self, source: LineSource) -> list[bytes | None] | None:
        if self._has_prompt:
            print(">", end="", flush=True)
        with self._interruption.may_raise():
            source.wait()  # apart from reading: an interruption must not lose what was read
        return source.read()

    def _send(self, producer: Producer, lines: list[bytes | None]) -> None:
        """Hand lines over; they are all taken, or the command ends."""
        first = self._line_number + 1
        values = [line for line in lines if line is not None]
        try:
            if self._lines.is_plain and not self._is_sync and len(values) == len(lines):
                self._line_number += len(lines)
                if values:
                    self._sent.add_many(first, producer.send_many(self._topic, values))
                return
            self._send_singly(producer, lines)
        except BufferExhaustedError as error:
            raise NoBrokerError(str(error)) from None

    def _send_singly(self, producer: Producer, lines: list[bytes | None]) -> None:
        sent: list[tuple[int, Delivery]] = []
        try:
            for line in lines:
                self._line_number += 1
                if line is None:
                    self._note_overlong(self._line_number)
                    continue
                if self._lines.is_plain:
                    delivery = producer.send(self._topic, line)
                else:
                    record = self._lines.parse(line, self._line_number)
                    delivery = producer.send(
                        self._topic, record.value, record.key, None, record.headers
                    )
                sent.append((self._line_number, delivery))
                if self._is_sync:
                    delivery.exception()
        finally:
            self._sent.add(sent)

    def _note_overlong(self, number: int) -> None:
        error = MessageTooLargeError(
            f"The line is longer than {self._settings.buffer_memory} bytes, which is the value of "
            "max-memory-bytes"
        )
        self._failures.note([number], -1, error)

    def _finish(self, producer: Producer) -> None:
        """Wait for what is under way; not for long once somebody wants to leave."""
        patience_s = None
        if self._interruption.requested:
            patience_s = 0 if self.is_in_trouble else _LAST_CHANCE_S
        try:
            producer.close(patience_s)
        except KeyboardInterrupt:
            self._interruption.requested = True
        self._sent.settle()


class _Notices(logging.Handler):
    """Tells people of what the producer warns of, once for each outage."""

    def __init__(self, settings: ProducerSettings, command: _ConsoleProducer) -> None:
        super().__init__(logging.WARNING)
        self._patience_s = settings.max_block_ms / 1000
        self._command = command

    def emit(self, record: logging.LogRecord) -> None:
        self._command.is_in_trouble = True
        sentence = record.getMessage().rstrip(".")
        if _GOES_ON not in sentence:
            sentence += f". {_GOES_ON} {self._patience_s:g} s"
        _say(f"{sentence}.")


@contextlib.contextmanager
def _notices(settings: ProducerSettings, command: _ConsoleProducer) -> Iterator[None]:
    logger, handler = logging.getLogger(_LOGGER), _Notices(settings, command)
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = True


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


def _settings(args: argparse.Namespace) -> dict[str, object]:
    """The producer's settings: of the command line, else of the properties, else defaults."""
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
        parse_compression(codec)
    except InvalidConfigError as error:
        raise CommandError(str(error)) from None
    request_timeout_ms = number(args.request_timeout_ms, "request.timeout.ms", 30_000)
    max_block_ms = number(args.max_block_ms, "max.block.ms", 60_000)
    linger_ms = number(args.timeout, "linger.ms", 0)
    buffer_bytes = number(args.max_memory_bytes, "buffer.memory", _BUFFER_BYTES)
    settings: dict[str, object] = {
        "acks": _ACKS[acks],
        "compression_type": codec,
        "request_timeout_ms": request_timeout_ms,
        "retries": number(args.message_send_max_retries, "retries", 3),
        "retry_backoff_ms": number(args.retry_backoff_ms, "retry.backoff.ms", 100),
        "max_block_ms": max_block_ms,
        "batch_size": number(args.batch_size, "batch.size", _BATCH_BYTES),
        "buffer_memory": buffer_bytes,
        "linger_ms": linger_ms,
        "delivery_timeout_ms": max(max_block_ms, linger_ms + request_timeout_ms),
        "client_id": given.text("client.id") or "",
    }
    for key in ("enable.idempotence", "max.in.flight.requests.per.connection", "max.request.size"):
        text = given.text(key)
        if text is not None:
            settings[key] = text
    given.check_rest(_NOT_BUILT)
    return settings
