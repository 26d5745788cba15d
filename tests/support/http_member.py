"""A member of a consumer group that speaks nothing but plain HTTP with JSON, as anybody could."""

from collections.abc import Mapping
from typing import Any

import httpx


class HttpMember:
    """Heartbeats, reads and commits when a test says so, each through the next broker of `urls`."""

    def __init__(self, urls: list[str], group: str, topic: str, **options: object) -> None:
        """`options` are members of its first heartbeat."""
        self._urls = list(urls)
        self._group, self._topic = group, topic
        self._options = {"topics": [topic], **options}
        self.member_id = ""
        self.epoch = 0
        self.assignment: set[int] = set()
        self.positions: dict[int, int] = {}
        """Of the partitions that it has: where to read on."""
        self.values: list[tuple[int, Any]] = []
        """All that it read, as partition and value."""

    def ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """The answer of whoever's turn it is, which must be a good one."""
        self._urls.append(self._urls.pop(0))
        answer = httpx.request(
            method, f"{self._urls[-1]}/v1/{path}", json=body, timeout=30, trust_env=False
        )
        assert answer.is_success, answer.text
        return answer.json()

    def heartbeat(self, **more: object) -> set[int]:
        """Say what it has; gives what it may consume, which it takes over and lets go at once."""
        joining = self._options if self.epoch == 0 else {}
        said = {
            "member_id": self.member_id,
            "member_epoch": self.epoch,
            "owned": [{"topic": self._topic, "partitions": sorted(self.positions)}],
            **joining,
            **more,
        }
        answer = self.ask("POST", f"groups/{self._group}/heartbeat", said)
        self.member_id, self.epoch = answer["member_id"], answer["member_epoch"]
        self.assignment = {each for one in answer["assignment"] for each in one["partitions"]}
        for gone in self.positions.keys() - self.assignment:
            del self.positions[gone]
        came = self.assignment - self.positions.keys()
        if came:
            committed = self.ask("GET", f"groups/{self._group}/offsets")["offsets"]
            offsets = {each["partition"]: each["offset"] for each in committed}
            self.positions |= {each: offsets.get(each, 0) for each in came}
        return self.assignment

    def read(self) -> int:
        """Read all there is in its partitions, and commit it; gives how many records."""
        before = len(self.values)
        for number in sorted(self.positions):
            while True:
                page = self.ask(
                    "GET",
                    f"topics/{self._topic}/partitions/{number}/records"
                    f"?offset={self.positions[number]}",
                )
                self.values += [(number, each["value"]) for each in page["records"]]
                self.positions[number] = page["next_offset"]
                if page["next_offset"] >= page["high_watermark"]:
                    break
        self.commit(self.positions)
        return len(self.values) - before

    def commit(self, offsets: Mapping[int, int]) -> list[str]:
        """Commit; gives the error of each partition, empty where there is none."""
        body = {
            "member_id": self.member_id,
            "member_epoch": self.epoch,
            "offsets": [
                {"topic": self._topic, "partition": number, "offset": offset}
                for number, offset in offsets.items()
            ],
        }
        answer = self.ask("POST", f"groups/{self._group}/offsets", body)
        return [each["error"] for each in answer["results"]]

    def leave(self) -> None:
        """Say good-bye."""
        self.epoch = -1
        self.heartbeat(owned=[])


def settle(*members: HttpMember, rounds: int = 10) -> None:
    """Let members of one group speak in turn until nothing changes for any of them."""
    for _ in range(rounds):
        before = [(member.epoch, set(member.assignment)) for member in members]
        for member in members:
            member.heartbeat()
        if before == [(member.epoch, set(member.assignment)) for member in members]:
            return
    raise AssertionError("they never agree")
