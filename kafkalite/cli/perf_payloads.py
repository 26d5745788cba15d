"""The values that kafka-producer-perf-test sends."""

import random
from collections.abc import Iterator
from itertools import count, cycle
from pathlib import Path
from typing import Final

from kafkalite.cli.failure import CommandError

_LETTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIFFERENT: Final = 1_000
"""Random values that are made beforehand: making each one anew would be what is measured."""


def random_letters(size: int) -> Iterator[bytes]:
    """Values of `size` capital letters, without end."""
    chance = random.Random(0)
    return cycle([bytes(chance.choices(_LETTERS, k=size)) for _ in range(_DIFFERENT)])


def increasing_numbers() -> Iterator[bytes]:
    """0, 1, 2 and so on in decimal."""
    return (b"%d" % number for number in count())


def read_payloads(file: str, delimiter: str) -> list[bytes]:
    """The parts of a file, in UTF-8, between delimiters; what is empty at its end is left out.

    Raises:
        CommandError: there is no such file, nothing in it, or no text.
    """
    try:
        text = Path(file).read_text("utf-8") if Path(file).is_file() else ""
    except OSError as error:
        raise CommandError(f"Cannot read {file}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise CommandError(f"{file} is not text in UTF-8.") from None
    if not text:
        raise CommandError("File does not exist or empty file provided.")
    parts = text.split(delimiter)
    while parts and not parts[-1]:
        parts.pop()
    return [part.encode() for part in parts]


def any_of(payloads: list[bytes]) -> Iterator[bytes]:
    """One of them at random, again and again."""
    chance = random.Random(0)
    while True:
        yield chance.choice(payloads)
