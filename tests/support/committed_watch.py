"""Looks at committed offsets again and again: they never go back by themselves."""

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import msgspec

from kafkalite.model.ids import TopicPartition
from kafkalite.wire.group_messages import OffsetFetchResponse
from tests.support.any_broker import AnyBroker

_PAUSE_S = 0.1


class CommittedWatch:
    """A thread that reads the offsets of some groups between `with` and its end."""

    def __init__(self, brokers: Sequence[str], groups: Sequence[str]) -> None:
        """Describe it; `brokers` are `host:port`."""
        self._brokers = brokers
        self._groups = groups
        self._seen: dict[tuple[str, TopicPartition], int] = {}
        self._contradictions: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="offsets", daemon=True)

    def check(self) -> None:
        """None of them went back, and they were looked at."""
        assert not self._contradictions, self._contradictions
        assert {group for group, _ in self._seen} == set(self._groups)

    def _run(self) -> None:
        broker = AnyBroker(self._brokers)
        while not self._stop.wait(_PAUSE_S):
            for group in self._groups:
                answer = broker.ask("GET", f"/v1/groups/{group}/offsets")
                if answer is not None and answer.is_good:
                    self._compare(group, answer.body)
            broker.turn()
        broker.close()

    def _compare(self, group: str, body: bytes) -> None:
        for each in msgspec.json.decode(body, type=OffsetFetchResponse).offsets:
            key = group, TopicPartition(each.topic, each.partition)
            before = self._seen.get(key, 0)
            if each.offset < before:
                self._contradictions.append(f"{key} went from {before} to {each.offset}")
            self._seen[key] = each.offset

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
