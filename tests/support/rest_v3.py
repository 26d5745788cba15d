"""A client of version 3 of REST Proxy that knows one broker, and makes topics there."""

import itertools
import json
from collections.abc import Mapping
from typing import Any, Final

import httpx
import msgspec

MEDIA: Final = "application/json"
_numbers: Final = itertools.count()


class V3Api:
    """A client of one broker."""

    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=url, timeout=60)
        self.cluster_id: str = self.client.get("/v3/clusters").json()["data"][0]["cluster_id"]
        self.base = f"/v3/clusters/{self.cluster_id}"

    def get(self, path: str) -> Any:
        """What is answered below the cluster."""
        answer = self.client.get(self.base + path)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == MEDIA
        return answer.json()

    def ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        content = None if body is None else body if isinstance(body, bytes) else as_json(body)
        headers = {} if content is None else {"content-type": MEDIA}
        return self.client.request(method, self.base + path, content=content, headers=headers)

    def topic(self, partitions: int = 1, configs: Mapping[str, str] | None = None) -> str:
        name = f"t{next(_numbers)}"
        body = {
            "topic_name": name,
            "partitions_count": partitions,
            "configs": [{"name": key, "value": text} for key, text in (configs or {}).items()],
        }
        made = self.ask("POST", "/topics", body)
        assert made.status_code == 201, made.text
        return name

    def produce(self, topic: str, *records: object) -> list[dict[str, Any]]:
        """The reports of records that are sent one behind the other."""
        body = b"".join(as_json(record) for record in records)
        answer = self.ask("POST", f"/topics/{topic}/records", body)
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]

    def stored(self, topic: str, partition: int = 0) -> list[dict[str, Any]]:
        """What a partition holds, its keys and values as bytes."""
        path = f"/v1/topics/{topic}/partitions/{partition}/records"
        answer = self.client.get(path, headers={"accept": "application/msgpack"})
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = msgspec.msgpack.decode(answer.content)["records"]
        return found

    def values(self, topic: str, partition: int = 0) -> list[bytes | None]:
        return [record["value"] for record in self.stored(topic, partition)]


def as_json(body: object) -> bytes:
    return json.dumps(body).encode()


def v3_error(answer: httpx.Response) -> tuple[int, int]:
    """HTTP status and error code; the code comes first in the body."""
    assert answer.headers["content-type"] == MEDIA
    document = answer.json()
    assert list(document) == ["error_code", "message"]
    assert document["message"]
    return answer.status_code, document["error_code"]
