"""The values that are sent: the same ones for every client."""

import random
from pathlib import Path
from typing import Final

import msgspec

NDJSON: Final = "ndjson"
LIST_RECORDS: Final = 1_000
"""In a list that is sent at once."""
_SOURCE: Final = (
    Path(__file__).parent.parent.parent / "examples" / "data" / "departures-2013-01-01.ndjson"
)
_LINES: Final = 50_000
_SEED: Final = 2013


def make_values(kind: str) -> list[bytes]:
    """A thousand different values of so many bytes, or fifty thousand lines of NDJSON.

    Args:
        kind: the size of a value in digits, or `NDJSON`.
    """
    if kind == NDJSON:
        return _departures()
    size = int(kind)
    digits = random.Random(_SEED)
    return [
        (b"%06d " % number + digits.randbytes(size // 2).hex().encode()).ljust(size, b".")[:size]
        for number in range(LIST_RECORDS)
    ]


def _departures() -> list[bytes]:
    """The departures of a day in the examples, spread over days: times and delays differ."""
    lines = [msgspec.json.decode(line) for line in _SOURCE.read_bytes().splitlines()]
    chance = random.Random(_SEED)
    values = []
    for number in range(_LINES):
        day, place = divmod(number, len(lines))
        departure = dict(lines[place])
        departure["month"], departure["day"] = 1 + day // 28, 1 + day % 28
        late = int(chance.expovariate(1 / 12)) - 5
        for name in ("dep_delay", "arr_delay"):
            departure[name] = late + chance.randrange(-8, 8)
        departure["flight"] = chance.randrange(1, 6_000)
        departure["tailnum"] = f"N{chance.randrange(100, 999)}{chance.choice('ABJKUW')}A"
        departure["air_time"] = (departure["air_time"] or 120) + chance.randrange(-15, 15)
        hour = str(departure["time_hour"])[10:]
        departure["time_hour"] = f"2013-{departure['month']:02}-{departure['day']:02}{hour}"
        values.append(msgspec.json.encode(departure))
    return values
