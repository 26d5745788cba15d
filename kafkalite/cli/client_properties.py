"""Client settings as Kafka's tools take them: `--*-property k=v` and properties files."""

import sys
from collections.abc import Iterable
from pathlib import Path

from kafkalite.cli.failure import CommandError

_SECURITY = ("sasl.", "ssl.", "security.")
_PLAIN = {("security.protocol", "PLAINTEXT")}


class ClientProperties:
    """Settings from a file and the command line, the latter winning; each is used or named."""

    def __init__(self, file: str | None, given: Iterable[tuple[str, str]]) -> None:
        self._values = {**load_properties(file), **dict(given)}
        self._used: set[str] = set()

    def text(self, key: str) -> str | None:
        """The value of `key`, if it was given."""
        self._used.add(key)
        return self._values.get(key)

    def number(self, key: str) -> int | None:
        """The value of `key` as an integer, if it was given."""
        value = self.text(key)
        if value is None:
            return None
        try:
            return int(value)
        except ValueError:
            raise CommandError(
                f"Invalid value {value} for configuration {key}: Not a number of type INT"
            ) from None

    def check_rest(self, refused: Iterable[str]) -> None:
        """Say which settings have no effect; refuse those whose absence would mislead.

        Args:
            refused: keys of what is not built yet.

        Raises:
            CommandError: one of them is set, or one that promises a secure connection.
        """
        for key in refused:
            if self._values.get(key, "false").lower() != "false":
                raise CommandError(f"{key} is not supported yet")
        for key, value in self._values.items():
            if key.startswith(_SECURITY) and (key, value) not in _PLAIN:
                raise CommandError(f"{key} is not supported yet: connections are plain HTTP")
        unused = sorted(self._values.keys() - self._used - {key for key, _ in _PLAIN})
        if unused:
            print(f"WARNING: settings without effect here: {', '.join(unused)}", file=sys.stderr)


def load_properties(file: str | None) -> dict[str, str]:
    """What a properties file says; nothing for None.

    Raises:
        CommandError: it cannot be read.
    """
    if file is None:
        return {}
    import javaproperties  # noqa: PLC0415 - most command lines name no file

    try:
        text = Path(file).read_text()
        return dict(javaproperties.loads(text))
    except OSError as error:
        raise CommandError(f"Cannot read {file}: {error.strerror}.") from None
    except (UnicodeDecodeError, javaproperties.InvalidUEscapeError) as error:
        raise CommandError(f"{file} is not a properties file: {error}.") from None


def is_true(value: str) -> bool:
    """How Kafka's tools read a switch: the word `true`, in any case."""
    return value.strip().lower() == "true"
