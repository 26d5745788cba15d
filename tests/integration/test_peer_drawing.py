"""The comparison with peers is drawn as a picture: well formed, and true to the table."""

from xml.etree import ElementTree

import pytest

from benchmarks.drawing import draw_comparison, times_as_fast
from benchmarks.row import Goal, Row

_FASTER = Row("peers", "send <many>", "records/s", (3e6, 1e6, 2e6), "c", (1e6, 1e6, 1e6))
_SLOWER = Row("peers", "loop", "MB/s", (50.0,), "c", (100.0,), Goal(2.0, at_least=True))
_LATENCY = Row("peers", "p99", "ms", (2.0,), "c", (8.0,), Goal(0.5, at_least=False))
_SVG = "{http://www.w3.org/2000/svg}"


def _texts(picture: str) -> list[str]:
    return [text.text or "" for text in ElementTree.fromstring(picture).iter(f"{_SVG}text")]


def test_picture_holds_both_values_and_how_many_times_as_fast() -> None:
    texts = _texts(draw_comparison([_FASTER, _SLOWER, _LATENCY], ["some machine"]))
    assert {"send <many>", "2,000,000 records/s", "1,000,000 records/s", "2.00x"} <= set(texts)
    assert {"loop", "50 MB/s", "100 MB/s", "0.50x", "some machine"} <= set(texts)


def test_less_time_is_faster() -> None:
    assert times_as_fast(_LATENCY) == 4.0
    assert times_as_fast(_SLOWER) == 0.5


def test_what_is_behind_is_drawn_as_behind() -> None:
    root = ElementTree.fromstring(draw_comparison([_FASTER, _SLOWER, _LATENCY], []))
    kinds = [each.get("class") for each in root.iter(f"{_SVG}rect")]
    assert kinds == ["card", "ahead", "behind", "ahead"]


def test_row_that_is_compared_with_nothing_is_left_out() -> None:
    alone = Row("peers", "alone", "MB/s", (50.0,))
    assert "alone" not in _texts(draw_comparison([alone], []))
    with pytest.raises(ValueError, match="is compared with nothing"):
        times_as_fast(alone)
