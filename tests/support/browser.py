"""A real browser without a window, told what to do over its debugging pipe."""

import itertools
import json
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.support.waiting import wait_until

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
_FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--no-proxy-server",
    "--remote-debugging-pipe",
)
_LOADED: Final = 'location.href !== "about:blank" && document.readyState === "complete"'
"""A page begins as a blank one, which is complete, too."""


class Browser:
    """One Chromium with one page. Life: `with`. Used by one thread."""

    def __init__(self, directory: Path) -> None:
        """Describe one that keeps its profile below `directory`."""
        self._directory = directory
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self._unread = b""

    @staticmethod
    def why_unavailable() -> str | None:
        """Why there is none here, in a sentence, or None when there is."""
        if any(shutil.which(name) for name in _NAMES):
            return None
        return "the browser tests need Chromium (Debian's package chromium)"

    def __enter__(self) -> Self:
        name = next(name for name in _NAMES if shutil.which(name))
        theirs_in, self._commands = os.pipe()
        self._answers, theirs_out = os.pipe()
        # It reads commands from descriptor 3 and writes answers to 4.
        self._process = subprocess.Popen(
            [
                "bash",
                "-c",
                f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}',
                name,
                *_FLAGS,
                f"--user-data-dir={self._directory}",
                "about:blank",
            ],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._send("Browser.close")
            self._process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        finally:
            os.close(self._commands)
            os.close(self._answers)

    def open(self, url: str) -> None:
        """Show a page, and wait until it is there."""
        target = self._ask("Target.createTarget", url=url)["targetId"]
        attached = self._ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        wait_until(self._is_loaded, f"{url} is shown")

    def run(self, script: str) -> Any:
        """What an expression of the page comes to; a promise is waited for."""
        answer = self._ask(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def _is_loaded(self) -> bool:
        # While one page takes the place of another there is none to ask.
        answer = self._answer_to("Runtime.evaluate", expression=_LOADED, returnByValue=True)
        return answer.get("result", {}).get("result", {}).get("value") is True

    def _send(self, method: str, **parameters: Any) -> int:
        number = next(self._numbers)
        command: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session is not None and method.startswith("Runtime."):
            command["sessionId"] = self._session
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        return number

    def _ask(self, method: str, **parameters: Any) -> Any:
        message = self._answer_to(method, **parameters)
        assert "error" not in message, message["error"]
        return message["result"]

    def _answer_to(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = self._send(method, **parameters)
        while True:
            message = self._next_message()
            if message.get("id") == number:
                return message

    def _next_message(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            part = os.read(self._answers, 1 << 16)
            assert part, "the browser ended"
            self._unread += part
        text, _, self._unread = self._unread.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message
