"""`kafkalite console-consumer`: kafka-console-consumer, records as lines of standard output."""

import argparse
import os
import random
import stat
import sys
import time
from typing import Final, NamedTuple

from kafkalite.cli.backoff import Backoff
from kafkalite.cli.client_properties import ClientProperties, is_true, load_properties
from kafkalite.cli.cluster import EARLIEST, LATEST, Cluster
from kafkalite.cli.command_line import (
    CommandParser,
    add_connection_arguments,
    check_connection_arguments,
    key_value,
    natural_number,
    whole_number,
)
from kafkalite.cli.failure import CommandError, NoBrokerError
from kafkalite.cli.group_member import GroupMember, MemberOptions
from kafkalite.cli.group_subscription import GroupOptions, GroupSubscription
from kafkalite.cli.interruption import Interruption
from kafkalite.cli.one_partition import OnePartition
from kafkalite.cli.partition_fetcher import Fetched, FetchOptions, PartitionFetcher
from kafkalite.cli.partition_source import PartitionSource
from kafkalite.cli.record_format import RecordFormat, record_format
from kafkalite.cli.topic_filter import TopicFilter
from kafkalite.model.errors import LogError, OffsetOutOfRangeError
from kafkalite.model.group_name import check_group_id
from kafkalite.model.ids import TopicPartition
from kafkalite.model.record import Record
from kafkalite.model.topic_name import check_topic_name
from kafkalite.wire.batch import TIMESTAMP_TYPE_BIT, BatchHeader
from kafkalite.wire.records import decode_batch

_REFRESH_S: Final = 5.0
"""How often to look for new topics and partitions."""
_LONGEST_POLL_S: Final = 1.0
_MAX_BATCH_BYTES: Final = 256 << 20
"""A batch that is larger once decompressed is not read."""
_ISOLATION_LEVELS: Final = ("read_uncommitted", "read_committed")
_RESETS: Final = {"earliest": EARLIEST, "latest": LATEST}
_CLIENT_ID: Final = "console-consumer"
_ASSIGNORS: Final = {
    "RangeAssignor": "range",
    "RoundRobinAssignor": "roundrobin",
    "StickyAssignor": "sticky",
    "CooperativeStickyAssignor": "sticky",
}
"""Kafka's classes, by the end of their names."""


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
    member_options, group_options = _group_options(args, given, group, reset)
    fetch_options = _fetch_options(given)
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
    with Interruption() as interruption, Cluster.from_arguments(args, retry_for_s=0) as cluster:
        source: PartitionSource
        if args.partition is not None:
            found = TopicPartition(args.topic, args.partition)
            source = OnePartition(cluster, found, reset, on_notice=_say)
        else:
            member = GroupMember(member_options, cluster.known_urls)
            source = GroupSubscription(
                cluster, member, group_options, topic=args.topic, on_notice=_say
            )
        consumer = _ConsoleConsumer(source, fetch_options, printed, limits)
        try:
            consumer.run(interruption)
        except KeyboardInterrupt:
            return interruption.exit_code
        finally:
            consumer.close()
            print(f"Processed a total of {consumer.processed} messages", file=sys.stderr)
    return 0


class _ConsoleConsumer:
    """Moves records from partitions to standard output."""

    def __init__(
        self,
        source: PartitionSource,
        fetch_options: FetchOptions,
        printed: RecordFormat,
        limits: _Limits,
    ) -> None:
        self._format = printed
        self._limits = limits
        self._source = source
        self._fetcher = PartitionFetcher(
            fetch_options, source.positions, output=_watched_output(), news=source.news
        )
        self._backoff = Backoff()
        self._refresh_at_s = 0.0
        self._has_told_trouble = False
        self._output = sys.stdout.buffer
        self.processed = 0
        """Records printed so far."""

    def run(self, interruption: Interruption) -> None:
        """Print until a limit is reached.

        Raises:
            CommandError: no broker could be reached at the start, or a record cannot be read.
            BrokenPipeError: nobody reads the output any more.
            KeyboardInterrupt: it shall end; never between printing records and noting that.
        """
        with interruption.may_raise():
            self._begin()
        last_s = time.monotonic()
        while self._limits.max_messages is None or self.processed < self._limits.max_messages:
            answers = self._fetcher.answers
            with interruption.may_raise():
                self._follow()
                received = self._fetcher.poll(self._wait_s(last_s))
                if received:
                    self._follow()  # what was read may be somebody else's by now
            for fetched in received:
                if self._is_ours(fetched):
                    self._take(fetched)
                    last_s = time.monotonic()
            trouble = self._fetcher.take_trouble()
            if trouble is not None:
                self._note_trouble(trouble)
            elif self._fetcher.answers > answers and self._fetcher.is_whole:
                self._has_told_trouble = False
            now = time.monotonic()
            if self._limits.timeout_s is not None and now - last_s >= self._limits.timeout_s:
                return
            if now >= self._refresh_at_s:
                with interruption.may_raise():
                    self._try_refresh()

    def _follow(self) -> bool:
        """Read from now on what is ours now; True: it is not what it was."""
        if not self._source.follow():
            return False
        self._fetcher.assign(self._source.leaders)
        self._refresh_at_s = 0.0
        return True

    def _is_ours(self, fetched: Fetched) -> bool:
        """Whether its partition is still read, and goes on where this ends."""
        position = self._source.positions.get(fetched.topic_partition)
        if not fetched.headers:
            return position == fetched.position
        return position == fetched.headers[-1].next_offset

    def close(self) -> None:
        self._fetcher.close()
        self._source.close()

    def _wait_s(self, last_s: float) -> float:
        now = time.monotonic()
        wait_s = min(_LONGEST_POLL_S, self._refresh_at_s - now)
        if self._limits.timeout_s is not None:
            wait_s = min(wait_s, last_s + self._limits.timeout_s - now)
        return max(wait_s, 0)

    def _refresh(self) -> None:
        self._source.refresh()
        self._fetcher.assign(self._source.leaders)
        if self._source.is_complete:
            self._backoff.reset()
            pause_s = _REFRESH_S
        else:
            pause_s = self._backoff.next_pause()
        self._refresh_at_s = time.monotonic() + pause_s

    def _begin(self) -> None:
        """Look at the cluster for the first time: somebody has to be there."""
        self._source.start()
        self._source.follow()
        try:
            self._refresh()
        except LogError as error:
            if not error.retriable:
                raise
            self._note_trouble(error)

    def _try_refresh(self) -> None:
        """Look at the cluster again; while it cannot be reached, go on trying."""
        try:
            self._refresh()
        except NoBrokerError as error:
            self._note_trouble(error)
        except LogError as error:
            if not error.retriable:
                raise
            self._note_trouble(error)

    def _note_trouble(self, trouble: LogError | NoBrokerError) -> None:
        """Say what is wrong, once until it is cured, and look at the cluster again soon."""
        if not self._has_told_trouble:
            self._has_told_trouble = True
            sentence = str(trouble).rstrip(".")
            _say(f"{sentence}. Trying again until it works.")
        self._refresh_at_s = time.monotonic() + self._backoff.next_pause()

    def _take(self, fetched: Fetched) -> None:
        if fetched.error is not None:
            self._take_error(fetched, fetched.error)
            return
        begin = 0
        for header in fetched.headers:
            end = begin + header.size
            try:
                records = decode_batch(
                    fetched.batches[begin:end], header, max_bytes=_MAX_BATCH_BYTES
                )
            except LogError as error:
                if not self._limits.skips_errors:
                    raise _unreadable(fetched.topic_partition, header.base_offset, error) from None
                records = []
            begin = end
            if header.base_offset < fetched.position:
                records = [record for record in records if record.offset >= fetched.position]
            self._print(fetched.topic_partition, header, records)
        self._output.flush()

    def _print(self, found: TopicPartition, header: BatchHeader, records: list[Record]) -> None:
        """Print records of one batch, as many as are wanted."""
        next_offset = header.next_offset
        if self._limits.max_messages is not None:
            left = self._limits.max_messages - self.processed
            if left < len(records):
                next_offset = records[left].offset
                records = records[:left]
        is_append_time = header.attributes & TIMESTAMP_TYPE_BIT
        time_name = "LogAppendTime" if is_append_time else "CreateTime"
        self._output.write(self._format.lines(found.partition, time_name, records))
        self.processed += len(records)
        self._source.note_done(found, next_offset)

    def _take_error(self, fetched: Fetched, error: LogError) -> None:
        """A partition gives nothing where it was asked."""
        found = fetched.topic_partition
        if isinstance(error, OffsetOutOfRangeError):
            self._source.note_out_of_range(found)
            self._refresh_at_s = 0.0
        elif self._limits.skips_errors:
            self._source.positions[found] = fetched.position + 1
            self._source.note_done(found, fetched.position + 1)
            self._fetcher.assign(self._source.leaders)
        else:
            raise _unreadable(found, fetched.position, error)


def _unreadable(found: TopicPartition, offset: int, error: LogError) -> CommandError:
    return CommandError(
        f"{found} cannot be read at offset {offset}: {error.name}: {error.detail} "
        "(--skip-message-on-error goes on after it)"
    )


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def _watched_output() -> int | None:
    """Standard output, where its reader can go away."""
    descriptor = sys.stdout.fileno()
    mode = os.fstat(descriptor).st_mode
    return descriptor if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else None


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
    if args.offset is not None:
        return _RESETS.get(args.offset.lower(), str(args.offset))
    return EARLIEST if args.from_beginning else _RESETS[reset or "latest"]


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


def _group_options(
    args: argparse.Namespace, given: ClientProperties, group: str | None, reset: str
) -> tuple[MemberOptions, GroupOptions]:
    """How to be a member; a group that nobody named is made up, and remembers nothing."""
    defaults = MemberOptions("")
    name = group if group is not None else f"{_CLIENT_ID}-{random.randrange(100_000):05}"
    check_group_id(name)
    topics = TopicFilter(args.include)
    commits = given.text("enable.auto.commit")
    interval_ms = _number(given, "auto.commit.interval.ms", 5_000)
    if not (group is not None if commits is None else is_true(commits)):
        commit_interval_ms = None
    else:
        commit_interval_ms = interval_ms
    assignor = given.text("partition.assignment.strategy")
    member = MemberOptions(
        name,
        topics=() if args.topic is None else (args.topic,),
        pattern=None if args.include is None else topics.text,
        client_id=given.text("client.id") or _CLIENT_ID,
        instance_id=given.text("group.instance.id"),
        rack=given.text("client.rack"),
        assignor=_ASSIGNORS.get((assignor or "").rpartition(".")[2], assignor),
        session_timeout_ms=_number(given, "session.timeout.ms", defaults.session_timeout_ms),
        max_poll_interval_ms=_number(given, "max.poll.interval.ms", defaults.max_poll_interval_ms),
    )
    return member, GroupOptions(
        name, reset, commit_interval_ms, leaves_group_behind=group is not None
    )


def _number(given: ClientProperties, key: str, default: int) -> int:
    value = given.number(key)
    if value is None:
        return default
    if value < 0:
        raise CommandError(f"Invalid value {value} for configuration {key}: at least 0")
    return value


def _fetch_options(given: ClientProperties) -> FetchOptions:
    given.text("isolation.level")
    given.text("heartbeat.interval.ms")  # the coordinator's to say
    defaults = FetchOptions()
    return FetchOptions(
        max_bytes=_number(given, "fetch.max.bytes", defaults.max_bytes),
        partition_max_bytes=_number(
            given, "max.partition.fetch.bytes", defaults.partition_max_bytes
        ),
        min_bytes=_number(given, "fetch.min.bytes", defaults.min_bytes),
        max_wait_ms=_number(given, "fetch.max.wait.ms", defaults.max_wait_ms),
    )
