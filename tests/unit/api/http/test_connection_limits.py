"""Connections are counted, of each address and of all."""

from kafkalite.api.http.connection_limits import ConnectionLimits


def test_one_too_many_is_told_why_and_not_counted() -> None:
    limits = ConnectionLimits(3, 2)
    assert [limits.let_in("a"), limits.let_in("a")] == ["", ""]
    assert limits.let_in("a").endswith("from a as this broker takes, max.connections.per.ip=2")
    assert limits.let_in("b") == ""
    assert limits.let_in("c").endswith("max.connections=3")
    assert limits.count == 3


def test_place_of_one_that_left_is_free() -> None:
    limits = ConnectionLimits(10, 1)
    for _ in range(3):
        assert limits.let_in("a") == ""
        limits.leave("a")
    assert limits.count == 0


def test_address_may_have_a_limit_of_its_own() -> None:
    limits = ConnectionLimits(10, 1, {"a": 2, "b": 0})
    assert [bool(limits.let_in(address)) for address in "aaabcc"] == [
        False, False, True, True, False, True,
    ]  # fmt: skip
