"""What `import kafkalite` gives, how little it loads, and that programs can be typed with it."""

import ast
import inspect
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import kafkalite
import kafkalite.errors
from kafkalite.client import errors as client_errors
from kafkalite.client.admin.admin_client import AdminClient
from kafkalite.client.admin.async_admin_client import AsyncAdminClient
from kafkalite.client.consumer import failures
from kafkalite.model import errors as model_errors
from kafkalite.model.errors import LogError

_ROOT = Path(__file__).parents[2]
_HEAVY = ("fastapi", "uvicorn", "kazoo", "httpx", "pydantic", "starlette", "aiohttp")
"""Of brokers and tools: each of them takes a good part of what the import may take."""


def _loaded(program: str) -> set[str]:
    """The modules that a process has loaded when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stdout.split())


def test_the_package_itself_loads_nothing() -> None:
    loaded = _loaded("import kafkalite")
    assert [name for name in loaded if name.startswith("kafkalite.")] == []
    assert "asyncio" not in loaded


def test_clients_load_nothing_of_brokers() -> None:
    loaded = _loaded("from kafkalite import *; import kafkalite.errors")
    assert loaded.isdisjoint(_HEAVY)
    ours = {name.split(".")[1] for name in loaded if name.startswith("kafkalite.")}
    assert ours <= {"client", "transport", "wire", "config", "model", "errors"}


def test_every_public_name_is_there_once() -> None:
    for name in kafkalite.__all__:
        assert getattr(kafkalite, name).__name__ == name
    assert set(kafkalite.__all__) <= set(dir(kafkalite))
    with pytest.raises(AttributeError, match="has no attribute 'Consumr'"):
        getattr(kafkalite, "Consumr")  # noqa: B009 - a type checker knows that it is not there


def test_types_and_names_say_the_same() -> None:
    """What type checkers see is what is loaded."""
    tree = ast.parse(inspect.getsource(kafkalite))
    seen = {
        alias.name: str(node.module).removeprefix("kafkalite.")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("kafkalite.")
        for alias in node.names
    }
    assert seen == kafkalite._HOMES
    assert sorted(seen) == sorted(kafkalite.__all__)


def test_all_errors_can_be_imported_from_one_place() -> None:
    raised = {
        name
        for module in (model_errors, client_errors, failures)
        for name, found in vars(module).items()
        if isinstance(found, type)
        and issubclass(found, LogError)
        and found.__module__ == module.__name__
    }
    assert raised == set(kafkalite.errors.__all__)


def test_each_call_of_administration_exists_without_asyncio() -> None:
    def calls(kind: type) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    assert calls(AdminClient) - {"run", "core"} == calls(AsyncAdminClient)
    signature = inspect.signature(AdminClient.create_topic)
    assert signature == inspect.signature(AsyncAdminClient.create_topic)
    assert AdminClient.create_topic.__doc__ == AsyncAdminClient.create_topic.__doc__


_PROGRAM = """
    import asyncio

    from kafkalite import (
        AdminClient, AsyncAdminClient, AsyncConsumer, AsyncProducer, Consumer, Producer,
        RecordMetadata, TopicPartition,
    )
    from kafkalite.errors import LogError, UnknownTopicOrPartitionError


    def count(servers: str) -> dict[str, int]:
        with AdminClient(bootstrap_servers=servers, request_timeout_ms=5000) as admin:
            try:
                described = admin.describe_topic("flights")
            except UnknownTopicOrPartitionError:
                described = admin.create_topic("flights", 3, config={"retention.ms": "1000"})
            why = admin.delete_topics(["a", "b"])["a"]
            if why is not None and why.retriable:
                raise why
            ends = admin.list_offsets({TopicPartition("flights", 0): "latest"})
            for found in ends.values():
                if not isinstance(found, LogError):
                    reveal_type(found.offset)
            reveal_type(admin.list_topics())
        return {described.name: described.partition_count}


    def produce(servers: str) -> RecordMetadata:
        with Producer(bootstrap_servers=servers) as producer:
            return producer.send("flights", b"one").result()


    def consume(servers: str) -> list[int]:
        with Consumer("flights", bootstrap_servers=servers, group_id="board") as consumer:
            return [record.offset for record in consumer]


    async def main(servers: str) -> None:
        async with AsyncAdminClient(bootstrap_servers=servers) as admin:
            reveal_type(await admin.describe_cluster())
        async with AsyncProducer(bootstrap_servers=servers) as producer:
            await (await producer.send("flights", b"two"))
        async with AsyncConsumer("flights", bootstrap_servers=servers) as consumer:
            async for record in consumer:
                print(record.key)


    asyncio.run(main("localhost:9092"))
"""
_WRONG = """
    from kafkalite import AdminClient, Consumr

    with AdminClient() as admin:
        admin.create_topic(5)
        admin.delete_topic("a").name
"""


def _checked(directory: Path, program: str) -> list[str]:
    """What mypy says of a program of a stranger."""
    file = directory / "program.py"
    file.write_text(textwrap.dedent(program))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--no-error-summary"),
            *("--config-file", "", "--cache-dir", str(directory / "cache")),
            # As with an installed package, only the program's own mistakes are told; an editable
            # installation is one that mypy does not find.
            *("--follow-imports", "silent", file.name),
        ],
        cwd=directory,
        env={**os.environ, "MYPYPATH": str(_ROOT)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.slow
def test_a_strangers_program_is_typed(tmp_path: Path) -> None:
    assert (_ROOT / "kafkalite" / "py.typed").exists()
    said = _checked(tmp_path, _PROGRAM)
    assert [line.partition("note: ")[2] for line in said] == [
        'Revealed type is "int"',
        'Revealed type is "list[kafkalite.wire.admin_messages.TopicSummary]"',
        'Revealed type is "kafkalite.wire.admin_messages.ClusterDescription"',
    ]
    wrong = _checked(tmp_path, _WRONG)
    assert len(wrong) == 3, wrong
    assert 'has no attribute "Consumr"' in wrong[0]
    assert "incompatible type" in wrong[1]
    assert "does not return a value" in wrong[2] or 'has no attribute "name"' in wrong[2]
