"""Command lines in the manner of Kafka's tools: their option names, one sentence for a mistake."""

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Final, NoReturn

from kafkalite.cli.failure import EXIT_FAILURE

_GIVEN: Final = "_given"
_SCRIPT_VARIABLE: Final = "_KAFKALITE_TYPED_AS"
"""Set by scripts/lib/kafkalite.sh. A name that begins with KAFKALITE_ would be a setting."""
_DEFAULT_BOOTSTRAP_OPTION: Final = "bootstrap-server"


def typed_as(command: str) -> str:
    """What people typed to run `command`: itself, or the script that ran it for them."""
    return os.environ.get(_SCRIPT_VARIABLE) or command


class _Once(argparse.Action):
    """Stores a value, and refuses the option when it comes a second time: one would be lost."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        given: set[str] = namespace.__dict__.setdefault(_GIVEN, set())
        if option_string is not None and self.dest in given:
            parser.error(
                f"Found multiple arguments for option {option_string.lstrip('-')}, "
                "but you asked for only one"
            )
        given.add(self.dest)
        setattr(namespace, self.dest, values)


class CommandParser(argparse.ArgumentParser):
    """An argument parser whose mistakes end the process with a sentence and exit code 1."""

    def __init__(
        self, prog: str | None = None, description: str | None = None, allow_abbrev: bool = False
    ) -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=allow_abbrev)
        self.register("action", None, _Once)

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Parse a whole command line; what is left over is named and refused."""
        parsed, rest = self.parse_known_args(arguments)
        if rest:
            self.error(f"{rest[0].lstrip('-') or rest[0]} is not a recognized option")
        return parsed

    def error(self, message: str) -> NoReturn:
        """End the process with the sentence `message` and where to read more."""
        print(message, file=sys.stderr)
        print(f"'{self.prog} --help' describes the options.", file=sys.stderr)
        self.exit(EXIT_FAILURE)

    def require(self, args: argparse.Namespace, options: Iterable[str]) -> None:
        """Refuse a command line that lacks one of `options` (names without dashes)."""
        for option in options:
            if getattr(args, option.replace("-", "_")) is None:
                self.error(f'Missing required argument "[{option}]"')

    def refuse(self, args: argparse.Namespace, options: Iterable[str], beside: str) -> None:
        """Refuse `options` (names without dashes) on a command line that has `beside`."""
        for option in options:
            value = getattr(args, option.replace("-", "_"))
            if value is not None and value is not False and value != []:
                self.error(f'Option "[{beside}]" can\'t be used with option "[{option}]"')


def add_connection_arguments(
    parser: argparse.ArgumentParser, *, also_broker_list: bool = True
) -> None:
    """Declare how to find the brokers: by address, or through ZooKeeper as before Kafka 3.0.

    Without `also_broker_list` the option `--broker-list` is left to mean something else.
    """
    parser.add_argument(
        "--bootstrap-server",
        *(["--broker-list"] if also_broker_list else []),
        dest="bootstrap_server",
        metavar="HOST:PORT[,..]",
        help="brokers to begin with; one that is alive is enough",
    )
    parser.add_argument(
        "--zookeeper",
        metavar="HOST:PORT[,..][/CHROOT]",
        help="find the brokers through ZooKeeper instead (port 2181 where none is given)",
    )


def check_connection_arguments(parser: CommandParser, args: argparse.Namespace) -> None:
    """Refuse a command line that does not name exactly one way to the brokers."""
    if args.bootstrap_server is None and args.zookeeper is None:
        parser.error(f'Missing required argument "[{_DEFAULT_BOOTSTRAP_OPTION}]"')
    if args.bootstrap_server is not None and args.zookeeper is not None:
        parser.error('Only one of "[bootstrap-server]" and "[zookeeper]" can be used')


def whole_number(text: str) -> int:
    """An argument's type: an integer, refused in words when it is none."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number") from None


def positive_number(text: str) -> int:
    """An argument's type: an integer of at least 1."""
    number = whole_number(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {number}")
    return number


def natural_number(text: str) -> int:
    """An argument's type: an integer of at least 0."""
    number = whole_number(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"must be 0 or more, not {number}")
    return number


def broker_ids(text: str) -> list[int]:
    """An argument's type: `0,1,2`."""
    return [natural_number(part.strip()) for part in text.split(",") if part.strip()]


def key_value(text: str) -> tuple[str, str]:
    """An argument's type: `key=value`; the value may hold further equals signs."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise argparse.ArgumentTypeError(f"'{text}' is not of the form key=value")
    return key, value
