"""The page that Prometheus reads."""

import asyncio
from pathlib import Path
from typing import cast

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from kafkalite.api import metrics
from kafkalite.api.metrics import MetricsPage
from kafkalite.broker.broker import Broker
from kafkalite.model.offsets import OffsetRange
from tests.support.fake_broker import FakeBroker, control_plane

_REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "metrics.md"

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def _page(broker: FakeBroker, accept: str = "") -> tuple[str, str]:
    body, media = asyncio.run(MetricsPage(cast("Broker", broker)).render(accept))
    return body.decode(), media


def _samples(broker: FakeBroker) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(_page(broker)[0])
        for sample in family.samples
    }


def test_counters_are_the_probes_numbers() -> None:
    broker = FakeBroker()
    broker.probe.produce_requests = 3
    broker.probe.appended(records=5, size=700)
    broker.probe.fetch_bytes = 11
    broker.probe.cold_reads = 2
    samples = _samples(broker)
    assert samples["kafkalite_produce_requests_total", ()] == 3
    assert samples["kafkalite_produce_records_total", ()] == 5
    assert samples["kafkalite_produce_bytes_total", ()] == 700
    assert samples["kafkalite_fetch_bytes_total", ()] == 11
    assert samples["kafkalite_cold_reads_total", ()] == 2


def test_flushes_are_a_cumulative_histogram() -> None:
    broker = FakeBroker()
    for seconds in (0.0002, 0.0003, 0.02, 60.0):
        broker.probe.flush.observe(seconds, 2)
    samples = _samples(broker)
    buckets = [
        value for (name, _), value in samples.items() if name == "kafkalite_flush_seconds_bucket"
    ]
    assert buckets == sorted(buckets)
    assert samples["kafkalite_flush_seconds_bucket", (("le", "0.00025"),)] == 1
    assert samples["kafkalite_flush_seconds_bucket", (("le", "0.025"),)] == 3
    assert samples["kafkalite_flush_seconds_bucket", (("le", "+Inf"),)] == 4
    assert samples["kafkalite_flush_seconds_count", ()] == 4
    assert samples["kafkalite_flush_seconds_sum", ()] == pytest.approx(60.0205)
    assert samples["kafkalite_flushed_partitions_total", ()] == 8


def test_partitions_are_shown_one_by_one_and_summed_by_topic() -> None:
    broker = FakeBroker()
    broker.partitions.add("t", 0, timestamps=[1, 2, 3], high_watermark=2)
    broker.partitions.add("t", 1, timestamps=[1]).is_leader = False
    broker.partitions.add("u", 0).log.damaged = (OffsetRange(0, 1),)
    samples = _samples(broker)
    first = (("partition", "0"), ("topic", "t"))
    assert samples["kafkalite_partition_log_end_offset", first] == 3
    assert samples["kafkalite_partition_high_watermark", first] == 2
    assert samples["kafkalite_partition_log_size_bytes", first] == 300
    assert samples["kafkalite_topic_log_end_offset", (("topic", "t"),)] == 4
    assert samples["kafkalite_topic_log_size_bytes", (("topic", "u"),)] == 0
    assert samples["kafkalite_logs_size_bytes", ()] == 400
    assert samples["kafkalite_topics", ()] == 2
    assert samples["kafkalite_partitions", ()] == 3
    assert samples["kafkalite_led_partitions", ()] == 2
    assert samples["kafkalite_damaged_partitions", ()] == 1


def test_number_of_series_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MAX_PARTITION_SERIES", 4)
    monkeypatch.setattr(metrics, "MAX_TOPIC_SERIES", 3)
    broker = FakeBroker()
    for number in range(4):
        broker.partitions.add("t", number)
    assert ("kafkalite_partition_log_end_offset", (("partition", "3"), ("topic", "t"))) in (
        _samples(broker)
    )
    broker.partitions.add("u", 0)
    page = _page(broker)[0]
    assert "kafkalite_partition_" not in page
    assert 'kafkalite_topic_log_end_offset{topic="u"}' in page
    for name in ("v", "w"):
        broker.partitions.add(name, 0)
    samples = _samples(broker)
    assert not [name for name, _ in samples if name.startswith("kafkalite_topic_")]
    assert samples["kafkalite_partitions", ()] == 7


def test_state_of_the_broker_is_told() -> None:
    broker = FakeBroker(brokers=2)
    broker.state = "stopping"
    samples = _samples(broker)
    assert samples["kafkalite_ready", ()] == 0
    assert samples["kafkalite_controller", ()] == 0
    assert samples["kafkalite_live_brokers", ()] == 2
    assert samples["process_resident_memory_bytes", ()] > 0
    assert samples["process_open_fds", ()] > 0
    assert samples["process_start_time_seconds", ()] > 0


def test_openmetrics_is_given_to_who_prefers_it() -> None:
    body, media = _page(FakeBroker(), "application/openmetrics-text; version=1.0.0")
    assert media.startswith("application/openmetrics-text")
    assert body.endswith("# EOF\n")


def test_page_is_served_while_the_broker_is_not_ready() -> None:
    broker = FakeBroker()
    broker.state = "starting"

    async def run() -> tuple[httpx.Response, httpx.Response]:
        async with control_plane(broker) as client:
            return await client.get("/metrics"), await client.get("/metrics")

    first, second = asyncio.run(run())
    assert first.status_code == second.status_code == 200
    assert first.headers["content-type"].startswith("text/plain; version=")
    assert "kafkalite_ready 0.0" in second.text


def test_every_metric_is_documented() -> None:
    broker = FakeBroker()
    broker.partitions.add("t", 0)
    page = _REFERENCE.read_text(encoding="utf-8")
    served = [
        family.name
        for family in text_string_to_metric_families(_page(broker)[0])
        if family.name.startswith("kafkalite_")
    ]
    missing = [name for name in served if f"`{name}" not in page]
    assert not missing
