"""A reader of server-sent events that does what a browser's EventSource does."""

import contextlib
import http.client
import itertools
import json
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

_PAUSE_S = 0.1
"""Before it comes back; a browser waits a little longer."""


class SourceEvent(NamedTuple):
    """An event as it came."""

    name: str
    data: Any
    last_id: str
    """The id that the reader would name if it had to come back now."""
    url: str
    """Of the broker that sent it."""
    connection: int
    """Counted from 0."""


class EventSource(threading.Thread):
    """Reads one stream, from the next of several brokers whenever the connection ends.

    Names the last event that it got when it comes back. Life: made, `start`, `close`.
    """

    def __init__(
        self,
        urls: Sequence[str],
        path: str,
        on_event: Callable[[SourceEvent], None] = lambda _: None,
    ) -> None:
        """Assign only; `on_event` is called in this thread, one event after the other."""
        super().__init__(daemon=True)
        self._urls = itertools.cycle(urls)
        self._path = path
        self._on_event = on_event
        self._stopping = threading.Event()
        self._socket: socket.socket | None = None
        self.events: list[SourceEvent] = []
        self.refusals: list[tuple[int, str]] = []
        """Status and body of what was answered instead of a stream."""
        self.last_id = ""

    def run(self) -> None:
        for number, url in enumerate(self._urls):
            if self._stopping.is_set():
                return
            headers = {"accept": "text/event-stream"}
            if self.last_id:
                headers["last-event-id"] = self.last_id
            address = urlsplit(url)
            assert address.hostname is not None
            connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
            try:
                connection.connect()
                self._socket = connection.sock
                connection.request("GET", self._path, headers=headers)
                response = connection.getresponse()
                if response.status == http.HTTPStatus.OK:
                    self._read(response, url, number)
                else:
                    self.refusals.append((response.status, response.read().decode()))
            except (OSError, http.client.HTTPException):
                pass  # as a browser, it comes back
            finally:
                connection.close()
            self._stopping.wait(_PAUSE_S)

    def close(self) -> None:
        """Go away."""
        self._stopping.set()
        self.drop()
        self.join()

    def drop(self) -> None:
        """Have the connection break."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def named(self, name: str) -> list[SourceEvent]:
        """All events of a kind, so far."""
        return [event for event in self.events if event.name == name]

    def _read(self, response: Iterable[bytes], url: str, connection: int) -> None:
        fields: dict[str, str] = {}
        for raw in response:
            line = raw.decode().removesuffix("\n")
            if self._stopping.is_set():
                return
            if not line:
                if "data" in fields:
                    self.last_id = fields.get("id", self.last_id)
                    event = SourceEvent(
                        fields.get("event", "message"),
                        json.loads(fields["data"]),
                        self.last_id,
                        url,
                        connection,
                    )
                    self.events.append(event)
                    self._on_event(event)
                fields = {}
            elif not line.startswith(":"):
                name, _, text = line.partition(":")
                text = text.removeprefix(" ")
                fields[name] = f"{fields[name]}\n{text}" if name in fields else text
