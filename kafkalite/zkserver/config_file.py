"""Reads zookeeper.properties: ZooKeeper's own keys, checked; what is not known is named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import javaproperties

from kafkalite.zkserver.config import ZooKeeperConfig

_MAX_INT = 2**31 - 1


class ConfigError(Exception):
    """The file cannot be used; one line of text a problem, each with its line number."""


class LoadedConfig(NamedTuple):
    config: ZooKeeperConfig
    warnings: list[str]
    """Keys that were ignored, each with its line number."""


class _Key(NamedTuple):
    """A key of the file: the field it fills and how its value is read."""

    field: str
    parse: Callable[[str], Any]


def _integer(minimum: int, maximum: int = _MAX_INT) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise ValueError(f"{text!r} is not a whole number") from None
        if not minimum <= value <= maximum:
            raise ValueError(f"{value} is not between {minimum} and {maximum}")
        return value

    return parse


def _timeout(text: str) -> int:
    value = _integer(-1)(text)
    if value == 0:
        raise ValueError("0 is no timeout; use -1 for the default")
    return value


def _path(text: str) -> Path:
    if not text:
        raise ValueError("a directory is needed")
    return Path(text)


def _words(text: str) -> frozenset[str]:
    return frozenset(word.strip() for word in text.split(",") if word.strip())


_KEYS = {
    "dataDir": _Key("data_dir", _path),
    "clientPort": _Key("port", _integer(1, 65535)),
    "clientPortAddress": _Key("address", str),
    "tickTime": _Key("tick_ms", _integer(1)),
    "maxClientCnxns": _Key("max_connections_per_address", _integer(0)),
    "minSessionTimeout": _Key("min_session_timeout_ms", _timeout),
    "maxSessionTimeout": _Key("max_session_timeout_ms", _timeout),
    "4lw.commands.whitelist": _Key("four_letter_words", _words),
}


def load_config(file: Path) -> LoadedConfig:
    """Read a configuration file. A relative dataDir is relative to the working directory.

    Raises:
        ConfigError: the file cannot be read, a value is wrong or dataDir is missing; it names
            all problems, not just the first.
    """
    try:
        entries = _read_entries(file)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{file}: {error}") from error
    fields: dict[str, Any] = {}
    problems: list[str] = []
    warnings: list[str] = []
    for line, name, text in entries:
        key = _KEYS.get(name)
        if key is None:
            warnings.append(f"{file}:{line}: {name} is not supported and ignored")
            continue
        try:
            fields[key.field] = key.parse(text.strip())
        except ValueError as error:
            problems.append(f"{file}:{line}: {name}: {error}")
    if not any(name == "dataDir" for _, name, _ in entries):
        problems.append(f"{file}: dataDir is missing")
    if not problems:
        config = ZooKeeperConfig(**fields)
        problems += _contradictions(file, config)
    if problems:
        raise ConfigError("\n".join(problems))
    return LoadedConfig(config, warnings)


def _contradictions(file: Path, config: ZooKeeperConfig) -> list[str]:
    least, largest = config.least_session_timeout_ms, config.largest_session_timeout_ms
    if least > largest:
        return [f"{file}: minSessionTimeout ({least}) is larger than maxSessionTimeout ({largest})"]
    return []


def _read_entries(file: Path) -> list[tuple[int, str, str]]:
    """The entries as (line number, key, value); a later one of the same key wins, as in Java."""
    entries: list[tuple[int, str, str]] = []
    line = 1
    with file.open(encoding="utf-8") as source:
        for element in javaproperties.parse(source):
            if isinstance(element, javaproperties.KeyValue):
                entries.append((line, element.key, element.value))
            line += element.source.count("\n")
    return entries
