"""The paths of streams of topics."""

from typing import Literal, NamedTuple


class StreamPath(NamedTuple):
    """A path of the streams of a topic."""

    topic: str
    end: Literal["stream", "records/stream"]


def parse_stream_path(path: str) -> StreamPath | None:
    """The topic and what is asked of it; None for other paths."""
    match path.split("/"):
        case ["", "v1", "topics", topic, "stream"] if topic:
            return StreamPath(topic, "stream")
        case ["", "v1", "topics", topic, "records", "stream"] if topic:
            return StreamPath(topic, "records/stream")
    return None
