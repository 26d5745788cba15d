"""What is asked of leaders; reading itself is seen in tests/cli."""

from kafkalite.cli.partition_fetcher import FetchOptions, PartitionFetcher
from kafkalite.cli.positions import UNKNOWN
from kafkalite.model.ids import TopicPartition

_NOBODY = "http://127.0.0.1:1"


def test_nobody_is_asked_for_a_partition_whose_position_is_not_known() -> None:
    found, gone = TopicPartition("t", 0), TopicPartition("t", 1)
    fetcher = PartitionFetcher(FetchOptions(), {found: UNKNOWN})
    fetcher.assign({found: _NOBODY, gone: _NOBODY})
    assert fetcher.poll(0) == []
    assert fetcher.take_trouble() is None, "or somebody was asked, and is not there"
