"""Paths of version 3 of REST Proxy."""

import re

import pytest

from kafkalite.api.v3 import paths
from kafkalite.api.v3.paths import METHODS, NOTHING, is_v3_path, parse_v3_path


@pytest.mark.parametrize("operation", sorted(METHODS))
@pytest.mark.parametrize("root", ["", "/kafka"])
def test_every_operation_is_found_by_its_path(operation: str, root: str) -> None:
    names = re.findall(r"{(\w+)}", operation)
    path = root + re.sub(r"{(\w+)}", r"a-\1", operation)
    found = parse_v3_path(path.encode())
    assert found.operation == operation
    assert found.names == {name: f"a-{name}" for name in names}
    assert found.root == f"{root}/v3"
    assert is_v3_path(path)


@pytest.mark.parametrize("path", [b"/v3/clusters/", b"//v3//clusters", b"/v3/clusters//"])
def test_slashes_at_the_ends_and_doubled_ones_do_not_matter(path: bytes) -> None:
    assert parse_v3_path(path).operation == paths.CLUSTERS


@pytest.mark.parametrize(
    "path",
    [b"/v3", b"/v3/cluster", b"/v3/clusters/c/nothing", b"/v3/clusters/c/topics/t/records:x", b"/"],
)
def test_other_paths_lead_nowhere(path: bytes) -> None:
    assert parse_v3_path(path).operation == NOTHING


def test_names_may_have_slashes_behind_percent_signs() -> None:
    found = parse_v3_path(b"/v3/clusters/c/consumer-groups/a%2Fb%20%C3%A4/lags")
    assert (found.operation, found.names["consumer_group_id"]) == (paths.LAGS, "a/b ä")


def test_colon_may_be_behind_a_percent_sign() -> None:
    assert parse_v3_path(b"/v3/clusters/c/topics/t/records%3Abatch").operation == paths.BATCH


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("12", 12), ("-1", None), ("x", None), ("٣", None), ("1" * 11, None)],
)
def test_numbers_are_read_strictly(text: str, number: int | None) -> None:
    path = parse_v3_path(f"/v3/clusters/c/brokers/{text}".encode())
    assert path.number("broker_id") == number


@pytest.mark.parametrize("path", ["/v3x/clusters", "/kafka", "/topics/v3", "/"])
def test_paths_of_others_are_left_to_them(path: str) -> None:
    assert not is_v3_path(path)
