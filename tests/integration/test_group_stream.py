"""`/v1/groups/G/stream` of one real broker: for programs, and in a real browser."""

import itertools
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.support.broker import BrokerProcess
from tests.support.browser import Browser
from tests.support.event_source import EventSource, SourceEvent
from tests.support.standalone_broker import standalone_broker
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

_numbers = itertools.count()
_MAX_STREAMS: Final = 5


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    settings = {"group.max.streams": str(_MAX_STREAMS)}
    with standalone_broker(tmp_path_factory.mktemp("stream"), settings) as running:
        yield running


@pytest.fixture
def topic(broker: BrokerProcess) -> str:
    name = f"t{next(_numbers)}"
    created = httpx.post(f"{broker.url}/v1/topics", json={"name": name, "partitions": 2})
    assert created.status_code == 201, created.text
    return name


def _produce(broker: BrokerProcess, topic: str, *values: object) -> None:
    records = [{"value": value, "partition": n % 2} for n, value in enumerate(values)]
    sent = httpx.post(f"{broker.url}/v1/topics/{topic}/records", json={"records": records})
    assert sent.status_code == 200, sent.text


def _ack(broker: BrokerProcess, group: str, event_id: str) -> httpx.Response:
    return httpx.post(f"{broker.url}/v1/groups/{group}/stream/ack", json={"id": event_id})


def _committed(broker: BrokerProcess, group: str) -> int:
    offsets = httpx.get(f"{broker.url}/v1/groups/{group}/offsets").json()["offsets"]
    return sum(each["offset"] for each in offsets)


def _members(broker: BrokerProcess, group: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx.get(f"{broker.url}/v1/groups/{group}").json()["members"]
    return found


def _values(source: EventSource) -> list[object]:
    return [
        record["value"] for event in source.named("records") for record in event.data["records"]
    ]


def _has(source: EventSource, count: int) -> bool:
    return len(_values(source)) >= count


def test_records_are_pushed_committed_and_let_go_of_at_once(
    broker: BrokerProcess, topic: str
) -> None:
    path = f"/v1/groups/{topic}/stream?topics={topic}&auto.offset.reset=earliest&client.id=me"
    source = EventSource([broker.url], path)
    source.start()
    try:
        wait_until(lambda: bool(source.named("assigned")), "it has partitions")
        _produce(broker, topic, *range(10))
        wait_until(lambda: len(_values(source)) == 10, "all records came")
        (member,) = _members(broker, topic)
        assert member["client_id"] == "me"
        assert member["member_id"] == source.named("member")[0].data["member_id"]
        last = source.named("records")[-1].last_id
        results = _ack(broker, topic, last).json()["results"]
        assert {result["error_code"] for result in results} == {0}
        assert _committed(broker, topic) == 10
    finally:
        source.close()
    wait_until(lambda: not _members(broker, topic), "it has left", 3)
    assert sorted(map(str, _values(source))) == sorted(map(str, range(10)))
    _produce(broker, topic, "later", "still later")
    late = _ack(broker, topic, last)
    assert late.status_code == 200, "what is committed already needs no member"


def test_an_event_of_a_stream_that_has_left_is_refused(broker: BrokerProcess, topic: str) -> None:
    path = f"/v1/groups/{topic}/stream?topics={topic}&auto.offset.reset=earliest"
    source = EventSource([broker.url], path)
    source.start()
    try:
        _produce(broker, topic, 1, 2)
        wait_until(lambda: len(_values(source)) == 2, "all records came")
    finally:
        source.close()
    wait_until(lambda: not _members(broker, topic), "it has left", 3)
    refused = _ack(broker, topic, source.last_id)
    assert refused.status_code == 409
    assert refused.json()["error"] == "UNKNOWN_MEMBER_ID"
    assert _committed(broker, topic) == 0


def test_who_comes_back_goes_on_behind_the_last_event(broker: BrokerProcess, topic: str) -> None:
    path = f"/v1/groups/{topic}/stream?topics={topic}&auto.offset.reset=earliest"
    source = EventSource([broker.url], path)
    source.start()
    try:
        _produce(broker, topic, *range(4))
        wait_until(lambda: len(_values(source)) == 4, "all records came")
        source.drop()
        wait_until(lambda: len(source.named("assigned")) == 2, "it came back")
        _produce(broker, topic, *range(4, 8))
        wait_until(lambda: 7 in _values(source), "it goes on")
        assert sorted(map(str, _values(source))) == [str(n) for n in range(8)]
        assert _committed(broker, topic) == 4
        ids = {event.data["instance_id"] for event in source.named("member")}
        assert len(ids) == 1, "it has its place again"
    finally:
        source.close()


def test_two_streams_of_a_group_share_the_partitions(broker: BrokerProcess, topic: str) -> None:
    path = f"/v1/groups/{topic}/stream?pattern={topic}&auto.offset.reset=earliest"

    def acknowledge(event: SourceEvent) -> None:
        if event.name == "records":
            _ack(broker, topic, event.last_id)

    sources = [EventSource([broker.url], path, acknowledge) for _ in range(2)]
    try:
        for source in sources:
            source.start()
            wait_until(partial(source.named, "assigned"), "it has one")
        wait_until(lambda: bool(sources[0].named("revoked")), "the first one gave one")
        _produce(broker, topic, *range(20))
        wait_until(lambda: sum(len(_values(each)) for each in sources) == 20, "all came")
        assert [len(_values(each)) for each in sources] == [10, 10]
        wait_until(lambda: _committed(broker, topic) == 20, "all is acknowledged")
        sources[0].close()
        _produce(broker, topic, *range(20))
        wait_until(lambda: len(_values(sources[1])) == 30, "the second one has it all")
    finally:
        for source in sources:
            source.close()


def test_a_reader_that_acknowledges_nothing_is_told_and_bounded(
    broker: BrokerProcess, topic: str
) -> None:
    query = f"topics={topic}&auto.offset.reset=earliest&max.inflight=30&max_records=7"
    source = EventSource([broker.url], f"/v1/groups/{topic}/stream?{query}")
    source.start()
    try:
        _produce(broker, topic, *range(100))
        wait_until(lambda: bool(source.named("paused")), "it is told")
        assert len(_values(source)) == 30
        assert max(len(event.data["records"]) for event in source.named("records")) <= 7
        while len(_values(source)) < 100:
            before = len(_values(source))
            assert _ack(broker, topic, source.last_id).status_code == 200
            wait_until(partial(_has, source, before + 1), "more comes")
    finally:
        source.close()


def test_a_reader_that_takes_nothing_holds_little(broker: BrokerProcess, topic: str) -> None:
    for _ in range(8):
        _produce(broker, topic, *["x" * 500_000] * 4)
    query = f"topics={topic}&auto.offset.reset=earliest"
    with httpx.stream("GET", f"{broker.url}/v1/groups/{topic}/stream?{query}") as response:
        assert response.status_code == 200
        assert httpx.get(f"{broker.url}/healthz").status_code == 200
        lines = response.iter_lines()
        seen = sum(line.count("x" * 500_000) for line in itertools.islice(lines, 120))
        assert seen > 10
    wait_until(lambda: not _members(broker, topic), "it has left", 3)


def test_no_more_streams_than_may_be(broker: BrokerProcess, topic: str) -> None:
    path = f"/v1/groups/{topic}/stream?topics={topic}"
    sources = [EventSource([broker.url], path) for _ in range(_MAX_STREAMS)]
    for source in sources:
        source.start()
    try:
        wait_until(lambda: all(source.named("member") for source in sources), "all have joined")
        refused = httpx.get(broker.url + path)
        assert refused.status_code == 503
        assert refused.json()["error"] == "BROKER_NOT_AVAILABLE"
        assert int(refused.headers["retry-after"]) >= 1
    finally:
        for source in sources:
            source.close()


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("topics=a&pattern=b", 400),
        ("topics=a%20b", 400),
        ("pattern=(", 400),
        ("topics=a&format=avro", 400),
        ("topics=a&auto.offset.reset=middle", 400),
        ("topics=a&max.inflight=0", 400),
        ("topics=a&max_bytes=99999999999", 400),
        ("topics=a&last.event.id=nonsense", 400),
        ("topics=a&group.instance.id=" + "i" * 256, 400),
        ("topics=a&unknown=1", 400),
    ],
)
def test_what_cannot_be_served_is_refused_before_anything_is_sent(
    broker: BrokerProcess, query: str, status: int
) -> None:
    refused = httpx.get(f"{broker.url}/v1/groups/bad/stream?{query}")
    assert refused.status_code == status, refused.text
    assert refused.headers["content-type"] == "application/problem+json"


def test_acknowledgements_that_are_none_are_refused(broker: BrokerProcess) -> None:
    url = f"{broker.url}/v1/groups/g/stream/ack"
    assert httpx.post(url, json={"id": "nonsense"}).status_code == 400
    assert httpx.post(url, json={"ids": []}).status_code == 400
    assert httpx.post(url, content=b'{"id":""}').status_code == 415
    assert httpx.get(url).status_code == 405
    assert httpx.post(f"{broker.url}/v1/groups/g/stream", json={}).status_code == 405
    html = httpx.get(f"{broker.url}/v1/groups/g/stream?topics=a", headers={"accept": "text/html"})
    assert html.status_code == 406


def test_formats(broker: BrokerProcess, topic: str) -> None:
    httpx.post(
        f"{broker.url}/v1/topics/{topic}/partitions/0/records",
        content=b"\xff{",
        headers={"content-type": "application/octet-stream"},
    ).raise_for_status()
    httpx.post(
        f"{broker.url}/v1/topics/{topic}/partitions/0/records",
        content=b'{\n  "pretty": "printed"\r\n}',
        headers={"content-type": "application/octet-stream"},
    ).raise_for_status()
    expected = {
        "json": ["/3s=", {"pretty": "printed"}],
        "binary": ["/3s=", "ewogICJwcmV0dHkiOiAicHJpbnRlZCINCn0="],
        "text": ["\ufffd{", '{\n  "pretty": "printed"\r\n}'],
    }
    for name, values in expected.items():
        query = f"topics={topic}&auto.offset.reset=earliest&format={name}"
        source = EventSource([broker.url], f"/v1/groups/{topic}-{name}/stream?{query}")
        source.start()
        try:
            wait_until(partial(_has, source, 2), "both came")
            assert _values(source) == values
        finally:
            source.close()


def test_a_page_of_the_broker_reads_a_group_in_a_real_browser(
    broker: BrokerProcess, topic: str, tmp_path: Path
) -> None:
    reason = Browser.why_unavailable()
    if reason is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    _produce(broker, topic, *range(6))
    script = f"""new Promise((done, failed) => {{
        const path = "/v1/groups/{topic}/stream";
        const source = new EventSource(path + "?topics={topic}&auto.offset.reset=earliest");
        const seen = [], statuses = [];
        source.addEventListener("records", async event => {{
            for (const record of JSON.parse(event.data).records) seen.push(record.value);
            const answer = await fetch(path + "/ack", {{
                method: "POST",
                headers: {{"Content-Type": "application/json"}},
                body: JSON.stringify({{id: event.lastEventId}}),
            }});
            statuses.push(answer.status);
            if (seen.length >= 6) {{ source.close(); done({{seen, statuses}}); }}
        }});
        setTimeout(() => failed("only " + JSON.stringify(seen)), 20000);
    }})"""
    with Browser(tmp_path / "profile") as browser:
        browser.open(f"{broker.url}/healthz")
        found = browser.run(script)
        assert sorted(found["seen"]) == list(range(6))
        assert set(found["statuses"]) == {200}
        assert _committed(broker, topic) == 6
        wait_until(lambda: not _members(broker, topic), "the page has let it go", 3)
