"""What was sent and not acknowledged, in records."""

from kafkalite.broker.consumers.stream_window import StreamWindow
from kafkalite.model.ids import TopicPartition

_P0, _P1 = TopicPartition("t", 0), TopicPartition("t", 1)


def test_what_is_acknowledged_makes_room() -> None:
    window = StreamWindow(10)
    window.sent(_P0, 4, 4)
    window.sent(_P0, 100, 3)  # after a compaction
    window.sent(_P1, 3, 3)
    assert window.left == 0
    window.acknowledged(_P0, 4)
    assert (window.records, window.left) == (6, 4)
    window.acknowledged(_P0, 4)
    window.acknowledged(_P0, 100)
    window.acknowledged(_P1, 3)
    assert window.records == 0


def test_what_is_lost_makes_room() -> None:
    window = StreamWindow(5)
    window.sent(_P0, 5, 5)
    window.drop([_P0, _P1])
    assert window.left == 5
    window.acknowledged(_P0, 5)
    assert window.left == 5
