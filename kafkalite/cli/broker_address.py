"""Where brokers live: `host:port` as people type it, and why they could not be reached."""

import re
from typing import Final

from kafkalite.cli.failure import CommandError

DEFAULT_PORT: Final = 9092
_ADDRESS = re.compile(
    r"(?:http://)?(?P<host>\[[0-9A-Fa-f:.%a-z]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?/?"
)
_ERRNO = re.compile(r"^\[Errno -?\d+\]\s*")


def parse_bootstrap(text: str) -> list[str]:
    """The URLs in a bootstrap list `host:port[,..]`; port 9092 where none is given.

    Raises:
        CommandError: a part of it is no address.
    """
    urls = []
    for part in text.split(","):
        found = _ADDRESS.fullmatch(part.strip())
        if found is None or not 0 < int(found["port"] or DEFAULT_PORT) < 1 << 16:
            raise CommandError(f"Invalid url in bootstrap.servers: {part.strip()}")
        urls.append(f"http://{found['host']}:{found['port'] or DEFAULT_PORT}")
    return urls


def shown(url: str) -> str:
    """`host:port` of `url`."""
    return url.removeprefix("http://").rstrip("/")


def reason(error: BaseException) -> str:
    """Why a connection failed, in words and without numbers of the operating system."""
    if isinstance(error, TimeoutError):
        return "timed out"
    return _ERRNO.sub("", str(error)) or type(error).__name__
