"""A producer whose values are all different, while brokers may die."""

import itertools
import threading
import time
from collections.abc import Collection, Sequence
from types import TracebackType
from typing import Self

import msgspec

from tests.support.any_broker import AnyBroker
from tests.support.waiting import wait_until

_PAUSE_S = 0.02


class UniqueValues:
    """A thread that writes to some topics between `with` and its end; each value is sent once."""

    def __init__(self, brokers: Sequence[str], topics: Sequence[str]) -> None:
        """Describe it; `brokers` are `host:port`."""
        self._brokers = brokers
        self._acknowledged: dict[str, set[bytes]] = {topic: set() for topic in topics}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="producer", daemon=True)

    def acknowledged(self, topics: Collection[str]) -> set[bytes]:
        """What is stored for sure in some topics by now."""
        return set().union(*(self._acknowledged[topic] for topic in topics))

    def add_topic(self, topic: str) -> None:
        """Write to it, too, from now on."""
        self._acknowledged = {**self._acknowledged, topic: set()}

    def wait_for(self, count: int) -> None:
        """Return when so many more are acknowledged."""

        def total() -> int:
            return sum(len(values) for values in self._acknowledged.values())

        enough = total() + count
        wait_until(lambda: total() >= enough, f"{count} values are acknowledged")

    def _run(self) -> None:
        broker = AnyBroker(self._brokers)
        for number in itertools.count():
            if self._stop.is_set():
                break
            topics = list(self._acknowledged)
            topic = topics[number % len(topics)]
            values = [f"{number}-{index}" for index in range(5)]
            body = msgspec.json.encode(
                {"records": [{"key": value, "value": value} for value in values]}
            )
            answer = broker.ask(
                "POST", f"/v1/topics/{topic}/records?acks=all&timeout_ms=3000", body,
                "application/json",
            )  # fmt: skip
            if answer is None or not answer.is_good:
                broker.turn()
                time.sleep(_PAUSE_S)
                continue
            places = msgspec.json.decode(answer.body)["offsets"]
            self._acknowledged[topic].update(
                msgspec.json.encode(value)
                for value, place in zip(values, places, strict=True)
                if "error" not in place
            )
            time.sleep(_PAUSE_S)
        broker.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
