"""`kafkalite e2e-latency`: kafka-e2e-latency, from sending a record until it has been read."""

import argparse
import random
import time
from typing import Final

from kafkalite.cli.administration import Administration
from kafkalite.cli.broker_address import parse_bootstrap
from kafkalite.cli.client_properties import ClientProperties
from kafkalite.cli.client_settings import settings_of
from kafkalite.cli.command_line import CommandParser, natural_number, positive_number
from kafkalite.cli.failure import CommandError
from kafkalite.client.consumer.consumer import Consumer
from kafkalite.client.consumer.settings import ConsumerSettings
from kafkalite.client.producer.producer import Producer
from kafkalite.client.producer.settings import ProducerSettings
from kafkalite.model.errors import UnknownTopicOrPartitionError

_TIMEOUT_S: Final = 60.0
_PROGRESS: Final = 1_000
_PARTITIONS: Final = 1
_REPLICAS: Final = 1
_ACKS: Final = ("1", "all")
_LETTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NS_A_MS: Final = 1_000_000


def add_arguments(parser: CommandParser) -> None:
    """Declare kafka-e2e-latency's arguments on `parser`: they have places, not names."""
    parser.add_argument("broker_list", metavar="broker_list", help="HOST:PORT[,..]")
    parser.add_argument("topic", help="made where it does not exist")
    parser.add_argument("num_messages", type=positive_number, help="how many records to send")
    parser.add_argument("producer_acks", help="1 or all")
    parser.add_argument("message_size_bytes", type=natural_number, help="how large they are")
    parser.add_argument("properties_file", nargs="?", help="a file with settings of the clients")
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Send and read one record after another, and print how long that took."""
    if args.producer_acks not in _ACKS:
        raise CommandError(
            "Latency testing requires synchronous acknowledgement. Please use 1 or all"
        )
    given = ClientProperties(args.properties_file, ())
    given.text("bootstrap.servers")
    servers = {"bootstrap.servers": args.broker_list}
    reading = {**settings_of(ConsumerSettings, given), **servers, "enable.auto.commit": "false"}
    sending = {**settings_of(ProducerSettings, given), **servers, "acks": args.producer_acks}
    given.check_rest(("transactional.id",))
    _make_topic(args.broker_list, args.topic)
    with Consumer(**reading) as consumer, Producer(**sending) as producer:
        partitions = consumer.partitions_for(args.topic)
        consumer.assign(partitions)
        consumer.seek_to_end()
        for each in partitions:
            consumer.position(each)
        taken_ns = _measure(producer, consumer, args)
    _print_result(taken_ns)
    return 0


def _measure(producer: Producer, consumer: Consumer, args: argparse.Namespace) -> list[int]:
    chance = random.Random(0)
    taken_ns = []
    for number in range(args.num_messages):
        message = bytes(chance.choices(_LETTERS, k=args.message_size_bytes))
        begun_ns = time.perf_counter_ns()
        producer.send(args.topic, message).result()
        found = [record.value for record in consumer.poll(_TIMEOUT_S)]
        taken_ns.append(time.perf_counter_ns() - begun_ns)
        _check(found, message)
        if number % _PROGRESS == 0:
            print(f"{number}\t{taken_ns[-1] / _NS_A_MS}", flush=True)
    return taken_ns


def _check(found: list[bytes | None], sent: bytes) -> None:
    """See that what came is what was sent, and nothing else; raises CommandError."""
    if not found:
        raise CommandError(
            f"poll() timed out before finding a result (timeout:[{_TIMEOUT_S * 1000:.0f}ms])"
        )
    if found[0] != sent:
        read = (found[0] or b"").decode(errors="replace")
        raise CommandError(
            f"The message read [{read}] did not match the message sent [{sent.decode()}]"
        )
    if len(found) > 1:
        raise CommandError(
            f"Only one result was expected during this test. We found [{len(found)}]"
        )


def _print_result(taken_ns: list[int]) -> None:
    latencies_ms = sorted(taken // _NS_A_MS for taken in taken_ns)
    count = len(latencies_ms)
    p50, p99, p999 = (latencies_ms[int(count * share)] for share in (0.5, 0.99, 0.999))
    print(f"Avg latency: {sum(taken_ns) / count / _NS_A_MS:.4f} ms")
    print(f"Percentiles: 50th = {p50}, 99th = {p99}, 99.9th = {p999}")


def _make_topic(broker_list: str, topic: str) -> None:
    with Administration(parse_bootstrap(broker_list)) as admin:
        try:
            admin.describe_topic(topic)
        except UnknownTopicOrPartitionError:
            print(
                f'Topic "{topic}" does not exist. Will create topic with {_PARTITIONS} '
                f"partition(s) and replication factor = {_REPLICAS}",
                flush=True,
            )
            admin.create_topic(topic, _PARTITIONS, _REPLICAS)
