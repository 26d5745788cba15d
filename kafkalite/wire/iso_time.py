"""Points in time and spans of time as people write them: ISO 8601, as Kafka's tools take it."""

import re
from datetime import UTC, datetime
from typing import Final

from kafkalite.model.errors import InvalidRequestError

LATEST_MS: Final = 253_402_300_799_999
"""The end of the year 9999: the last time that `instant` can write."""
_DATETIME: Final = re.compile(r"\d{4}-\d\d-\d\d(?:T[0-9:.]+(?:Z|[+-][0-9:]+)?)?", re.ASCII)
_DURATION: Final = re.compile(
    r"(?P<sign>-?)P(?:(?P<days>\d{1,9})D)?"
    r"(?:T(?:(?P<hours>\d{1,9})H)?(?:(?P<minutes>\d{1,9})M)?"
    r"(?:(?P<seconds>\d{1,9})(?:\.(?P<fraction>\d{1,9}))?S)?)?",
    re.ASCII,
)
_UNITS_MS: Final = {"days": 86_400_000, "hours": 3_600_000, "minutes": 60_000, "seconds": 1_000}


def datetime_ms(text: str) -> int:
    """Milliseconds since the epoch of `YYYY-MM-DDTHH:mm:SS.sss`; UTC where no zone is named.

    Raises:
        InvalidRequestError: it is no date and time.
    """
    try:
        # Python takes more than this, which nobody means.
        when = datetime.fromisoformat(text if _DATETIME.fullmatch(text) else "")
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        return round(when.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise InvalidRequestError(
            f"'{text[:80]}' is not a date and time like 2026-01-31T12:00:00.000"
        ) from None


def duration_ms(text: str) -> int:
    """Milliseconds of `PnDTnHnMnS`, of which any part may be missing, but not all.

    Raises:
        InvalidRequestError: it is none.
    """
    parts = _DURATION.fullmatch(text)
    named = {} if parts is None else parts.groupdict()
    given = [name for name in _UNITS_MS if named.get(name) is not None]
    if parts is None or not given or text.endswith("T"):
        raise InvalidRequestError(
            f"'{text[:80]}' is not a duration like P1D, PT1H30M or P2DT12H (PnDTnHnMnS)"
        )
    total = sum(int(named[name]) * _UNITS_MS[name] for name in given)
    total += int((named["fraction"] or "0").ljust(3, "0")[:3])
    return -total if named["sign"] else total


def instant(time_ms: int) -> str:
    """Milliseconds since the epoch, up to LATEST_MS, as `YYYY-MM-DDTHH:mm:SS.sssZ`."""
    seconds, rest_ms = divmod(time_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ms:03}Z"
