"""Paths of streams are told from others."""

import pytest

from kafkalite.api.streams.paths import StreamPath, parse_stream_path


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/topics/t/stream", StreamPath("t", "stream")),
        ("/v1/topics/t/records/stream", StreamPath("t", "records/stream")),
        ("/v1/topics//stream", None),
        ("/v1/topics/t/stream/", None),
        ("/v1/topics/t/records", None),
        ("/v1/groups/t/stream", None),
        ("/v2/topics/t/stream", None),
    ],
)
def test_paths_of_streams_are_told_from_others(path: str, expected: StreamPath | None) -> None:
    assert parse_stream_path(path) == expected
