"""Settings of the client from what people give to commands, refused in Kafka's words."""

from collections.abc import Collection
from typing import Final

import msgspec

from kafkalite.cli.client_properties import ClientProperties
from kafkalite.cli.failure import CommandError
from kafkalite.client.settings import ClientSettings, words_of
from kafkalite.config.names import key_of

_THE_COMMANDS: Final = frozenset({"bootstrap.servers", "security.protocol"})
"""What the command line has options for, or `ClientProperties` looks at."""


def settings_of(
    kind: type[ClientSettings], given: ClientProperties, *, but: Collection[str] = ()
) -> dict[str, object]:
    """What is `given` of the settings that `kind` has, by Kafka's names; marks them as used.

    Args:
        kind: the client's settings.
        given: what people gave.
        but: keys that have no effect in the command.

    Raises:
        CommandError: a number is none, or too small.
    """
    found: dict[str, object] = {}
    for field in msgspec.structs.fields(kind):
        key = key_of(field.name)
        text = None if key in _THE_COMMANDS or key in but else given.text(key)
        if text is None:
            continue
        least = _least(field.type)
        if least is None or text in words_of(field.type):
            found[key] = text
            continue
        value = given.number(key)
        if value is not None and value < least:
            raise CommandError(f"Invalid value {value} for configuration {key}: at least {least}")
        found[key] = value
    return found


def _least(declared_type: object) -> int | None:
    """The least number that a setting takes; None for what is no number."""
    for item in getattr(declared_type, "__metadata__", ()):
        if isinstance(item, msgspec.Meta) and isinstance(item.ge, int):
            return item.ge
    return None
