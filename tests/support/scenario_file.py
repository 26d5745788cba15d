"""Scenarios as text: commands, what they lead to, and a flag that records the latter anew.

    # a comment, kept where it is
    command word word
    another command
    ----
    what these commands led to,
    on any number of lines
    <an empty line, then the next block>

With REWRITE_SCENARIOS=1 in the environment the files are written with what happens now; read the
difference before you keep it.
"""

import os
from collections.abc import Callable
from pathlib import Path

_SEPARATOR = "----"


def check_scenario(path: Path, run: Callable[[str], list[str]]) -> None:
    """Run a scenario's commands, block by block, and compare what they lead to.

    Args:
        path: the scenario.
        run: carries out one command; gives the lines that it led to.
    """
    recorded = path.read_text()
    happened = "\n\n".join(_play(block, run) for block in recorded.strip().split("\n\n")) + "\n"
    if os.environ.get("REWRITE_SCENARIOS"):
        path.write_text(happened)
    else:
        assert happened == recorded, f"{path.name}: see REWRITE_SCENARIOS in {__name__}"


def _play(block: str, run: Callable[[str], list[str]]) -> str:
    lines = block.split("\n")
    given = lines[: lines.index(_SEPARATOR)] if _SEPARATOR in lines else lines
    commands = [line for line in given if not line.startswith("#")]
    if not commands:
        return block
    return "\n".join([*given, _SEPARATOR, *(said for line in commands for said in run(line))])
