"""`/docs` in a browser: it shows all that `/openapi.json` has, and commands that brokers take."""

import os
import shlex
import subprocess
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.support.broker import BrokerProcess
from tests.support.browser import Browser
from tests.support.tools import is_there, require_tool
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

_SHOWN: Final = """
Object.fromEntries([...document.querySelectorAll('main details[id]')]
  .filter(node => node.querySelector('.method'))
  .map(node => [node.id, (node.querySelector('div > pre') || {}).textContent || '']))
"""
_NO_TYPING: Final = {"produce", "fetch"}
"""Operations whose bodies are msgpack only."""
_TAKEN: Final = ("create_topic", "rest_produce", "produce_records", "rest_topic", "create_consumer")
"""What somebody would paste first, in this order."""


@pytest.fixture(scope="module")
def shown(broker: BrokerProcess, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The command of each operation on the page; empty where there is none."""
    reason = Browser.why_unavailable()
    if reason is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with Browser(tmp_path_factory.mktemp("docs") / "profile") as browser:
        browser.open(f"{broker.url}/docs")
        wait_until(lambda: browser.run("!!document.querySelector('section')"), "it is filled")
        found: dict[str, str] = browser.run(_SHOWN)
    return found


def _operations(broker: BrokerProcess) -> dict[str, Any]:
    paths = httpx.get(f"{broker.url}/openapi.json").json()["paths"]
    return {each["operationId"]: each for item in paths.values() for each in item.values()}


def test_every_operation_is_shown_with_a_command(
    broker: BrokerProcess, shown: dict[str, str]
) -> None:
    operations = _operations(broker)
    assert shown.keys() == operations.keys()
    assert {name for name, command in shown.items() if not command} == _NO_TYPING
    for command in shown.values():
        target = shlex.split(command)[-1] if command else ""
        assert not set("{}[] ") & set(target), command
        assert "undefined" not in command


def test_commands_do_what_they_say_when_they_are_pasted(
    shown: dict[str, str], tmp_path: Path
) -> None:
    require_tool("curl", "curl", lambda: is_there("curl"))
    for name in _TAKEN:
        command = shown[name].replace("flights", "pasted-flights").replace("c1", "pasted")
        said = subprocess.run(
            ["sh", "-c", f"{command} --silent --fail-with-body"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert said.returncode == 0, f"{command}\n{said.stdout}{said.stderr}"
