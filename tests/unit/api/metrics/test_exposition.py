"""The page that Prometheus reads."""

import asyncio
from pathlib import Path
from typing import cast

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from kafkalite.api.metrics import logs as metrics_logs
from kafkalite.api.metrics.exposition import MetricsPage
from kafkalite.broker.broker import Broker
from kafkalite.broker.metadata_view import StateAt, TopicAt
from kafkalite.model.cluster import Topic
from kafkalite.model.errors import KafkaStorageError
from kafkalite.model.ids import NO_LEADER, BrokerId, TopicPartition
from kafkalite.model.offsets import OffsetRange
from kafkalite.replication.leader_replica import LeaderReplica
from tests.support.fake_broker import FakeBroker, control_plane
from tests.support.partitions import TOPIC_ID, led_by

_REFERENCE = Path(__file__).parents[4] / "docs" / "reference" / "metrics.md"

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
    broker.probe.scrub.bytes = 17
    broker.replication.probe.isr_shrinks = 4
    broker.replication.probe.follower_bytes = 21
    broker.replication.probe.leader_bytes = 22
    samples = _samples(broker)
    assert samples["kafkalite_produce_requests_total", ()] == 3
    assert samples["kafkalite_produce_records_total", ()] == 5
    assert samples["kafkalite_produce_bytes_total", ()] == 700
    assert samples["kafkalite_fetch_bytes_total", ()] == 11
    assert samples["kafkalite_cold_reads_total", ()] == 2
    assert samples["kafkalite_scrubbed_bytes_total", ()] == 17
    assert samples["kafkalite_isr_shrinks_total", ()] == 4
    assert samples["kafkalite_isr_expands_total", ()] == 0
    assert samples["kafkalite_replica_bytes_out_total", ()] == 21
    assert samples["kafkalite_replica_bytes_in_total", ()] == 22
    assert samples["kafkalite_leader_elections_total", ()] == 0
    assert samples["kafkalite_unclean_leader_elections_total", ()] == 0


def test_flushes_are_a_cumulative_histogram() -> None:
    broker = FakeBroker()
    for seconds in (0.0002, 0.0003, 0.02, 60.0):
        broker.probe.flush.observe(seconds, 2)
    broker.probe.append_seconds.observe(0.003)
    broker.probe.read_seconds.observe(0.004)
    samples = _samples(broker)
    assert samples["kafkalite_append_seconds_sum", ()] == pytest.approx(0.003)
    assert samples["kafkalite_read_seconds_sum", ()] == pytest.approx(0.004)
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


def test_idempotent_producers_are_counted_in_each_log() -> None:
    broker = FakeBroker()
    broker.probe.produce_duplicates = 6
    broker.partitions.add("t", 0).log.producers = (7, 8)
    broker.partitions.add("t", 1).log.producers = (7,)
    samples = _samples(broker)
    assert samples["kafkalite_producer_ids", ()] == 3
    assert samples["kafkalite_produce_duplicates_total", ()] == 6


def test_damage_and_failed_disks_are_told() -> None:
    broker = FakeBroker()
    broker.partitions.add("t", 0).log.damaged = (OffsetRange(0, 1), OffsetRange(3, 5))
    broker.partitions.add("t", 1).log.failure = KafkaStorageError("it burned")
    broker.partitions.failures[TopicPartition("t", 2)] = KafkaStorageError("it burned")
    samples = _samples(broker)
    assert samples["kafkalite_damaged_partitions", ()] == 1
    assert samples["kafkalite_damaged_ranges", ()] == 2
    assert samples["kafkalite_failed_partitions", ()] == 2


def _ids(*ids: int) -> tuple[BrokerId, ...]:
    return tuple(map(BrokerId, ids))


def test_partitions_led_here_are_counted_by_what_is_in_sync() -> None:
    broker = FakeBroker(brokers=3)
    for number, isr in enumerate([(0, 1, 2), (0, 1), (0,)]):
        partition = broker.partitions.add("t", number)
        partition.replicas, partition.isr = _ids(0, 1, 2), _ids(*isr)
        partition.settings.min_insync_replicas = 2
    follower = broker.partitions.add("t", 3)
    follower.is_leader, follower.replicas = False, _ids(1, 0)
    offline = broker.partitions.add("t", 4)
    offline.is_leader, offline.state = False, led_by(NO_LEADER)
    samples = _samples(broker)
    assert samples["kafkalite_under_replicated_partitions", ()] == 2
    assert samples["kafkalite_at_min_isr_partitions", ()] == 1
    assert samples["kafkalite_under_min_isr_partitions", ()] == 1
    assert samples["kafkalite_offline_partitions", ()] == 1
    assert samples["kafkalite_reassigning_partitions", ()] == 0


def test_replica_that_is_only_coming_is_not_missed_yet() -> None:
    broker = FakeBroker(brokers=3)
    topic = Topic("t", TOPIC_ID, {0: _ids(0, 1, 2)}, adding={0: _ids(2)})
    broker.metadata.topics["t"] = TopicAt(topic, broker.metadata.next_revision())
    broker.metadata.publish()
    partition = broker.partitions.add("t", 0)
    partition.replicas, partition.isr = _ids(0, 1, 2), _ids(0, 1)
    samples = _samples(broker)
    assert samples["kafkalite_under_replicated_partitions", ()] == 0
    assert samples["kafkalite_reassigning_partitions", ()] == 1


def test_lag_of_a_follower_is_the_largest_of_its_partitions() -> None:
    broker = FakeBroker(brokers=3)
    for number, ends in enumerate([{1: 10, 2: 4}, {1: 7}]):
        partition = broker.partitions.add("t", number, timestamps=[1] * 10)
        partition.start, partition.replicas = 2, _ids(0, 1, 2)
        partition.leading = leading = LeaderReplica(
            BrokerId(0), led_by(0, isr=(0, 1)), partition.replicas,
            epoch_start=0, high_watermark=0, lag_ms=1000, now_ms=0,
        )  # fmt: skip
        for follower, end in ends.items():
            leading.note_fetch(BrokerId(follower), 1, end, 10, 0)
    samples = _samples(broker)
    assert samples["kafkalite_follower_lag", (("follower", "1"),)] == 3
    # Nothing is known of it in the second: it lacks all that there is.
    assert samples["kafkalite_follower_lag", (("follower", "2"),)] == 8
    assert samples["kafkalite_max_follower_lag", ()] == 8


def test_controller_tells_of_the_whole_cluster() -> None:
    broker = FakeBroker(brokers=2)
    assert not [name for name, _ in _samples(broker) if name.startswith("kafkalite_cluster_")]
    metadata = broker.metadata
    topic = Topic("t", TOPIC_ID, dict.fromkeys(range(3), _ids(0, 1)), removing={2: _ids(1)})
    metadata.topics["t"] = TopicAt(topic, metadata.next_revision())
    for number, state in enumerate([led_by(0, isr=(0, 1)), led_by(1, isr=(1,)), led_by(-1)]):
        partition = TopicPartition("t", number)
        metadata.states[partition] = StateAt(state, metadata.next_revision())
    metadata.controller = broker.id
    metadata.publish()
    samples = _samples(broker)
    assert samples["kafkalite_controller", ()] == 1
    assert samples["kafkalite_cluster_partitions", ()] == 3
    assert samples["kafkalite_cluster_offline_partitions", ()] == 1
    assert samples["kafkalite_cluster_under_replicated_partitions", ()] == 2
    assert samples["kafkalite_cluster_under_min_isr_partitions", ()] == 0
    assert samples["kafkalite_cluster_reassigning_partitions", ()] == 1


def test_number_of_series_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_logs, "MAX_PARTITION_SERIES", 4)
    monkeypatch.setattr(metrics_logs, "MAX_TOPIC_SERIES", 3)
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
    broker.metadata.controller = broker.id
    broker.metadata.publish()
    page = _REFERENCE.read_text(encoding="utf-8")
    served = [
        family.name
        for family in text_string_to_metric_families(_page(broker)[0])
        if family.name.startswith("kafkalite_")
    ]
    missing = [name for name in served if f"`{name}" not in page]
    assert not missing
