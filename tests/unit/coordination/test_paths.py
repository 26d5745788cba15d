import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafkalite.coordination import paths

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(_TEXT)
def test_any_name_comes_back_and_is_one_that_zookeeper_takes(name: str) -> None:
    escaped = paths.escape(name)
    assert paths.unescape(escaped) == name
    assert escaped not in {".", ".."}
    assert "/" not in escaped
    for character in escaped:
        code = ord(character)
        assert not (code < 0x20)
        assert not (0x7F <= code < 0xA0)
        assert not (0xD800 <= code < 0xF900)
        assert code < 0xFFF0


@given(_TEXT, _TEXT)
def test_different_names_have_different_znodes(one: str, other: str) -> None:
    assert (paths.escape(one) == paths.escape(other)) == (one == other)


@pytest.mark.parametrize("name", ["g", "console-consumer-12", "a b", "größe", "x_y.z", "..."])
def test_ordinary_names_stay_as_they_are(name: str) -> None:
    assert paths.escape(name) == name


def test_offsets_are_where_kafka_had_them() -> None:
    assert paths.group_offset("g", "t", 3) == "/consumers/g/offsets/t/3"
    assert paths.group_owner("g", "t", 3) == "/consumers/g/owners/t/3"
    assert paths.group_member("g", "m") == "/consumers/g/ids/m"
    assert paths.group_state("a/b") == "/consumers/a%2Fb/state"
