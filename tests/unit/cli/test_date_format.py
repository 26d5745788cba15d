"""Dates as Java writes them."""

from datetime import datetime

import pytest

from kafkalite.cli.date_format import DateFormat
from kafkalite.cli.failure import CommandError

_MOMENT_MS = int(datetime(2026, 11, 5, 9, 8, 7).timestamp() * 1000) + 42  # noqa: DTZ001 - local


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("yyyy-MM-dd HH:mm:ss:SSS", "2026-11-05 09:08:07:042"),
        ("yy/MM/dd hh.mm", "26/11/05 09.08"),
        ("dd MMM yyyy 'at' HH'h'mm", "05 Nov 2026 at 09h08"),
        ("HH 'o''clock' 100%", "09 o'clock 100%"),
        ("''HH''", "'09'"),
        ("", ""),
    ],
)
def test_pattern_gives_what_java_gives(pattern: str, expected: str) -> None:
    assert DateFormat(pattern).format(_MOMENT_MS) == expected


@pytest.mark.parametrize("pattern", ["yyyy-MM-dd'T'HH:mm:ssX", "w", "SSSS", "yyyyy"])
def test_field_that_is_not_known_is_refused(pattern: str) -> None:
    with pytest.raises(CommandError, match="is not supported in a date format"):
        DateFormat(pattern)
