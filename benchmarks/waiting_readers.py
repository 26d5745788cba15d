"""Many who wait: `python -m benchmarks.waiting_readers PORT POLLS POLLED STREAMS STREAMED`.

So many long polls of one topic, half of them by /v1/fetch, and so many streams of server-sent
events of another one, or the same, on a connection each. Says `ready` once all of them wait; a
poll that is answered is sent again. Runs until SIGTERM, and until nothing more comes; then prints
what they got.
"""

import json
import os
import re
import resource
import selectors
import signal
import socket
import sys
import time
from collections.abc import Iterable
from statistics import quantiles
from types import FrameType
from typing import Final

import msgspec

from benchmarks.connection import WrongAnswerError, make_request
from benchmarks.topics import end_offset
from kafkalite.wire.messages import FetchPartition, FetchRequest, FetchResponse

_NICENESS: Final = 19
"""Shares its core with the one who measures, who must not wait for it."""
_WAIT_MS: Final = 600_000
_SILENCE_S: Final = 0.5
"""Nothing for so long: they have got all there is."""
_READ_BYTES: Final = 256 << 10
_BURST: Final = 200
"""Connections that are opened before any of them is looked after."""
_MSGPACK: Final = "application/msgpack"
_OK: Final = b"HTTP/1.1 200"
_START: Final = b"event: start\n"
_RECORD: Final = b'{"partition":'
_EVENT: Final = b"event: records\n"
assert len(_EVENT) > len(_RECORD)
_TIMESTAMP: Final = re.compile(rb'"timestamp":(\d+)')
_LENGTH: Final = re.compile(rb"content-length: (\d+)")
_NEXT_OFFSET: Final = re.compile(rb"x-next-offset: (\d+)")
_TIMED: Final = 7
"""Every so many streams it is looked at how old a record is when it comes."""

_decode_fetched: Final = msgspec.msgpack.Decoder(FetchResponse).decode


class ReadersResult(msgspec.Struct):
    """What it prints."""

    answers: int
    """Of polls."""
    events: int
    """Of streams, those with records."""
    records: int
    """In them."""
    late_p50_ms: float
    late_p99_ms: float
    """How old records were when some of the streams got them; 0 where they got none."""


class _Reader:
    """One connection."""

    def __init__(self, port: int, request: bytes, number: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.request = request
        self.is_timed = number % _TIMED == 0
        self.is_waiting = False
        self.left = b""
        """Of an answer that is not whole, what has come of it; of a stream, its end, where a
        mark may be cut in two."""
        self.socket.sendall(request)


class _Readers:
    """All of them."""

    def __init__(self, port: int, polled: str) -> None:
        self._port = port
        self._polled_topic = polled
        self._selector = selectors.DefaultSelector()
        self._streams: list[_Reader] = []
        self.answers = self.events = self.records = 0
        self.late_ms: list[float] = []
        self.is_ended = False
        signal.signal(signal.SIGTERM, self._end)

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        self.is_ended = True

    def open_polls(self, requests: Iterable[bytes]) -> None:
        for number, request in enumerate(requests):
            self._add(_Reader(self._port, request, number), self._polled)
            if number % _BURST == 0:
                self.look(0)

    def open_streams(self, requests: Iterable[bytes]) -> None:
        for number, request in enumerate(requests):
            reader = _Reader(self._port, request, number)
            self._streams.append(reader)
            self._add(reader, self._streamed)
            if number % _BURST == 0:
                self.look(0)
        while not all(each.is_waiting for each in self._streams):
            self.look(0.1)

    def look(self, wait_s: float) -> bool:
        """Take what has come; gives whether anything has, within `wait_s`."""
        ready = self._selector.select(wait_s)
        for key, _ in ready:
            reader, take = key.data
            data = reader.socket.recv(_READ_BYTES)
            if not data:
                raise WrongAnswerError("A reader's connection was closed")
            take(reader, data)
        return bool(ready)

    def _add(self, reader: _Reader, take: object) -> None:
        self._selector.register(reader.socket, selectors.EVENT_READ, (reader, take))

    def _polled(self, reader: _Reader, data: bytes) -> None:
        reader.left += data
        head, found, body = reader.left.partition(b"\r\n\r\n")
        if not found or len(body) < int(_LENGTH.findall(head)[0]):
            return
        if not head.startswith(_OK):
            raise WrongAnswerError(f"A poll was answered {reader.left[:300]!r}")
        self.answers += 1
        reader.left = b""
        next_offset = _NEXT_OFFSET.findall(head)
        if next_offset:
            reader.request = _page_request(self._polled_topic, int(next_offset[0]))
        else:
            (result,) = _decode_fetched(body).partitions
            reader.request = _fetch_request(self._polled_topic, result.high_watermark)
        reader.socket.sendall(reader.request)

    def _streamed(self, reader: _Reader, data: bytes) -> None:
        if not reader.is_waiting:
            reader.left += data
            if not (_OK + b" OK\r\n").startswith(reader.left[: len(_OK)]):
                raise WrongAnswerError(f"A stream was answered {reader.left[:300]!r}")
            reader.is_waiting = _START in reader.left and reader.left.endswith(b"\n\n\r\n")
            if reader.is_waiting:
                reader.left = b""
            return
        text = reader.left + data
        self.events += text.count(_EVENT) - reader.left.count(_EVENT)
        self.records += text.count(_RECORD) - reader.left.count(_RECORD)
        reader.left = text[1 - len(_EVENT) :]
        if reader.is_timed:
            now_ms = time.time() * 1e3
            self.late_ms += [now_ms - int(found) for found in _TIMESTAMP.findall(data)]

    def result(self) -> ReadersResult:
        late = quantiles(self.late_ms, n=100) if len(self.late_ms) > 1 else [0.0] * 99
        return ReadersResult(self.answers, self.events, self.records, late[49], late[98])


def _page_request(topic: str, offset: int) -> bytes:
    path = f"/v1/topics/{topic}/partitions/0/records?offset={offset}&timeout_ms={_WAIT_MS}"
    return make_request("GET", path)


def _fetch_request(topic: str, offset: int) -> bytes:
    fetch = FetchRequest([FetchPartition(topic, 0, offset)], max_wait_ms=_WAIT_MS)
    return make_request("POST", "/v1/fetch", msgspec.msgpack.encode(fetch), _MSGPACK)


def main() -> None:
    """Open all, and take what they are given until told to end."""
    port, polls, polled, streams, streamed = sys.argv[1:]
    os.nice(_NICENESS)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    readers = _Readers(int(port), polled)
    end = end_offset(int(port), polled)
    kinds = [_page_request(polled, end), _fetch_request(polled, end)]
    readers.open_polls(kinds[number % len(kinds)] for number in range(int(polls)))
    path = f"/v1/topics/{streamed}/stream"
    readers.open_streams([make_request("GET", path)] * int(streams))
    print("ready", flush=True)
    while not readers.is_ended:
        readers.look(0.1)
    while readers.look(_SILENCE_S):
        pass
    print(json.dumps(msgspec.to_builtins(readers.result())), flush=True)


if __name__ == "__main__":
    main()
