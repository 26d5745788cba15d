"""`kafkalite consumer-perf-test`: kafka-consumer-perf-test, how fast records can be read."""

import argparse
import random
import sys
import time
from collections.abc import Collection
from typing import Final

from kafkalite.cli.client_properties import ClientProperties
from kafkalite.cli.client_settings import settings_of
from kafkalite.cli.command_line import CommandParser, natural_number, positive_number
from kafkalite.cli.consumer_statistics import DETAILED_HEADER, HEADER, ConsumerStatistics
from kafkalite.cli.date_format import DateFormat
from kafkalite.client.consumer.consumer import Consumer
from kafkalite.client.consumer.listener import Listener
from kafkalite.client.consumer.settings import ConsumerSettings
from kafkalite.model.ids import TopicPartition

_REPORTING_MS: Final = 5_000
_TIMEOUT_MS: Final = 10_000
_POLL_S: Final = 0.1
_POLLED_RECORDS: Final = 10_000
_DEFAULTS: Final = {"client.id": "perf-consumer-client", "check.crcs": "false"}
_GROUPS: Final = 100_000


def add_arguments(parser: CommandParser) -> None:
    """Declare kafka-consumer-perf-test's options on `parser`."""
    parser.add_argument(
        "--bootstrap-server",
        "--broker-list",
        dest="bootstrap_server",
        metavar="HOST:PORT[,..]",
        help="brokers to begin with; one that is alive is enough",
    )
    parser.add_argument("--topic", help="the topic to read")
    parser.add_argument(
        "--messages", type=natural_number, metavar="N", help="how many records to read"
    )
    parser.add_argument("--group", help="the group to read as (perf-consumer-NNNNN)")
    parser.add_argument(
        "--from-latest",
        action="store_true",
        help="begin at the end where the group has no offset, instead of at the start",
    )
    parser.add_argument(
        "--fetch-size", type=positive_number, metavar="BYTES", help="what a fetch asks for"
    )
    parser.add_argument(
        "--timeout",
        type=natural_number,
        default=_TIMEOUT_MS,
        metavar="MS",
        help=f"give up when nothing has come for so long ({_TIMEOUT_MS})",
    )
    parser.add_argument(
        "--reporting-interval",
        type=positive_number,
        default=_REPORTING_MS,
        metavar="MS",
        help=f"how often --show-detailed-stats prints a line ({_REPORTING_MS})",
    )
    parser.add_argument(
        "--show-detailed-stats", action="store_true", help="print a line every so often"
    )
    parser.add_argument("--hide-header", action="store_true", help="print no header")
    parser.add_argument(
        "--date-format",
        default="yyyy-MM-dd HH:mm:ss:SSS",
        metavar="PATTERN",
        help="how times are written, as java.text.SimpleDateFormat has it",
    )
    parser.add_argument("--consumer.config", metavar="FILE", help="a file with settings")
    parser.add_argument(
        "--print-metrics", action="store_true", help="without effect: the consumer keeps none"
    )
    for ignored in ("--socket-buffer-size", "--threads", "--num-fetch-threads"):
        parser.add_argument(ignored, type=positive_number, metavar="N", help="without effect")
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Read, and print how it went; gives the exit code."""
    args.parser.require(args, ("bootstrap-server", "topic", "messages"))
    dates = DateFormat(args.date_format)
    settings = _settings(args)
    if args.print_metrics:
        print("WARNING: the consumer keeps no metrics", file=sys.stderr)
    if not args.hide_header:
        print(DETAILED_HEADER if args.show_detailed_stats else HEADER, flush=True)
    with Consumer(**settings) as consumer:
        statistics = ConsumerStatistics(_now_ms(), dates)
        consumer.subscribe(args.topic, listener=_Rebalances(statistics))
        _read(consumer, statistics, args)
        ended_ms = _now_ms()
    if not args.show_detailed_stats:
        print(statistics.total(ended_ms))
    return 0


class _Rebalances(Listener):
    """Tells the statistics when partitions come and go."""

    def __init__(self, statistics: ConsumerStatistics) -> None:
        self._statistics = statistics

    def on_revoked(self, _partitions: Collection[TopicPartition], /) -> None:
        """See RebalanceListener."""
        self._statistics.revoked(_now_ms())

    def on_assigned(self, _partitions: Collection[TopicPartition], /) -> None:
        """See RebalanceListener."""
        self._statistics.assigned(_now_ms())


def _read(consumer: Consumer, statistics: ConsumerStatistics, args: argparse.Namespace) -> None:
    """Poll until enough has come, or nothing for too long."""
    now_ms = consumed_ms = _now_ms()
    while statistics.count < args.messages and now_ms - consumed_ms <= args.timeout:
        records = consumer.poll(_POLL_S, max_records=_POLLED_RECORDS)
        now_ms = _now_ms()
        if not records:
            continue
        consumed_ms = now_ms
        size = 0
        for record in records:
            key, value = record.key, record.value
            size += (0 if key is None else len(key)) + (0 if value is None else len(value))
        statistics.count += len(records)
        statistics.size += size
        if statistics.is_due(now_ms, args.reporting_interval):
            line = statistics.interval(now_ms)
            if args.show_detailed_stats:
                print(line, flush=True)
    if statistics.count < args.messages:
        print(
            "WARNING: Exiting before consuming the expected number of messages: timeout "
            f"({args.timeout} ms) exceeded. You can use the --timeout option to increase the "
            "timeout."
        )
    if not statistics.count and args.messages:
        print(
            f"Nothing was read. See that there is a broker at {args.bootstrap_server}, and that "
            f"topic '{args.topic}' exists and holds records (kafka-get-offsets)",
            file=sys.stderr,
        )


def _settings(args: argparse.Namespace) -> dict[str, object]:
    """What the command line says wins over the file, as in Kafka's tool."""
    named = {
        "group.id": args.group or f"perf-consumer-{random.randrange(_GROUPS)}",
        "auto.offset.reset": "latest" if args.from_latest else "earliest",
    }
    if args.fetch_size is not None:
        named["max.partition.fetch.bytes"] = str(args.fetch_size)
    given = ClientProperties(getattr(args, "consumer.config"), named.items())
    given.text("bootstrap.servers")
    settings = {**_DEFAULTS, **settings_of(ConsumerSettings, given)}
    given.check_rest(())
    return {**settings, "bootstrap.servers": args.bootstrap_server}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
