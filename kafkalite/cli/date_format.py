"""Dates as java.text.SimpleDateFormat writes them, in the local time of this machine."""

import re
from datetime import datetime
from typing import Final

from kafkalite.cli.failure import CommandError

_PIECE: Final = re.compile(r"'(?P<quoted>(?:[^']|'')*)'|(?P<letters>([A-Za-z])\3*)|(?P<other>.)")
_FIELDS: Final = {
    "yyyy": "%Y",
    "y": "%Y",
    "yy": "%y",
    "MM": "%m",
    "MMM": "%b",
    "MMMM": "%B",
    "dd": "%d",
    "EEE": "%a",
    "EEEE": "%A",
    "HH": "%H",
    "hh": "%I",
    "a": "%p",
    "mm": "%M",
    "ss": "%S",
    "Z": "%z",
    "z": "%Z",
}
_MILLISECONDS: Final = "SSS"


class DateFormat:
    """A pattern such as `yyyy-MM-dd HH:mm:ss:SSS`."""

    def __init__(self, pattern: str) -> None:
        """Understand `pattern`; raises CommandError for a field that is not known."""
        self._pieces: list[str | None] = []
        for piece in _PIECE.finditer(pattern):
            letters = piece["letters"]
            if letters == _MILLISECONDS:
                self._pieces.append(None)
            elif letters is None:
                quoted = piece["quoted"]
                text = piece["other"] if quoted is None else quoted.replace("''", "'") or "'"
                self._pieces.append(text.replace("%", "%%"))
            elif letters in _FIELDS:
                self._pieces.append(_FIELDS[letters])
            else:
                raise CommandError(f"{letters} is not supported in a date format")

    def format(self, time_ms: int) -> str:
        """Milliseconds since 1970 as text."""
        seconds, milliseconds = divmod(time_ms, 1000)
        moment = datetime.fromtimestamp(seconds).astimezone()
        return "".join(
            f"{milliseconds:03}" if piece is None else moment.strftime(piece)
            for piece in self._pieces
        )
