"""`kafkalite server start|stop`: runs a broker, in the foreground or in the background."""

import argparse
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import httpx

from kafkalite.cli.failure import CommandError
from kafkalite.config.keys import BrokerSettings
from kafkalite.config.load import ConfigError, LoadedSettings, load_settings
from kafkalite.storage.directory_lock import holder_of

DEFAULT_FILE = Path("configs/server.properties")
_OUTPUT_NAME: Final = "server.out"
_START_TIMEOUT_S: Final = 60.0
_STOP_TIMEOUT_S: Final = 60.0
_POLL_S: Final = 0.02


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-commands on `parser`."""
    commands = parser.add_subparsers(dest="action", required=True, metavar="start|stop")
    start = commands.add_parser("start", help="run the broker", allow_abbrev=False)
    start.add_argument(
        "-daemon", action="store_true", help="run it in the background, return when it is ready"
    )
    stop = commands.add_parser("stop", help="end the broker cleanly", allow_abbrev=False)
    for command in (start, stop):
        command.add_argument(
            "file", nargs="?", type=Path, default=DEFAULT_FILE, help=f"default: {DEFAULT_FILE}"
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
    if args.action == "stop":
        return _stop(loaded.settings)
    if args.daemon:
        return _start_in_background(args, loaded.settings)
    return _serve(loaded)


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


def _start_in_background(args: argparse.Namespace, settings: BrokerSettings) -> int:
    directory = settings.log_directories[0]
    holder = holder_of(directory)
    if holder is not None:
        raise CommandError(f"A broker with log.dirs {directory} is running (pid {holder}).")
    output = directory.parent / f"{directory.name}.{_OUTPUT_NAME}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        sink = output.open("ab")
    except OSError as error:
        raise CommandError(f"Cannot write to {directory}: {error.strerror}.") from error
    command = [sys.executable, "-P", "-m", "kafkalite.cli.main", "server", "start", str(args.file)]
    for override in args.override:
        command += ["--override", override]
    with sink:
        begin = sink.tell()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True
        )
    if _wait_until_ready(process, settings):
        listener = settings.advertised_listener(settings.listeners.port)
        print(f"The broker answers at {listener.url} (pid {process.pid}, output in {output}).")
        return 0
    if process.poll() is None:
        process.terminate()
        process.wait(_STOP_TIMEOUT_S)
    with output.open("rb") as written:
        written.seek(begin)
        sys.stderr.write(written.read().decode(errors="replace"))
    return 1


def _wait_until_ready(process: subprocess.Popen[bytes], settings: BrokerSettings) -> bool:
    host = "127.0.0.1" if settings.listeners.is_everywhere else settings.listeners.host
    url = settings.listeners._replace(host=host).url
    deadline = time.monotonic() + _START_TIMEOUT_S
    with httpx.Client(base_url=url, timeout=5, trust_env=False) as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if client.get("/readyz").status_code == httpx.codes.OK:
                    return True
            except httpx.HTTPError:
                pass
            time.sleep(_POLL_S)
    return False


def _stop(settings: BrokerSettings) -> int:
    directory = settings.log_directories[0]
    pid = holder_of(directory)
    if pid is None:
        print("No kafka server to stop")
        return 1
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        pass
    except PermissionError as error:
        raise CommandError(f"The broker (pid {pid}) belongs to another user.") from error
    deadline = time.monotonic() + _STOP_TIMEOUT_S
    while time.monotonic() < deadline:
        if holder_of(directory) != pid:
            print(f"Stopped the broker (pid {pid}).")
            return 0
        time.sleep(_POLL_S)
    print(f"The broker (pid {pid}) is still running after {_STOP_TIMEOUT_S:.0f} s.")
    return 1
