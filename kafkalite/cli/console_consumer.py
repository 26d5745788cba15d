"""`kafkalite console-consumer`: kafka-console-consumer, records as lines of standard output."""

import argparse
import contextlib
import logging
import os
import random
import select
import stat
import sys
import time
from collections.abc import Iterator
from typing import Final, NamedTuple

from kafkalite.cli.administration import Administration
from kafkalite.cli.broker_address import shown
from kafkalite.cli.client_properties import ClientProperties, load_properties
from kafkalite.cli.client_settings import settings_of
from kafkalite.cli.command_line import (
    CommandParser,
    add_connection_arguments,
    check_connection_arguments,
    key_value,
    natural_number,
    whole_number,
)
from kafkalite.cli.failure import EXIT_FAILURE, CommandError
from kafkalite.cli.interruption import Interruption
from kafkalite.cli.record_format import RecordFormat, record_format
from kafkalite.cli.topic_filter import TopicFilter
from kafkalite.client.consumer.consumer import Consumer
from kafkalite.client.consumer.failures import UnreadableError
from kafkalite.client.consumer.fetched_batch import FetchedBatch
from kafkalite.client.consumer.settings import ConsumerSettings
from kafkalite.model.errors import LogError, UnknownTopicOrPartitionError
from kafkalite.model.group_name import check_group_id
from kafkalite.model.ids import TopicPartition
from kafkalite.model.topic_name import check_topic_name

_LONGEST_POLL_S: Final = 0.1
"""After which somebody looks whether the command shall end."""
_RECORDS_A_POLL: Final = 10_000
_ISOLATION_LEVELS: Final = ("read_uncommitted", "read_committed")
_RESETS: Final = ("earliest", "latest")
_NOT_OURS: Final = frozenset({"key.deserializer", "value.deserializer", "on.poison"})
"""Settings of consumers that mean nothing to one that prints bytes."""
_CLIENT_ID: Final = "console-consumer"


class _Limits(NamedTuple):
    max_messages: int | None
    timeout_s: float | None
    skips_errors: bool


def add_arguments(parser: CommandParser) -> None:
    """Declare kafka-console-consumer's options on `parser`."""
    add_connection_arguments(parser)
    parser.add_argument("--topic", help="the topic to read")
    parser.add_argument(
        "--include",
        "--whitelist",
        dest="include",
        metavar="REGEX",
        help="read all topics whose name matches this regular expression",
    )
    parser.add_argument(
        "--from-beginning",
        action="store_true",
        help="begin with the first record that is there instead of the next one that comes",
    )
    parser.add_argument(
        "--partition", type=natural_number, help="read this partition only (see --offset)"
    )
    parser.add_argument(
        "--offset", help="where to begin in --partition: earliest, latest (default) or an offset"
    )
    parser.add_argument(
        "--group",
        help="the consumer group to join, which goes on where it was; without it, one that is "
        "made up and remembers nothing",
    )
    parser.add_argument(
        "--max-messages",
        type=whole_number,
        default=-1,
        metavar="N",
        help="end after this many records",
    )
    parser.add_argument(
        "--timeout-ms",
        type=whole_number,
        default=-1,
        metavar="MS",
        help="end when no record has come for this long",
    )
    parser.add_argument(
        "--skip-message-on-error",
        action="store_true",
        help="go on after records that cannot be read instead of ending",
    )
    parser.add_argument(
        "--isolation-level",
        choices=_ISOLATION_LEVELS,
        default=_ISOLATION_LEVELS[0],
        help="without transactions both are the same",
    )
    parser.add_argument(
        "--property",
        action="append",
        type=key_value,
        metavar="K=V",
        help="how a record is printed: print.timestamp, print.partition, print.offset, "
        "print.headers, print.key, print.value, key.separator, line.separator, "
        "headers.separator, null.literal, key.deserializer, value.deserializer, "
        "headers.deserializer",
    )
    parser.add_argument("--formatter-config", metavar="FILE", help="a file with such properties")
    parser.add_argument(
        "--formatter", metavar="CLASS", help="DefaultMessageFormatter or NoOpMessageFormatter"
    )
    parser.add_argument(
        "--key-deserializer", metavar="CLASS", help="StringDeserializer, LongDeserializer, .."
    )
    parser.add_argument("--value-deserializer", metavar="CLASS", help="the same for values")
    parser.add_argument(
        "--consumer-property",
        action="append",
        type=key_value,
        metavar="K=V",
        help="a setting of the consumer by Kafka's name, such as fetch.max.bytes=1048576",
    )
    parser.add_argument("--consumer.config", metavar="FILE", help="a file with such settings")
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Print records until the end that was asked for; gives the exit code."""
    _check(args.parser, args)
    given = ClientProperties(getattr(args, "consumer.config"), args.consumer_property or [])
    reset = _reset(args, given)
    group = _group_of(args, given)
    pattern = None if args.include is None else TopicFilter(args.include).text
    made_up = f"{_CLIENT_ID}-{random.randrange(100_000):05}" if args.partition is None else None
    settings = _settings(given, group if group is not None else made_up, reset)
    settings.setdefault("enable.auto.commit", group is not None)
    given.check_rest([])
    properties = {**load_properties(args.formatter_config), **dict(args.property or [])}
    for option in ("key_deserializer", "value_deserializer"):
        if getattr(args, option) is not None:
            properties[option.replace("_", ".")] = getattr(args, option)
    printed = record_format(args.formatter, properties)
    limits = _Limits(
        None if args.max_messages < 0 else args.max_messages,
        None if args.timeout_ms < 0 else args.timeout_ms / 1000,
        args.skip_message_on_error,
    )
    with (
        Interruption() as interruption,
        Administration.of(args, retry_for_s=0) as admin,
        _notices(),
    ):
        with interruption.may_raise():
            brokers = admin.describe_cluster().brokers
            _check_there_is(admin, args)
        settings["bootstrap.servers"] = ",".join(shown(broker.url) for broker in brokers)
        consumer = Consumer(**settings)
        console = _ConsoleConsumer(consumer, printed, limits)
        try:
            _begin(consumer, args, pattern)
            console.run(interruption)
        except (CommandError, LogError) as error:
            _say(error.detail if isinstance(error, LogError) else str(error))
            return EXIT_FAILURE
        except KeyboardInterrupt:
            return interruption.exit_code
        finally:
            consumer.close()
            if group is None and made_up is not None:
                # Nobody will want to join it again.
                with contextlib.suppress(LogError, CommandError):
                    admin.delete_group(made_up)
            _say(f"Processed a total of {console.processed} messages")
    return 0


class _ConsoleConsumer:
    """Moves records from a consumer to standard output."""

    def __init__(self, consumer: Consumer, printed: RecordFormat, limits: _Limits) -> None:
        self._consumer = consumer
        self._format = printed
        self._limits = limits
        self._output = sys.stdout.buffer
        self._reader = _watched_output()
        self.processed = 0
        """Records printed so far."""

    def run(self, interruption: Interruption) -> None:
        """Print until a limit is reached.

        Raises:
            CommandError: a record cannot be read.
            LogError: the consumer cannot go on.
            BrokenPipeError: nobody reads the output any more.
            KeyboardInterrupt: it shall end; only where nothing is in hand.
        """
        last_s = time.monotonic()
        while (left := self._left()) > 0:
            if interruption.requested:
                raise KeyboardInterrupt
            if self._reader is not None and self._reader.poll(0):
                raise BrokenPipeError
            try:
                records = self._consumer.poll(self._wait_s(last_s), left)
            except UnreadableError as error:
                self._pass(error)
                continue
            if records:
                self._print(list(records.batches))
                last_s = time.monotonic()
            elif (
                self._limits.timeout_s is not None
                and time.monotonic() - last_s >= self._limits.timeout_s
            ):
                return

    def _left(self) -> int:
        if self._limits.max_messages is None:
            return _RECORDS_A_POLL
        return min(self._limits.max_messages - self.processed, _RECORDS_A_POLL)

    def _wait_s(self, last_s: float) -> float:
        if self._limits.timeout_s is None:
            return _LONGEST_POLL_S
        left_s = last_s + self._limits.timeout_s - time.monotonic()
        return min(_LONGEST_POLL_S, max(left_s, 0))

    def _print(self, batches: list[FetchedBatch]) -> None:
        try:
            while batches:
                batch = batches[0]
                records = batch.records()
                time_name = records[0].timestamp_type
                self._output.write(self._format.lines(batch.partition, time_name, records))
                self.processed += len(records)
                del batches[0]
            self._output.flush()
        finally:
            # What was not printed was not dealt with, and is not to be committed.
            for batch in reversed(batches):
                self._consumer.seek(batch.topic_partition, batch.first_offset)

    def _pass(self, error: UnreadableError) -> None:
        """Go on after what cannot be read, where that is wanted."""
        if not self._limits.skips_errors:
            cause = error.cause
            reason = f"{cause.name}: {cause.detail}" if isinstance(cause, LogError) else str(cause)
            raise CommandError(
                f"{error.topic_partition} cannot be read at offset {error.offset}: {reason} "
                "(--skip-message-on-error goes on after it)"
            )
        self._consumer.seek(error.topic_partition, error.next_offset)


def _begin(consumer: Consumer, args: argparse.Namespace, pattern: str | None) -> None:
    if args.partition is None:
        topics = () if args.topic is None else (args.topic,)
        consumer.subscribe(*topics, pattern=pattern)
        return
    place = TopicPartition(args.topic, args.partition)
    consumer.assign([place])
    if args.offset is not None and args.offset.lower() not in _RESETS:
        consumer.seek(place, int(args.offset))


def _check_there_is(admin: Administration, args: argparse.Namespace) -> None:
    """Tell of a topic that does not exist; raises CommandError for a partition that does not."""
    if args.topic is None:
        return
    try:
        count = admin.describe_topic(args.topic).partition_count
    except UnknownTopicOrPartitionError:
        _say(f"Topic '{args.topic}' does not exist; waiting until it does.")
        return
    if args.partition is not None and args.partition >= count:
        raise CommandError(f"Partition {args.partition} of topic '{args.topic}' does not exist.")


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)


class _Notice(logging.Handler):
    """What the client has to tell, a sentence a line."""

    def emit(self, record: logging.LogRecord) -> None:
        _say(record.getMessage())


@contextlib.contextmanager
def _notices() -> Iterator[None]:
    logger, notice = logging.getLogger("kafkalite.client"), _Notice(logging.WARNING)
    logger.addHandler(notice)
    try:
        yield
    finally:
        logger.removeHandler(notice)


def _watched_output() -> "select.poll | None":
    """Tells when the reader of standard output has gone; None where that cannot be."""
    descriptor = sys.stdout.fileno()
    mode = os.fstat(descriptor).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return None
    reader = select.poll()
    reader.register(descriptor, 0)  # errors are always told
    return reader


def _check(parser: CommandParser, args: argparse.Namespace) -> None:
    """Command lines that make no sense end here, in Kafka's words."""
    if (args.topic is None) == (args.include is None):
        parser.error("Exactly one of --include/--topic is required. ")
    check_connection_arguments(parser, args)
    if args.partition is not None and args.topic is None:
        parser.error("The topic is required when partition is specified.")
    if args.partition is not None and args.group is not None:
        parser.error("--partition cannot be used with --group: a group assigns its partitions.")
    if args.offset is not None:
        if args.partition is None:
            parser.error("The partition is required when offset is specified.")
        if args.from_beginning:
            parser.error("from-beginning and offset cannot be specified together.")
        if args.offset.lower() not in _RESETS and not (
            args.offset.isascii() and args.offset.isdecimal()
        ):
            parser.error(
                f"The provided offset value '{args.offset}' is incorrect. Valid values are "
                "'earliest', 'latest', or a non-negative long."
            )
    if args.topic is not None:
        check_topic_name(args.topic)


def _reset(args: argparse.Namespace, given: ClientProperties) -> str:
    """Where to begin where there is no offset to go on from."""
    reset = given.text("auto.offset.reset")
    if args.from_beginning and reset not in (None, "earliest"):
        raise CommandError(
            f"Can't simultaneously specify --from-beginning and 'auto.offset.reset={reset}', "
            "please remove one option"
        )
    if reset is not None and reset not in _RESETS:
        raise CommandError(f"auto.offset.reset is earliest or latest, not {reset}")
    if args.offset is not None and args.offset.lower() in _RESETS:
        return str(args.offset.lower())
    return "earliest" if args.from_beginning else reset or "latest"


def _group_of(args: argparse.Namespace, given: ClientProperties) -> str | None:
    """The group that the command line names, in one of two ways."""
    by_property = given.text("group.id")
    group: str | None = args.group
    if group is not None and by_property not in (None, group):
        raise CommandError(
            "The group ids provided in different places (directly using '--group', via "
            "'--consumer-property', or via '--consumer.config') do not match. Detected group ids: "
            f"'{group}', '{by_property}'"
        )
    return group if group is not None else by_property


def _settings(given: ClientProperties, group: str | None, reset: str) -> dict[str, object]:
    """The consumer's, with the group to join, if any."""
    if group is not None:
        check_group_id(group)
    return {
        "client.id": _CLIENT_ID,
        **settings_of(ConsumerSettings, given, but=_NOT_OURS),
        "group.id": group,
        "auto.offset.reset": reset,
        "offset.out.of.range": "nearest",
    }
