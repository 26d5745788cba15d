"""Whose a log directory is: `meta.properties`, in the layout of Java's properties files.

version=0
broker.id=N
cluster.id=ID
boot.id=ID          ; ours: the boot of the machine in which the directory was last opened
"""

from pathlib import Path
from typing import Final, NamedTuple

from kafkalite.storage.errors import StorageError
from kafkalite.storage.files import Disk, read_whole, replace_file

META_PROPERTIES: Final = "meta.properties"
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class Identity(NamedTuple):
    """The broker that a directory belongs to."""

    broker_id: int
    cluster_id: str
    boot_id: str = ""


def read_identity(disk: Disk, directory: Path) -> Identity | None:
    """None in a new directory.

    Raises:
        StorageError: the file is not what a broker writes.
        OSError: it cannot be read.
    """
    path = directory / META_PROPERTIES
    try:
        lines = read_whole(disk, path).decode().splitlines()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise StorageError(f"{path} is malformed. Restore it, or change log.dirs.") from None
    pairs = (line.partition("=") for line in lines if line.strip() and not line.startswith("#"))
    values = {key.strip(): value.strip() for key, _, value in pairs}
    try:
        if values["version"] != "0":
            raise StorageError(f"{path} is of version {values['version']}, which is not known.")
        return Identity(int(values["broker.id"]), values["cluster.id"], values.get("boot.id", ""))
    except (KeyError, ValueError):
        raise StorageError(
            f"{path} lacks version, broker.id or cluster.id. Restore it, or change log.dirs."
        ) from None


def write_identity(disk: Disk, directory: Path, identity: Identity) -> None:
    """Replace the file durably. Raises OSError."""
    text = (
        f"version=0\nbroker.id={identity.broker_id}\ncluster.id={identity.cluster_id}\n"
        f"boot.id={identity.boot_id}\n"
    )
    replace_file(disk, directory / META_PROPERTIES, text.encode())


def current_boot_id() -> str:
    """Names this boot of the machine; empty where the system does not tell."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
