"""The layers of docs/architecture.md hold: contracts in pyproject.toml, run by import-linter."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_contracts_are_kept() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run(
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_package_says_what_it_is() -> None:
    """A folder that is opened explains itself by its first line."""
    silent = [
        str(package.relative_to(ROOT))
        for package in sorted((ROOT / "kafkalite").rglob("*.py"))
        if not package.read_text(encoding="utf-8").startswith('"""')
    ]
    assert silent == []
