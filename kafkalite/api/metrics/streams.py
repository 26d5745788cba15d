"""How many answers, and requests, of this broker have no end."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric


def stream_families(groups: int, topics: int, produce: int) -> Iterator[Metric]:
    """The metrics of streams, by what they are of."""
    family = GaugeMetricFamily("kafkalite_streams", "Streams that are served.", labels=["of"])
    for name, number in (("group", groups), ("topic", topics), ("produce", produce)):
        family.add_metric([name], number)
    yield family
