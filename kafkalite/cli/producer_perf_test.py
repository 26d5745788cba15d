"""`kafkalite producer-perf-test`: kafka-producer-perf-test, how fast records can be sent."""

import argparse
import gc
import sys
import time
from collections.abc import Iterator
from typing import Final

from kafkalite.cli.client_properties import ClientProperties
from kafkalite.cli.client_settings import settings_of
from kafkalite.cli.command_line import (
    CommandParser,
    key_value,
    natural_number,
    positive_number,
    whole_number,
)
from kafkalite.cli.failure import EXIT_FAILURE, CommandError
from kafkalite.cli.perf_payloads import any_of, increasing_numbers, random_letters, read_payloads
from kafkalite.cli.producer_statistics import ProducerStatistics
from kafkalite.cli.throttle import Throttle
from kafkalite.client.producer.delivery import Delivery
from kafkalite.client.producer.producer import Producer
from kafkalite.client.producer.settings import ProducerSettings
from kafkalite.model.errors import UnknownTopicOrPartitionError

_REPORTING_MS: Final = 5_000
_SHOWN_FAILURES: Final = 10
_DEFAULTS: Final = {"client.id": "perf-producer-client"}
_NOT_BUILT: Final = ("transactional.id",)
_REQUIRED: Final = ("topic", "num-records", "throughput")


def add_arguments(parser: CommandParser) -> None:
    """Declare kafka-producer-perf-test's options on `parser`."""
    parser.add_argument("--topic", help="the topic to send to")
    parser.add_argument(
        "--num-records", type=positive_number, metavar="N", help="how many records to send"
    )
    parser.add_argument(
        "--throughput",
        type=whole_number,
        metavar="N",
        help="about how many records to send a second; -1: as many as possible",
    )
    parser.add_argument(
        "--record-size", type=natural_number, metavar="BYTES", help="send random letters"
    )
    parser.add_argument(
        "--payload-file", metavar="FILE", help="send parts of this file, in UTF-8, at random"
    )
    parser.add_argument(
        "--payload-monotonic", action="store_true", help="send the numbers 0, 1, 2, .."
    )
    parser.add_argument(
        "--payload-delimiter",
        default="\\n",
        metavar="TEXT",
        help="what is between the parts of --payload-file (default: \\n, a new line)",
    )
    parser.add_argument(
        "--producer-props",
        nargs="+",
        type=key_value,
        metavar="K=V",
        help="settings of the producer by Kafka's names, bootstrap.servers before all",
    )
    parser.add_argument("--producer.config", metavar="FILE", help="a file with such settings")
    parser.add_argument(
        "--print-metrics", action="store_true", help="without effect: the producer keeps none"
    )
    parser.add_argument("--transactional-id", metavar="ID", help="without effect")
    parser.add_argument(
        "--transaction-duration-ms",
        type=natural_number,
        metavar="MS",
        help="0, the default: there are no transactions yet",
    )
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Send, and print how it goes; gives the exit code: 1 if a record was not stored."""
    _check(args)
    payloads = _payloads(args)
    given = ClientProperties(getattr(args, "producer.config"), args.producer_props or [])
    settings = _settings(given)
    if args.print_metrics:
        print("WARNING: the producer keeps no metrics", file=sys.stderr)
    # Each record on its way holds functions. Looking for cycles among them, where there are none,
    # would take as long as everything else, and would be what is measured.
    gc.disable()
    try:
        with Producer(**settings) as producer:
            return _Test(producer, args.topic, args.num_records).run(payloads, args.throughput)
    except UnknownTopicOrPartitionError as error:
        raise CommandError(
            f"{error} Brokers do not create it here (auto.create.topics.enable): do so with "
            f"kafka-topics --create --topic {args.topic}"
        ) from None
    finally:
        gc.enable()


class _Test:
    """One run: sends in the caller's thread, counts in the one that hears of acknowledgements."""

    def __init__(self, producer: Producer, topic: str, count: int) -> None:
        self._producer = producer
        self._topic = topic
        self._count = count
        self._failures = 0
        self._statistics = ProducerStatistics(count, _REPORTING_MS, _now_ms(), _show)

    def run(self, payloads: Iterator[bytes], rate: int) -> int:
        """Send everything and print the last line; gives the exit code."""
        throttle = Throttle(rate, time.monotonic(), time.sleep)
        for number, value in zip(range(1, self._count + 1), payloads, strict=False):
            self._send(value)
            if rate >= 0:
                throttle.after(number, time.monotonic())
        self._producer.flush()
        print(self._statistics.total(_now_ms()))
        if self._failures:
            print(f"{self._failures} records were not stored.", file=sys.stderr)
        return EXIT_FAILURE if self._failures else 0

    def _send(self, value: bytes) -> None:
        size, sent_ms = len(value), _now_ms()

        def note(delivery: Delivery) -> None:
            error = delivery.exception(0)
            if error is None:
                now_ms = _now_ms()
                self._statistics.record(now_ms - sent_ms, size, now_ms)
                return
            self._failures += 1
            if self._failures <= _SHOWN_FAILURES:
                print(error, file=sys.stderr)

        self._producer.send(self._topic, value).add_done_callback(note)


def _check(args: argparse.Namespace) -> None:
    parser: CommandParser = args.parser
    parser.require(args, _REQUIRED)
    ways = (args.record_size is not None, args.payload_file is not None, args.payload_monotonic)
    if sum(ways) != 1:
        parser.error(
            "one of the arguments --record-size --payload-file --payload-monotonic is required"
            if not any(ways)
            else "only one of --record-size, --payload-file and --payload-monotonic can be used"
        )
    if args.producer_props is None and getattr(args, "producer.config") is None:
        parser.error("Either --producer-props or --producer.config must be specified.")
    if args.throughput == 0 or args.throughput < -1:
        parser.error("--throughput is -1 or 1 and more: nothing would ever be sent")
    if args.transaction_duration_ms:
        raise CommandError("--transaction-duration-ms is not supported yet")


def _payloads(args: argparse.Namespace) -> Iterator[bytes]:
    if args.payload_monotonic:
        return increasing_numbers()
    if args.record_size is not None:
        return random_letters(args.record_size)
    print(f"Reading payloads from: {args.payload_file}")
    # As Kafka's tool: the two characters \n mean a new line, anything else itself.
    delimiter = "\n" if args.payload_delimiter == "\\n" else args.payload_delimiter
    found = read_payloads(args.payload_file, delimiter)
    print(f"Number of messages read: {len(found)}", flush=True)
    return any_of(found)


def _settings(given: ClientProperties) -> dict[str, object]:
    servers = given.text("bootstrap.servers")
    if servers is None:
        raise CommandError(
            'Missing required configuration "bootstrap.servers" which has no default value.'
        )
    settings = {**_DEFAULTS, **settings_of(ProducerSettings, given), "bootstrap.servers": servers}
    given.check_rest(_NOT_BUILT)
    return settings


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _show(line: str) -> None:
    print(line, flush=True)
