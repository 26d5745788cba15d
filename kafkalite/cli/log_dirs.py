"""`kafkalite log-dirs`: kafka-log-dirs, prints what brokers keep in their log directories."""

import argparse
from typing import Any

import msgspec

from kafkalite.cli.administration import Administration
from kafkalite.cli.command_line import (
    CommandParser,
    add_connection_arguments,
    broker_ids,
    check_connection_arguments,
)
from kafkalite.cli.failure import CommandError
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.admin_messages import LogDirList


def add_arguments(parser: CommandParser) -> None:
    """Declare kafka-log-dirs' options on `parser`."""
    add_connection_arguments(parser, also_broker_list=False)
    parser.add_argument("--describe", action="store_true", help="print directories; required")
    parser.add_argument("--topic-list", metavar="T,..", help="partitions of these topics only")
    parser.add_argument(
        "--broker-list", type=broker_ids, metavar="0,1,2", help="these brokers only"
    )
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Print the directories; gives the exit code."""
    check_connection_arguments(args.parser, args)
    if not args.describe:
        args.parser.error('Missing required argument "[describe]"')
    topics = [name.strip() for name in (args.topic_list or "").split(",") if name.strip()]
    with Administration.of(args) as admin:
        live = sorted(broker.id for broker in admin.describe_cluster().brokers)
        wanted = sorted(set(args.broker_list)) if args.broker_list else live
        unknown = [broker for broker in wanted if broker not in live]
        if unknown:
            raise CommandError(
                "ERROR: The given brokers do not exist from --broker-list: "
                f"{_ids(unknown)}. Current existent brokers: {_ids(live)}"
            )
        print("Querying brokers for log directories information")
        found = [admin.describe_log_dirs(broker, topics) for broker in wanted]
    print(f"Received log directory information from brokers {_ids(wanted)}")
    document = {"brokers": [_broker(each) for each in found], "version": 1}
    print(msgspec.json.encode(document).decode())
    return 0


def _broker(found: LogDirList) -> dict[str, Any]:
    return {
        "broker": found.broker,
        "logDirs": [
            {
                "partitions": [
                    {
                        "partition": str(TopicPartition(replica.topic, replica.partition)),
                        "size": replica.size,
                        "offsetLag": replica.offset_lag,
                        "isFuture": replica.is_future,
                    }
                    for replica in each.partitions
                ],
                "error": each.error,
                "logDir": each.path,
            }
            for each in found.log_dirs
        ],
    }


def _ids(brokers: list[int]) -> str:
    return ",".join(map(str, brokers))
