"""A process that registers a broker, says so, and lives until it is killed.

python -m tests.support.registered_broker CONNECT DIRECTORY ID
"""

import asyncio
import sys
from pathlib import Path

from kafkalite.model.cluster import Broker
from kafkalite.model.ids import BrokerId
from tests.support.members import ZooKeeperMember


async def _live(connect: str, directory: Path, broker_id: int) -> None:
    broker = Broker(BrokerId(broker_id), "127.0.0.1", 9092, timestamp_ms=1_795_524_775_749)
    member = await ZooKeeperMember(connect, directory, broker, session_timeout_ms=30_000).start()
    sys.stdout.write(f"registered {member.epoch}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_live(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
