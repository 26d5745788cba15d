"""Properties of a command line as keyword arguments of a client."""

from typing import Final

import msgspec

from kafkalite.cli.client_properties import ClientProperties
from kafkalite.client.settings import ClientSettings
from kafkalite.config.names import key_of

NOT_BUILT: Final = ("transactional.id",)


def client_settings(
    given: ClientProperties, kind: type[ClientSettings], defaults: dict[str, str]
) -> dict[str, str]:
    """What `kind` knows of what was given, by attribute, over `defaults`.

    Then `given.check_rest(NOT_BUILT)` says what has no effect.
    """
    found = dict(defaults)
    for field in msgspec.structs.fields(kind):
        value = given.text(key_of(field.name))
        if value is not None:
            found[field.name] = value
    return found
