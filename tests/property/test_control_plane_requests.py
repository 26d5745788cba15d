"""Whatever comes, the control plane answers, and blames the request and not itself."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kafkalite.api.schemas import (
    AlterConfigBody,
    AlterTopicBody,
    CancelReassignmentsBody,
    CreateTopicBody,
    DeleteRecordsBody,
    ElectLeadersBody,
    PartitionTarget,
    ProposeAssignmentBody,
)
from tests.support.fake_broker import FakeBroker, control_plane

PATHS = (
    ("POST", "/v1/topics"),
    ("PATCH", "/v1/topics/t"),
    ("PATCH", "/v1/brokers/0/config"),
    ("PATCH", "/v1/brokers/default/config"),
    ("POST", "/v1/topics/t/partitions/0/delete-records"),
    ("POST", "/v1/reassignments"),
    ("POST", "/v1/reassignments/cancel"),
    ("POST", "/v1/reassignments/proposal"),
    ("POST", "/v1/leader-elections"),
)
BODY_MODELS = (
    CreateTopicBody,
    AlterTopicBody,
    AlterConfigBody,
    DeleteRecordsBody,
    PartitionTarget,
    CancelReassignmentsBody,
    ProposeAssignmentBody,
    ElectLeadersBody,
)
NAMES = st.sampled_from(
    sorted({"retention.ms", "t"}.union(*(model.model_fields for model in BODY_MODELS)))
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["t", "\ud800", "compact", "-1", "1e9", "uncompressed"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
BODIES = st.dictionaries(NAMES, VALUES, max_size=5).map(
    lambda body: json.dumps({"timeout_ms": 50, **body}).encode()
) | st.binary(max_size=30)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), PATHS)
@given(bodies=st.lists(BODIES, max_size=8))
@settings(max_examples=20, deadline=None, derandomize=True)
def test_no_body_makes_the_control_plane_fail(method: str, path: str, bodies: list[bytes]) -> None:
    asyncio.run(_send(method, path, bodies))


async def _send(method: str, path: str, bodies: list[bytes]) -> None:
    broker = FakeBroker()
    broker.partitions.add("t", 0, timestamps=[1, 2])
    async with control_plane(broker) as client:
        for body in bodies:
            response = await client.request(
                method, path, content=body, headers={"content-type": "application/json"}
            )
            assert response.status_code < 500 or response.json()["error"] == "REQUEST_TIMED_OUT"
            if response.status_code >= 400:
                document: dict[str, Any] = response.json()
                assert document["status"] == response.status_code
                assert document["detail"]
                assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.slow
@given(
    method=st.sampled_from(["GET", "HEAD", "DELETE", "OPTIONS", "PUT"]),
    segments=st.lists(
        st.sampled_from(["v1", "topics", "t", "partitions", "0", "-1", "offsets", "brokers"])
        | st.sampled_from(["config", "cluster", "default", "..", "%2e", "%00", "%ff", "%2F", ""])
        | st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=4),
        max_size=6,
    ),
    query=st.sampled_from(["", "at=earliest", "at=%ff", "all=1", "timeout_ms=0", "=&&;", "at"]),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_no_path_makes_the_control_plane_fail(method: str, segments: list[str], query: str) -> None:
    async def scenario() -> None:
        broker = FakeBroker()
        broker.partitions.add("t", 0, timestamps=[1, 2])
        async with control_plane(broker) as client:
            response = await client.request(method, f"http://broker/{'/'.join(segments)}?{query}")
            assert response.status_code < 500, response.text

    asyncio.run(scenario())
