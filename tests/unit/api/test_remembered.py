"""Only short texts are remembered, and only so many."""

from kafkalite.api.remembered import LONGEST, remembered


def test_text_is_looked_at_once_while_it_is_among_the_last_ones() -> None:
    seen: list[str] = []

    @remembered(2)
    def length(text: str) -> int:
        seen.append(text)
        return len(text)

    assert [length(text) for text in ("a", "bb", "a", "ccc", "a", "bb")] == [1, 2, 1, 3, 1, 2]
    assert seen == ["a", "bb", "ccc", "bb"]


def test_long_text_is_looked_at_each_time() -> None:
    seen: list[bytes] = []

    @remembered(2)
    def length(text: bytes) -> int:
        seen.append(text)
        return len(text)

    longest, longer = b"x" * LONGEST, b"x" * (LONGEST + 1)
    for text in (longest, longer, longer, longest):
        assert length(text) == len(text)
    assert seen == [longest, longer, longer]
