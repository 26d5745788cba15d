"""Files of JSON that Kafka's tools take, read strictly enough to say what is wrong with one."""

from pathlib import Path
from typing import Final, TypeVar

import msgspec

from kafkalite.cli.failure import CommandError

VERSION: Final = 1
"""Of every such file, where it says one."""
_Content = TypeVar("_Content")


def read_json_file(file: str, kind: type[_Content], what: str) -> _Content:
    """The content of `file` as a `kind`; `what` says for people what it should hold.

    Raises:
        CommandError: it cannot be read, is no JSON, or not what it should be.
    """
    try:
        content = msgspec.json.decode(Path(file).read_bytes(), type=kind)
    except OSError as error:
        raise CommandError(f"Cannot read {file}: {error.strerror}.") from None
    except msgspec.ValidationError as error:
        raise CommandError(f"{file} is no {what}: {error}.") from None
    except msgspec.DecodeError as error:
        raise CommandError(f"The input string is not a valid JSON: {file}: {error}.") from None
    version = getattr(content, "version", VERSION)
    if version != VERSION:
        raise CommandError(f"Not supported version field value {version}")
    return content
