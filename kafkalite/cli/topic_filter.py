"""Which topics a command means: Kafka's include lists are regular expressions."""

import re
from typing import Final

from kafkalite.cli.failure import CommandError
from kafkalite.model.internal_topics import INTERNAL_TOPICS

_QUOTES: Final = "\"'"


class TopicFilter:
    """Topics whose whole name matches a regular expression; without one, all.

    As in Kafka, a comma separates alternatives, blanks are dropped, and quotes around it too.
    """

    def __init__(self, pattern: str | None, *, exclude_internal: bool = False) -> None:
        self._exclude_internal = exclude_internal
        self._pattern: re.Pattern[str] | None = None
        self.text = ""
        """As one regular expression, without what Kafka's lists have beside that."""
        if pattern is not None:
            self.text = pattern.strip().replace(",", "|").replace(" ", "").strip(_QUOTES)
            try:
                self._pattern = re.compile(self.text)
            except re.error:
                raise CommandError(f"{pattern} is an invalid regex.") from None

    def matches(self, name: str) -> bool:
        """Whether the topic called `name` is meant."""
        if self._exclude_internal and name in INTERNAL_TOPICS:
            return False
        return self._pattern is None or self._pattern.fullmatch(name) is not None
