"""What a znode path may look like, and how it splits. Pure."""

from kafkalite.zkserver.errors import ErrorCode, ZooKeeperError

ROOT = "/"
CONFIG = "/zookeeper/config"
SYSTEM_PATHS = (ROOT, "/zookeeper", "/zookeeper/quota", CONFIG)
"""The znodes that ZooKeeper makes itself; nobody may delete them."""


def validate(path: str) -> None:
    """Refuse with BAD_ARGUMENTS what ZooKeeper's PathUtils refuses."""
    if not _is_valid(path):
        raise ZooKeeperError(ErrorCode.BAD_ARGUMENTS)


def split(path: str) -> tuple[str, str]:
    """The parent's path and the last name of a valid path other than `/`."""
    parent, _, name = path.rpartition("/")
    return parent or ROOT, name


def join(parent: str, name: str) -> str:
    return f"/{name}" if parent == ROOT else f"{parent}/{name}"


def _is_valid(path: str) -> bool:
    if path == ROOT:
        return True
    if not path.startswith("/") or path.endswith("/"):
        return False
    if not (path.isascii() and path.isprintable()) and any(map(_is_forbidden, path)):
        return False
    if "//" in path or "/." in path:
        return not any(name in {"", ".", ".."} for name in path[1:].split("/"))
    return True


def _is_forbidden(character: str) -> bool:
    """Control characters, private use, and what Java's 16-bit characters cannot hold in one."""
    code = ord(character)
    return code <= 0x1F or 0x7F <= code <= 0x9F or 0xD800 <= code <= 0xF8FF or code >= 0xFFF0
