"""The command `kafkalite`: finds the sub-command and turns its outcome into an exit code."""

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Final, NamedTuple

from kafkalite.cli.command_line import CommandParser, typed_as
from kafkalite.cli.failure import EXIT_FAILURE, EXIT_INTERRUPTED, CommandError
from kafkalite.model.errors import LogError


class _Command(NamedTuple):
    """A sub-command: its module has `add_arguments(parser)` and `run(args) -> exit code`."""

    module: str
    summary: str


# Only the module of the command that runs is imported: a listing must not pay for a server.
_COMMANDS: Final = {
    "topics": _Command("topics", "Create, list, describe, alter and delete topics."),
    "console-producer": _Command("console_producer", "Send lines of standard input to a topic."),
    "console-consumer": _Command("console_consumer", "Print the records of topics."),
    "consumer-groups": _Command(
        "consumer_groups", "List, describe and delete consumer groups, move their offsets."
    ),
    "get-offsets": _Command("get_offsets", "Print offsets of partitions, now or at a time."),
    "configs": _Command("configs", "Describe and alter settings of topics and brokers."),
    "dump-log": _Command("dump_log", "Print what log segments and index files hold."),
    "delete-records": _Command("delete_records", "Delete the oldest records of partitions."),
    "reassign-partitions": _Command("reassign_partitions", "Move partitions to other brokers."),
    "leader-election": _Command("leader_election", "Elect leaders of partitions."),
    "log-dirs": _Command("log_dirs", "Print what brokers keep in their log directories."),
    "producer-perf-test": _Command("producer_perf_test", "Measure how fast records are sent."),
    "consumer-perf-test": _Command("consumer_perf_test", "Measure how fast records are read."),
    "e2e-latency": _Command("e2e_latency", "Measure the time from sending to reading a record."),
    "cluster": _Command("cluster_status", "Say how the cluster is, on one screen."),
    "server": _Command("server", "Run a broker."),
    "zookeeper": _Command("zookeeper", "Run the embedded ZooKeeper."),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run `kafkalite COMMAND ...`; gives the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if sys.stdout is None:  # closed by whoever started us
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    name = arguments[0] if arguments else ""
    if name in {"-h", "--help", "--version"}:
        try:
            print(_version() if name == "--version" else _usage(), flush=True)
        except BrokenPipeError:
            _stop_writing()
        return 0
    command = _COMMANDS.get(name)
    if command is None:
        print(f"Unknown command: {name}" if name else "Name a command.", file=sys.stderr)
        print(_usage(), file=sys.stderr)
        return EXIT_FAILURE
    return _run(name, command, arguments[1:])


def _run(name: str, command: _Command, arguments: list[str]) -> int:
    shown_name = typed_as(f"kafkalite {name}")
    try:
        module = importlib.import_module(f"kafkalite.cli.{command.module}")
        parser = CommandParser(prog=shown_name, description=command.summary)
        module.add_arguments(parser)
        exit_code: int = module.run(parser.parse(arguments))
        sys.stdout.flush()
    except CommandError as error:
        print(error, file=sys.stderr)
        exit_code = error.exit_code
    except LogError as error:
        print(error.detail, file=sys.stderr)
        exit_code = EXIT_FAILURE
    except KeyboardInterrupt:
        exit_code = EXIT_INTERRUPTED
    except BrokenPipeError:
        _stop_writing()
        exit_code = 0
    except OSError as error:
        print(f"{shown_name} failed: {error}", file=sys.stderr)
        exit_code = EXIT_FAILURE
    return exit_code


def _stop_writing() -> None:
    """Whoever read our output has seen enough. Python would complain when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _version() -> str:
    from importlib.metadata import version  # noqa: PLC0415 - slow, and hardly ever wanted

    return version("kafkalite")


def _usage() -> str:
    lines = ["Usage: kafkalite COMMAND [OPTION..]", ""]
    lines += [f"  {name:<21}{command.summary}" for name, command in _COMMANDS.items()]
    lines += ["", "'kafkalite COMMAND --help' describes the options of one."]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
