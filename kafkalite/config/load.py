"""Reads the broker's settings: a properties file, the environment, `--override key=value`.

The later of these three counts. A key that is unknown and a value that is wrong are errors, all of
them named at once with where they stand; see `kafka_keys.py` for the few that are let pass.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import javaproperties
from pydantic import ValidationError

from kafkalite.config.consistency import contradictions, without_effect
from kafkalite.config.kafka_keys import WITHOUT_EFFECT, refusal
from kafkalite.config.keys import BrokerSettings
from kafkalite.config.names import key_of, nearest
from kafkalite.config.setting import problems_in

ENVIRONMENT_PREFIX = "KAFKALITE_"
_KEYS = tuple(map(key_of, BrokerSettings.model_fields))

# Kubernetes and Docker describe a service named `kafkalite...` to every container this way.
_SERVICE_VARIABLE = re.compile(
    r"(.+_)?(SERVICE_(HOST|PORT)(_.+)?|PORT(_\d+_(TCP|UDP|SCTP)(_.+)?)?)"
)


class ConfigError(Exception):
    """The settings cannot be used; one line of text a problem, each with where it stands."""


class LoadedSettings(NamedTuple):
    settings: BrokerSettings
    warnings: list[str]
    """What was set but changes nothing, each with where it stands."""


class _Entry(NamedTuple):
    """A key with its value as it was written, and where."""

    where: str
    key: str
    text: str


def load_settings(
    file: Path | None, overrides: Sequence[str] = (), environ: Mapping[str, str] | None = None
) -> LoadedSettings:
    """Read the settings of a broker.

    Args:
        file: server.properties, in Java's format; None: there is none.
        overrides: `key=value` texts, as given by `--override`.
        environ: variables such as KAFKALITE_LOG_RETENTION_MS; None: this process's.

    Raises:
        ConfigError: something is wrong; it names all problems, not just the first.
    """
    problems: list[str] = []
    warnings: list[str] = []
    entries = [
        *_file_entries(file),
        *_environment_entries(os.environ if environ is None else environ),
        *_override_entries(overrides, problems),
    ]
    chosen: dict[str, _Entry] = {}
    for entry in entries:
        if entry.key in _KEYS:
            earlier = chosen.get(entry.key)
            if earlier is not None and file is not None and entry.where.startswith(f"{file}:"):
                warnings.append(f"{entry.where}: {entry.key}: this one counts, not {earlier.where}")
            chosen[entry.key] = entry
        elif entry.key in WITHOUT_EFFECT:
            reason = WITHOUT_EFFECT[entry.key]
            warnings.append(f"{entry.where}: {entry.key} has no effect: {reason}")
        else:
            problems.append(f"{entry.where}: {entry.key}: {_refusal(entry.key)}")

    elsewhere = "settings" if file is None else str(file)

    def located(key: str) -> str:
        return f"{chosen[key].where if key in chosen else elsewhere}: {key}"

    try:
        settings = BrokerSettings.model_validate(
            {key: entry.text.strip() for key, entry in chosen.items()}
        )
    except ValidationError as error:
        problems += [f"{located(key)}: {reason}" for key, reason in problems_in(error)]
        raise ConfigError("\n".join(problems)) from None
    problems += [f"{located(key)}: {reason}" for key, reason in contradictions(settings)]
    if problems:
        raise ConfigError("\n".join(problems))
    warnings += [f"{located(key)} {reason}" for key, reason in without_effect(settings)]
    return LoadedSettings(settings, warnings)


def _refusal(key: str) -> str:
    return refusal(key) or f"is not a setting{nearest(key, _KEYS)}"


def _file_entries(file: Path | None) -> list[_Entry]:
    if file is None:
        return []
    entries: list[_Entry] = []
    line = 1
    try:
        with file.open(encoding="utf-8") as source:
            for element in javaproperties.parse(source):
                if isinstance(element, javaproperties.KeyValue):
                    entries.append(_Entry(f"{file}:{line}", element.key, element.value))
                line += element.source.count("\n")
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{file}:{line}: {error}") from error
    return entries


def _environment_entries(environ: Mapping[str, str]) -> Iterator[_Entry]:
    for name, value in sorted(environ.items()):
        bare = name.removeprefix(ENVIRONMENT_PREFIX)
        if bare != name and not _SERVICE_VARIABLE.fullmatch(bare):
            yield _Entry(f"environment variable {name}", bare.lower().replace("_", "."), value)


def _override_entries(overrides: Sequence[str], problems: list[str]) -> Iterator[_Entry]:
    for text in overrides:
        key, equals, value = text.partition("=")
        if equals:
            yield _Entry("--override", key.strip(), value)
        else:
            problems.append(f"--override {text}: write key=value")
