"""Which paths are valid; both servers agree on these in the contract suite."""

import pytest

from kafkalite.zkserver import paths
from kafkalite.zkserver.errors import ErrorCode, ZooKeeperError


@pytest.mark.parametrize(
    "path",
    ["/", "/a", "/a/b", "/..a", "/a.b", "/...", "/a b", "/ü", "/漢字", "/a/.b", "/\ufb00"],
)
def test_path_is_valid(path: str) -> None:
    paths.validate(path)


@pytest.mark.parametrize(
    "path",
    [
        *["", "a", "a/b", "/a/", "//", "/a//b", "/.", "/..", "/a/./b", "/a/../b"],
        *["/\0", "/\x1f", "/\x7f", "/\x9f", "/\ud800", "/\uf8ff", "/\ufff0", "/😀"],
    ],
)
def test_path_is_refused(path: str) -> None:
    with pytest.raises(ZooKeeperError) as raised:
        paths.validate(path)
    assert raised.value.code is ErrorCode.BAD_ARGUMENTS


@pytest.mark.parametrize(
    ("path", "parent", "name"), [("/a", "/", "a"), ("/a/b", "/a", "b"), ("/a/b/c", "/a/b", "c")]
)
def test_split_and_join_are_each_others_reverse(path: str, parent: str, name: str) -> None:
    assert paths.split(path) == (parent, name)
    assert paths.join(parent, name) == path
