"""`kafkalite zookeeper start|status|stop`: runs the embedded ZooKeeper as a server of its own."""

import argparse
import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from kafkalite.cli.command_line import typed_as
from kafkalite.zkserver.config import ZooKeeperConfig
from kafkalite.zkserver.config_file import ConfigError, load_config
from kafkalite.zkserver.data_directory import serving_pid
from kafkalite.zkserver.errors import StorageError
from kafkalite.zkserver.server import AddressInUseError, ZooKeeperServer

DEFAULT_FILE = Path("configs/zookeeper.properties")
_OUTPUT_NAME = "zookeeper.out"
_START_TIMEOUT_S = 15.0
_STOP_TIMEOUT_S = 30.0
_PROBE_TIMEOUT_S = 5.0
_POLL_S = 0.02

_log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-commands on `parser`."""
    commands = parser.add_subparsers(dest="action", required=True, metavar="start|status|stop")

    def add_command(action: str, summary: str) -> argparse.ArgumentParser:
        name = typed_as(f"kafkalite zookeeper {action}")
        description = f"{summary[0].upper()}{summary[1:]}."
        return commands.add_parser(
            action, prog=name, help=summary, description=description, allow_abbrev=False
        )

    start = add_command("start", "run the embedded ZooKeeper that a file of settings describes")
    start.add_argument(
        "-daemon", action="store_true", help="run it in the background and return when it answers"
    )
    status = add_command("status", "say whether the embedded ZooKeeper answers")
    stop = add_command("stop", "end the embedded ZooKeeper")
    for command in (start, status, stop):
        command.add_argument(
            "file",
            nargs="?",
            type=Path,
            default=DEFAULT_FILE,
            help=f"its settings (default: {DEFAULT_FILE})",
        )


def run(args: argparse.Namespace) -> int:
    """Run the chosen sub-command; gives the exit code."""
    try:
        loaded = load_config(args.file)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    config = loaded.config
    if args.action == "status":
        return _status(args.file, config)
    if args.action == "stop":
        return _stop(config)
    if args.daemon:
        print(*loaded.warnings, sep="\n", end="\n" if loaded.warnings else "", file=sys.stderr)
        return _start_in_background(args.file, config)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    for warning in loaded.warnings:
        _log.warning("%s", warning)
    try:
        return asyncio.run(_serve(config))
    except (StorageError, AddressInUseError) as error:
        print(error, file=sys.stderr)
        return 1


async def _serve(config: ZooKeeperConfig) -> int:
    """Serve until SIGTERM, SIGINT or a failure of storage."""
    loop = asyncio.get_running_loop()
    asked_to_stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop.set)
    server = ZooKeeperServer(config)
    await server.start()
    _log.info("listening on %s:%d, data in %s", config.address, server.port, config.data_dir)
    waits = [
        asyncio.ensure_future(asked_to_stop.wait()),
        asyncio.ensure_future(server.wait_failed()),
    ]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    await server.stop()
    _log.info("stopped")
    return 0 if asked_to_stop.is_set() else 1


def _start_in_background(file: Path, config: ZooKeeperConfig) -> int:
    running = serving_pid(config.data_dir)
    if running is not None:
        print(f"A server with dataDir {config.data_dir} is running (pid {running}).")
        return 1
    try:
        config.data_dir.mkdir(parents=True, exist_ok=True)
        output = (config.data_dir / _OUTPUT_NAME).open("ab")
    except OSError as error:
        print(f"Cannot write to dataDir {config.data_dir}: {error.strerror}.", file=sys.stderr)
        return 1
    safe_path = ["-P"] if sys.flags.safe_path else []
    with output:
        begin = output.tell()
        server = subprocess.Popen(
            [sys.executable, *safe_path, "-m", "kafkalite.cli.zookeeper", "start", str(file)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    if _wait_until_serving(server, config.data_dir):
        print(f"ZooKeeper listens on {_shown_address(config)}:{config.port} (pid {server.pid}).")
        return 0
    if server.poll() is None:
        server.terminate()
        server.wait(_STOP_TIMEOUT_S)
    with Path(output.name).open("rb") as written:
        written.seek(begin)
        sys.stderr.write(written.read().decode(errors="replace"))
    return 1


def _wait_until_serving(server: subprocess.Popen[bytes], data_dir: Path) -> bool:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline and server.poll() is None:
        if serving_pid(data_dir) == server.pid:
            return True
        time.sleep(_POLL_S)
    return False


def _status(file: Path, config: ZooKeeperConfig) -> int:
    print(f"Using config: {file}", file=sys.stderr)
    print(f"Client port found: {config.port}. Client address: {_shown_address(config)}.")
    try:
        text = _ask(config, "srvr")
    except OSError:
        text = ""
    mode = next((line for line in text.splitlines() if line.startswith("Mode: ")), None)
    if mode is None:
        print("Error contacting service. It is probably not running.")
        return 1
    print(mode)
    return 0


def _stop(config: ZooKeeperConfig) -> int:
    pid = serving_pid(config.data_dir)
    if pid is None:
        print("No zookeeper server to stop")
        return 1
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        pass
    except PermissionError:
        print(f"The server (pid {pid}) belongs to another user.", file=sys.stderr)
        return 1
    deadline = time.monotonic() + _STOP_TIMEOUT_S
    while time.monotonic() < deadline:
        if serving_pid(config.data_dir) != pid:
            print(f"Stopped ZooKeeper (pid {pid}).")
            return 0
        time.sleep(_POLL_S)
    print(f"The server (pid {pid}) is still running after {_STOP_TIMEOUT_S:.0f} s.")
    return 1


def _shown_address(config: ZooKeeperConfig) -> str:
    return "localhost" if config.address in {"", "127.0.0.1", "::1"} else config.address


def _ask(config: ZooKeeperConfig, word: str) -> str:
    host = "127.0.0.1" if config.address in {"", "0.0.0.0"} else config.address
    with socket.create_connection((host, config.port), _PROBE_TIMEOUT_S) as connection:
        connection.sendall(word.encode())
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer.decode(errors="replace")


def main() -> int:
    """Run as `python -m kafkalite.cli.zookeeper`."""
    parser = argparse.ArgumentParser(prog="kafkalite zookeeper", allow_abbrev=False)
    add_arguments(parser)
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
