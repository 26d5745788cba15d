"""Clients' regular expressions, which must not stall a broker: RE2 matches in linear time.

Why this library: docs/decisions/0006-regular-expressions.md. Nothing else here imports it.
"""

import re2

from kafkalite.model.errors import InvalidRequestError

_MAX_PROGRAM_BYTES = 1 << 20
"""Of what one pattern is compiled to; `((a{99}){99})` would need more."""


class TopicPattern:
    """A compiled pattern that a topic's whole name has to match."""

    __slots__ = ("_set",)

    def __init__(self, pattern: str) -> None:
        """Compile.

        Raises:
            InvalidRequestError: RE2 cannot read it (back references and look-arounds, which need
                backtracking, are none of its words), or would need too much memory.
        """
        options = re2.Options()
        options.max_mem = _MAX_PROGRAM_BYTES
        options.log_errors = False
        try:
            re2.compile(pattern, options)
        except re2.error as error:
            reason = error.args[0].decode(errors="replace")
            raise InvalidRequestError(f"The pattern {pattern!r} is no RE2: {reason}") from error
        except UnicodeEncodeError as error:
            raise InvalidRequestError("The pattern is no RE2: it is no UTF-8") from error
        # A set of one: to ask it costs a fraction of what the library's match objects do.
        self._set = re2.Set.FullMatchSet()
        self._set.Add(pattern)
        self._set.Compile()

    def matches(self, topic: str) -> bool:
        """Whether it matches all of a topic's name."""
        return self._set.Match(topic) is not None
