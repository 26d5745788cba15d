"""Files of deleted segments, which stay for a while in case someone still looks at them."""

from collections.abc import Iterable
from pathlib import Path

from kafkalite.storage.files import Disk


class DeletedFiles:
    """What waits to be removed. After a restart the log directory removes what is left."""

    __slots__ = ("_disk", "_due")

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._due: list[tuple[int, Path]] = []

    def add(self, paths: Iterable[Path], due_ms: int) -> None:
        """Remove the files at `due_ms` or later."""
        self._due += [(due_ms, path) for path in paths]

    def remove_due(self, now_ms: int) -> None:
        """Remove the files whose time has come; some may be gone already.

        Raises:
            OSError: some could not be removed, and wait for the next time.
        """
        waiting = []
        failure: OSError | None = None
        for due_ms, path in self._due:
            if due_ms > now_ms:
                waiting.append((due_ms, path))
                continue
            try:
                self._disk.unlink(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                waiting.append((due_ms, path))
                failure = failure or error
        self._due = waiting
        if failure is not None:
            raise failure
