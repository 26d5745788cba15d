"""A broker in the background: started and waited for, found by its lock and stopped."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Final

from kafkalite.cli.failure import CommandError
from kafkalite.config.keys import BrokerSettings
from kafkalite.storage.directory_lock import holder_of

_OUTPUT_NAME: Final = "server.out"
_SAY_SO_S: Final = 10.0
_STOP_TIMEOUT_S: Final = 60.0
_POLL_S: Final = 0.02
_ANSWER_TIMEOUT_S: Final = 5.0


def start_in_background(file: Path, overrides: Sequence[str], settings: BrokerSettings) -> int:
    """Start a broker as a process of its own and wait until it is ready; gives the exit code.

    Raises:
        CommandError: one is running already, its output cannot be written, or its port would be
            known to itself only.
    """
    if settings.listeners.port == 0:
        raise CommandError(
            f"listeners is {settings.listeners}, any free port: with -daemon, name the port."
        )
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
    command = [sys.executable, "-P", "-m", "kafkalite.cli.main", "server", "start", str(file)]
    for override in overrides:
        command += ["--override", override]
    with sink:
        begin = sink.tell()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True
        )
    if _wait_until_ready(process, directory, settings):
        listener = settings.advertised_listener(settings.listeners.port)
        print(f"The broker answers at {listener.url} (pid {process.pid}, output in {output}).")
        return 0
    with output.open("rb") as written:
        written.seek(begin)
        sys.stderr.write(written.read().decode(errors="replace"))
    return 1


def _wait_until_ready(
    process: subprocess.Popen[bytes], directory: Path, settings: BrokerSettings
) -> bool:
    """Wait for as long as the process lives: after an unclean stop it may have much to verify.

    Whoever answers must be this process, not another broker on the same port: it holds the lock.
    """
    host = "127.0.0.1" if settings.listeners.is_everywhere else settings.listeners.host
    say_so_at = time.monotonic() + _SAY_SO_S
    while process.poll() is None:
        if holder_of(directory) == process.pid and _is_ready(host, settings.listeners.port):
            return True
        if time.monotonic() >= say_so_at:
            print("The broker is still starting; Ctrl-C leaves it to itself.", file=sys.stderr)
            say_so_at += _SAY_SO_S
        time.sleep(_POLL_S)
    return False


def _is_ready(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=_ANSWER_TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def stop(settings: BrokerSettings) -> int:
    """Ask the broker of these settings to end, and wait for it; gives the exit code.

    Raises:
        CommandError: it belongs to another user.
    """
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
