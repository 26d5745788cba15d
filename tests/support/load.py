"""Load on brokers that may die at any moment, and the book of what they acknowledged."""

import http.client
import itertools
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self

from kafkalite.model.record import Record
from tests.support.topic import Topic
from tests.support.waiting import wait_until

_TIMEOUT_S = 10.0
_PAUSE_S = 0.01
_JSON = {"Content-Type": "application/json"}


class Ledger:
    """What producers were told is stored, and what readers were shown. Thread-safe."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._entries: dict[tuple[int, int], bytes] = {}
        self._contradictions: list[str] = []
        self.acknowledged = 0
        """Records that producers were told are stored."""

    def note(self, partition: int, offset: int, value: bytes, *, acknowledged: bool) -> None:
        """Enter that `value` is at `offset`; an entry that says otherwise is a contradiction."""
        with self._mutex:
            known = self._entries.setdefault((partition, offset), value)
            if known != value:
                self._contradictions.append(f"{partition}@{offset}: {known!r}, then {value!r}")
            self.acknowledged += acknowledged

    def check(self, topic: Topic, partitions: Iterable[int]) -> None:
        """Everything entered is in the topic, where it was said to be, and offsets are dense.

        Nothing is there twice: each value was sent once, and what failed was not sent again. What
        one producer was told in an order is in that order: it would contradict an earlier entry.
        """
        for partition in partitions:
            with self._mutex:  # what is entered from now on may not be in what is read
                entered = {
                    offset: value
                    for (at, offset), value in self._entries.items()
                    if at == partition
                }
            records = topic.read_all(partition)
            assert [each.offset for each in records] == list(range(len(records)))
            twice = [value for value, times in Counter(each.value for each in records).items()
                     if times > 1]  # fmt: skip
            assert not twice, f"{partition}: stored twice: {twice[:5]}"
            self._compare(partition, entered, records)
        assert not self._contradictions

    def _compare(self, partition: int, entered: dict[int, bytes], records: list[Record]) -> None:
        for offset, value in entered.items():
            assert offset < len(records), f"{partition}@{offset} is lost: {value!r}"
            assert records[offset].value == value, f"{partition}@{offset} differs"


class Load:
    """Producers with acks=all and readers in threads, between `with` and its end.

    A request that fails, for whatever reason, is followed by the next one: its records may or may
    not be in the log. An answer that a client must not get ends the load and is raised by
    `check_alive`.
    """

    def __init__(
        self, brokers: int | Sequence[str], topic: str, *, partitions: int, producers: int = 4
    ) -> None:
        """Describe it; nothing runs yet.

        Args:
            brokers: a port of this machine; or `host:port` of several brokers: whoever is refused
                by one of them goes on with the next.
            topic: to write to and to read.
            partitions: how many it has.
            producers: how many threads write; each partition has one that reads.
        """
        self.ledger = Ledger()
        self._brokers = [f"127.0.0.1:{brokers}"] if isinstance(brokers, int) else list(brokers)
        self._topic = topic
        self._stop = threading.Event()
        self._failures: list[BaseException] = []
        self._threads = [
            *(self._thread(self._produce, number, partitions) for number in range(producers)),
            *(self._thread(self._consume, number) for number in range(partitions)),
        ]

    def check_alive(self) -> None:
        """Raise what ended a thread."""
        if self._failures:
            raise self._failures[0]

    def wait_until_acknowledged(self, records: int) -> None:
        """Return when so many more records are acknowledged."""
        enough = self.ledger.acknowledged + records

        def done() -> bool:
            self.check_alive()
            return self.ledger.acknowledged >= enough

        wait_until(done, f"{records} records are acknowledged")

    def _thread(self, run: Callable[..., None], *args: int) -> threading.Thread:
        def guarded() -> None:
            try:
                run(*args)
            except BaseException as error:  # noqa: BLE001 - handed to the test
                self._failures.append(error)

        return threading.Thread(target=guarded, daemon=True)

    def _produce(self, number: int, partitions: int) -> None:
        connection = _Connection(self._brokers, number)
        last = dict.fromkeys(range(partitions), -1)
        for count in itertools.count():
            if self._stop.is_set():
                break
            partition = (number + count) % partitions
            values = [f"{number}-{count}-{index}" for index in range(1 + count % 5)]
            body = json.dumps({"records": [{"value": value} for value in values]})
            answer = self._ask(
                connection, "POST", f"{self._path(partition)}?acks=all&timeout_ms=3000", body
            )
            for value, place in zip(values, answer.get("offsets", ()), strict=False):
                if "error" not in place:
                    assert place["offset"] > last[partition], f"{value} is before what came before"
                    last[partition] = place["offset"]
                    stored = json.dumps(value).encode()
                    self.ledger.note(partition, place["offset"], stored, acknowledged=True)
        connection.close()

    def _consume(self, partition: int) -> None:
        connection = _Connection(self._brokers, partition)
        offset = 0
        while not self._stop.is_set():
            target = f"{self._path(partition)}?offset={offset}&timeout_ms=100"
            answer = self._ask(connection, "GET", target)
            assert answer.get("error") != "OFFSET_OUT_OF_RANGE", answer
            for record in answer.get("records", ()):
                value = json.dumps(record["value"]).encode()
                self.ledger.note(partition, record["offset"], value, acknowledged=False)
            offset = answer.get("next_offset", offset)
        connection.close()

    def _path(self, partition: int) -> str:
        return f"/v1/topics/{self._topic}/partitions/{partition}/records"

    def _ask(
        self, connection: "_Connection", method: str, target: str, body: str = ""
    ) -> dict[str, Any]:
        """One request; an empty answer when there is none. Every refusal must be retriable."""
        answer = connection.ask(method, target, body)
        if answer is None:
            self._stop.wait(_PAUSE_S)
            return {}
        status, document = answer
        if status != http.client.OK:
            # Not the leader for a moment, or on its way out.
            assert document["retriable"], document
            connection.turn()
            self._stop.wait(_PAUSE_S)
        return document

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if error is None:
            self.check_alive()


class _Connection:
    """A kept connection to one of several brokers, and to the next one when that fails."""

    def __init__(self, brokers: Sequence[str], first: int) -> None:
        self._brokers = brokers
        self._at = first % len(brokers)
        self._connection = self._connect()

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._brokers[self._at], timeout=_TIMEOUT_S)

    def ask(self, method: str, target: str, body: str) -> tuple[int, dict[str, Any]] | None:
        """Status and document of the answer; None when there was none."""
        try:
            self._connection.request(method, target, body or None, _JSON)
            response = self._connection.getresponse()
            return response.status, json.loads(response.read())
        except (OSError, http.client.HTTPException):
            self.turn()
            return None

    def turn(self) -> None:
        """Go on with the next broker."""
        self._connection.close()
        self._at = (self._at + 1) % len(self._brokers)
        self._connection = self._connect()

    def close(self) -> None:
        self._connection.close()
