"""Topics on a broker under test: made, looked at, removed."""

import time
from typing import Any, Final

from benchmarks.connection import Connection, WrongAnswerError, make_json_request, make_request

_COMMIT_TIMEOUT_S: Final = 120.0
_POLL_S: Final = 0.01


def create_topic(port: int, name: str, partitions: int = 1, replicas: int = 1) -> None:
    """Create a topic; its partitions have a leader, and all replicas in sync, on return."""
    with Connection(port) as connection:
        spec = {"name": name, "partitions": partitions, "replication_factor": replicas}
        connection.expect(make_json_request("POST", "/v1/topics", spec), 201)
        _wait_for_end_offset(connection, name, partitions - 1, 0)
        deadline = time.monotonic() + _COMMIT_TIMEOUT_S
        while any(len(each["isr"]) < replicas for each in _partitions(connection, name)):
            if time.monotonic() > deadline:
                raise WrongAnswerError(f"The replicas of {name} do not get in sync")
            time.sleep(_POLL_S)


def leaders(port: int, name: str) -> list[int]:
    """Who leads each partition of a topic, by its number; -1: nobody."""
    with Connection(port) as connection:
        return [each["leader"] for each in _partitions(connection, name)]


def _partitions(connection: Connection, name: str) -> list[dict[str, Any]]:
    answer = connection.expect(make_request("GET", f"/v1/topics/{name}"))
    partitions: list[dict[str, Any]] = answer.document()["partitions"]
    return partitions


def delete_topic(port: int, name: str) -> None:
    """Delete a topic and what it holds."""
    with Connection(port) as connection:
        connection.expect(make_request("DELETE", f"/v1/topics/{name}"), 204)


def end_offset(port: int, name: str, partition: int = 0) -> int:
    """The log end offset of a partition."""
    with Connection(port) as connection:
        return _wait_for_end_offset(connection, name, partition, 0)


def expect_records(port: int, name: str, least: int, most: int | None = None) -> None:
    """Check that partition 0 holds so many records (`least` exactly, unless `most` is given), and
    that all of them get below the high watermark.

    Raises:
        WrongAnswerError: it holds another number, or readers do not get to see them.
    """
    most = least if most is None else most
    with Connection(port) as connection:
        found = _wait_for_end_offset(connection, name, 0, least)
    if not least <= found <= most:
        raise WrongAnswerError(f"{name} holds {found} records, not {least} to {most}")


def _wait_for_end_offset(connection: Connection, name: str, partition: int, least: int) -> int:
    """The end offset, once it is `least` or more and the high watermark has come up to it."""
    request = make_request("GET", f"/v1/topics/{name}/partitions/{partition}/offsets")
    deadline = time.monotonic() + _COMMIT_TIMEOUT_S
    while True:
        answer = connection.exchange(request)
        offsets = answer.document()
        if answer.status == 200:
            end: int = offsets["log_end_offset"]
            if least <= end == offsets["high_watermark"]:
                return end
        if time.monotonic() > deadline:
            raise WrongAnswerError(f"Partition {partition} of {name} does not get there: {offsets}")
        time.sleep(_POLL_S)
