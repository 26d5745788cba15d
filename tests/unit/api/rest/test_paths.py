"""Paths below /consumers."""

import pytest

from kafkalite.api.rest.paths import CREATE, ConsumersPath, parse_consumers_path


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/consumers/g", ConsumersPath("g", "", CREATE)),
        ("//consumers//g//", ConsumersPath("g", "", CREATE)),
        ("/consumers/g/instances/c", ConsumersPath("g", "c", "")),
        ("/consumers/g/instances/c/positions//end/", ConsumersPath("g", "c", "positions/end")),
        ("/consumers/a%2Fb/instances/c%20d/records", ConsumersPath("a/b", "c d", "records")),
        ("/consumers", None),
        ("/consumers/g/instances", None),
        ("/consumers/g/instances/c/create", None),
        ("/consumers/g/instances/c/positions/middle", None),
        ("/consumers/g/others/c", None),
    ],
)
def test_path_is_taken_apart(path: str, expected: ConsumersPath | None) -> None:
    assert parse_consumers_path(path) == expected
    if expected is not None:
        assert parse_consumers_path(expected.target) == expected
