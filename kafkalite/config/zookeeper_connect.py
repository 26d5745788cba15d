"""The value of zookeeper.connect: `host:port[,host:port...][/chroot]`."""

import re

_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]+))?")
_MAX_PORT = 65535


def check_zookeeper_connect(text: str) -> str:
    """Give `text` without blanks and without a slash at the end, if it is well-formed.

    Raises:
        ValueError: it is not; the text says which part is wrong.
    """
    text = "".join(text.split())
    hosts, slash, chroot = text.partition("/")
    if not hosts:
        raise ValueError("name at least one server, such as localhost:2181")
    for host in hosts.split(","):
        parts = _HOST.fullmatch(host)
        if parts is None:
            raise ValueError(f"{host!r} is not host:port; write localhost:2181")
        if parts["port"] is not None and not 1 <= int(parts["port"]) <= _MAX_PORT:
            raise ValueError(f"the port of {host!r} is not between 1 and {_MAX_PORT}")
    chroot = chroot.rstrip("/")
    if "," in chroot:
        raise ValueError("the chroot is written once, after the last host: host1,host2/chroot")
    if chroot and not all(part not in {"", ".", ".."} for part in chroot.split("/")):
        raise ValueError(f"/{chroot} is not a path of a znode")
    return f"{hosts}{slash}{chroot}" if chroot else hosts
