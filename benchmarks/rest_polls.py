"""Polls of a consumer instance in the manner of REST Proxy's version 2: base64 in JSON."""

import json
import re
import time
from types import TracebackType
from typing import Final, NamedTuple, Self

from benchmarks.connection import Connection, WrongAnswerError, make_request

_V2: Final = "application/vnd.kafka.v2+json"
_OFFSET: Final = re.compile(rb'"offset":(\d+)')


class Polled(NamedTuple):
    """What was read."""

    records: int
    polls: int
    seconds: float


class RestConsumer:
    """An instance with one topic; a context manager, which deletes it in the end."""

    def __init__(self, port: int, group: str, topic: str) -> None:
        self._connection = Connection(port)
        self._path = f"/consumers/{group}/instances/reader"
        self._create(group)
        self._topic = topic
        self._post("assignments", {"partitions": [{"topic": topic, "partition": 0}]})

    def _create(self, group: str) -> None:
        body = {"name": "reader", "format": "binary", "auto.offset.reset": "earliest"}
        self._connection.expect(
            make_request("POST", f"/consumers/{group}", json.dumps(body).encode(), _V2)
        )

    def _post(self, what: str, body: object) -> None:
        request = make_request("POST", f"{self._path}/{what}", json.dumps(body).encode(), _V2)
        self._connection.expect(request, 204)

    def read(self, end: int, max_bytes: int) -> Polled:
        """Read from the beginning to `end`, so many bytes a poll."""
        partition = {"topic": self._topic, "partition": 0}
        self._post("positions/beginning", {"partitions": [partition]})
        request = (
            f"GET {self._path}/records?max_bytes={max_bytes}&timeout=1000 HTTP/1.1\r\n"
            "host: 127.0.0.1\r\naccept: application/vnd.kafka.binary.v2+json\r\n\r\n"
        ).encode()
        position = polls = 0
        started = time.perf_counter()
        while position < end:
            body = self._connection.expect(request).body
            polls += 1
            # Only the last record is looked at: the load is not to be what is measured.
            found = _OFFSET.findall(bytes(body[-60_000:]))
            if not found or int(found[-1]) < position:
                raise WrongAnswerError(f"Nothing came after {position}")
            position = int(found[-1]) + 1
        return Polled(end, polls, time.perf_counter() - started)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.expect(make_request("DELETE", self._path), 204)
        self._connection.__exit__(kind, error, traceback)
