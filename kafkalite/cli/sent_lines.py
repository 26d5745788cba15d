"""Lines that were handed to a producer: which of them were not stored, told as it becomes known."""

from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from kafkalite.client.producer.delivery import Deliveries, Delivery
from kafkalite.model.errors import LogError

_SHOWN_FAILURES: Final = 10
"""Failures told one by one; the rest are counted."""


class LineFailures:
    """Counts the lines that were not stored, and says so of the first ones."""

    def __init__(self, topic: str, say: Callable[[str], None]) -> None:
        self._topic = topic
        self._say = say
        self._counts: Counter[str] = Counter()

    def __bool__(self) -> bool:
        return bool(self._counts)

    def note(self, lines: list[int], partition: int, error: LogError) -> None:
        """Lines that failed together."""
        if sum(self._counts.values()) < _SHOWN_FAILURES:
            first, last = lines[0], lines[-1]
            where = f"Line {first}" if first == last else f"Lines {first} to {last}"
            if len(lines) > 1:
                where += f" ({len(lines)} records for {self._topic}-{partition})"
            self._say(f"{where}: {error.name}: {error.detail}")
        self._counts[error.name] += len(lines)

    def report(self, line_count: int) -> None:
        """Say what is missing from the topic, if anything is."""
        if self._counts:
            reasons = ", ".join(f"{name} {count}" for name, count in self._counts.items())
            self._say(
                f"{sum(self._counts.values())} of {line_count} records were not stored ({reasons})."
            )


class _Part(NamedTuple):
    """Lines that were sent together."""

    first_line: int
    many: Deliveries | None
    """Of lines that are values: all of them, ..."""
    single: list[tuple[int, Delivery]]
    """... of others each with its number."""

    @property
    def is_done(self) -> bool:
        if self.many is not None:
            return self.many.is_done
        return all(delivery.is_done for _, delivery in self.single)

    def failures(self) -> Iterable[tuple[int, int, Exception]]:
        """Line, partition and error of each that was not stored."""
        if self.many is not None:
            failed = self.many.failures()
            deliveries = list(self.many) if failed else []
            for index, error in failed:
                yield self.first_line + index, deliveries[index].partition, error
            return
        for line, delivery in self.single:
            reason = delivery.exception(0)
            if reason is not None:
                yield line, delivery.partition, reason


class SentLines:
    """What is under way, oldest first; `settle` takes out what is known."""

    def __init__(self, failures: LineFailures) -> None:
        self._failures = failures
        self._parts: deque[_Part] = deque()

    def add_many(self, first_line: int, deliveries: Deliveries) -> None:
        """Lines that follow one another."""
        self._parts.append(_Part(first_line, deliveries, []))

    def add(self, sent: list[tuple[int, Delivery]]) -> None:
        """Lines, each with its number."""
        if sent:
            self._parts.append(_Part(sent[0][0], None, sent))

    def settle(self) -> None:
        """Note the failures among what is known by now."""
        while self._parts and self._parts[0].is_done:
            self._note(self._parts.popleft())

    def _note(self, part: _Part) -> None:
        lines: list[int] = []
        together: tuple[int, LogError] | None = None
        for line, partition, error in part.failures():
            # What failed as one batch has one and the same error.
            known = error if isinstance(error, LogError) else LogError(str(error))
            if together is None or together[1] is not known or together[0] != partition:
                if together is not None:
                    self._failures.note(lines, *together)
                lines, together = [], (partition, known)
            lines.append(line)
        if together is not None:
            self._failures.note(lines, *together)
