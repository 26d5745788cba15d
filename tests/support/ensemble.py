"""An ensemble of three Apache ZooKeepers, each a process of its own."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.support.zookeeper import RealZooKeeper, four_letter_word, free_port

_SIZE: Final = 3


class ZooKeeperEnsemble:
    """Three servers that agree; the cluster lives while two of them do.

    The owner is the test or fixture that made it; single-threaded.
    """

    def __init__(self, directory: Path, *, tick_ms: int = 200) -> None:
        """Describe servers that keep all they write below `directory`."""
        addresses = {
            f"server.{number}": f"127.0.0.1:{free_port()}:{free_port()}"
            for number in range(1, _SIZE + 1)
        }
        # In ticks: how long a server may take to join, and to answer its leader.
        limits = {"initLimit": "50", "syncLimit": "25"}
        self.members: list[RealZooKeeper] = []
        for number in range(1, _SIZE + 1):
            home = directory / f"server-{number}"
            (home / "data").mkdir(parents=True)
            (home / "data" / "myid").write_text(f"{number}\n")
            self.members.append(
                RealZooKeeper(home, tick_ms=tick_ms, settings={**addresses, **limits})
            )

    @property
    def hosts(self) -> str:
        """The connect string that names all of them."""
        return ",".join(member.hosts for member in self.members)

    def start(self) -> None:
        """Start all of them and wait until each is part of the quorum."""
        with ThreadPoolExecutor(_SIZE) as together:  # none answers before two are up
            list(together.map(RealZooKeeper.start, self.members))

    def stop(self) -> None:
        for member in self.members:
            member.stop()

    @property
    def leader(self) -> RealZooKeeper:
        """The member that leads the quorum at the moment."""
        return self._in_mode("leader")

    @property
    def follower(self) -> RealZooKeeper:
        """A member that follows at the moment."""
        return self._in_mode("follower")

    def _in_mode(self, mode: str) -> RealZooKeeper:
        for member in self.members:
            try:
                answer = four_letter_word(member.port, "srvr")
            except OSError:
                continue
            if f"Mode: {mode}" in answer:
                return member
        raise RuntimeError(f"no member is a {mode} at the moment")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
