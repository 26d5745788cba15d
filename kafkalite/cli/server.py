"""`kafkalite server start|stop`: runs a broker, in the foreground or in the background."""

import argparse
import logging
import sys
from pathlib import Path

from kafkalite.cli.command_line import typed_as
from kafkalite.cli.failure import CommandError
from kafkalite.config.load import ConfigError, LoadedSettings, load_settings

DEFAULT_FILE = Path("configs/server.properties")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-commands on `parser`."""
    commands = parser.add_subparsers(dest="action", required=True, metavar="start|stop")

    def add_command(action: str, summary: str) -> argparse.ArgumentParser:
        name = typed_as(f"kafkalite server {action}")
        description = f"{summary[0].upper()}{summary[1:]}."
        return commands.add_parser(
            action, prog=name, help=summary, description=description, allow_abbrev=False
        )

    start = add_command("start", "run the broker that a file of settings describes")
    start.add_argument(
        "-daemon", action="store_true", help="run it in the background, return when it is ready"
    )
    stop = add_command("stop", "end the broker cleanly, after others lead its partitions")
    for command in (start, stop):
        command.add_argument(
            "file",
            nargs="?",
            type=Path,
            default=DEFAULT_FILE,
            help=f"its settings (default: {DEFAULT_FILE})",
        )
        command.add_argument(
            "--override",
            action="append",
            default=[],
            metavar="KEY=VALUE",
            help="a setting that counts before the file; may be repeated",
        )


def run(args: argparse.Namespace) -> int:
    """Run the chosen sub-command; gives the exit code."""
    try:
        loaded = load_settings(args.file, args.override)
    except ConfigError as error:
        raise CommandError(str(error)) from error
    if args.action == "start" and not args.daemon:
        return _serve(loaded)
    from kafkalite.cli import server_process  # noqa: PLC0415 - a broker must not pay for its client

    if args.action == "stop":
        return server_process.stop(loaded.settings)
    return server_process.start_in_background(args.file, args.override, loaded.settings)


def _serve(loaded: LoadedSettings) -> int:
    from kafkalite.server import StartError, serve  # noqa: PLC0415 - stopping needs none of it

    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    for warning in loaded.warnings:
        logging.getLogger(__name__).warning("%s", warning)
    try:
        serve(loaded.settings)
    except StartError as error:
        raise CommandError(str(error)) from error
    return 0
