"""`python -m benchmarks [CASE...]`: runs cases and prints their table."""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.cases import (
    acks_all,
    failover,
    footprint,
    groups,
    http_clients,
    json_produce,
    peers,
    raw_batches,
    readers,
    replicated,
    rest_produce,
    stalls,
)
from benchmarks.connection import WrongAnswerError
from benchmarks.cores import choose_cores, on_core
from benchmarks.drawing import draw_comparison
from benchmarks.effort import FULL, QUICK
from benchmarks.machine import describe_machine
from benchmarks.row import Row
from benchmarks.table import render_table
from benchmarks.testbed import Testbed
from tests.support.zookeeper import EmbeddedZooKeeper

_CASES: Final = {
    module.CASE.name: module.CASE
    for module in (
        json_produce,
        rest_produce,
        acks_all,
        raw_batches,
        footprint,
        stalls,
        readers,
        replicated,
        failover,
        groups,
        http_clients,
        peers,
    )
}
_ON_DISK: Final = Path("/var/tmp")
"""Unlike /tmp it is not kept in memory."""


def main() -> int:
    """Exit code 1 when a server answers wrongly; a goal that is missed is only shown."""
    arguments = _parse_arguments()
    parent = arguments.directory or (_ON_DISK if _ON_DISK.is_dir() else None)
    cores = choose_cores()
    if cores.server == cores.load:
        print("There is one core only: server and load share it", file=sys.stderr)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="kafkalite-bench-", dir=parent) as name,
            on_core(cores.load),
            EmbeddedZooKeeper(Path(name) / "zookeeper", tick_ms=2000) as zookeeper,
        ):
            machine = describe_machine(Path(name), cores)
            effort = QUICK if arguments.quick else FULL
            testbed = Testbed(Path(name), zookeeper, cores, effort)
            rows = _run(arguments.case or _cases_by_default(), testbed)
    except (WrongAnswerError, OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    print(render_table(rows), "", *machine, sep="\n")
    if arguments.json is not None:
        document = {"machine": machine, "rows": [row.document() for row in rows]}
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(document)) + b"\n")
    if arguments.svg is not None:
        compared = [row for row in rows if row.case == peers.CASE.name]
        arguments.svg.write_text(draw_comparison(compared, machine))
    return 0


def _cases_by_default() -> list[str]:
    return [name for name, case in _CASES.items() if case.is_by_default]


def _run(names: Sequence[str], testbed: Testbed) -> list[Row]:
    rows: list[Row] = []
    for name in names:
        case = _CASES[name]
        missing = case.why_not()
        if missing is not None:
            print(f"{name} is left out: {missing}", file=sys.stderr)
            continue
        started = time.monotonic()
        rows += case.run(testbed)
        print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    return rows


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.sh", allow_abbrev=False, description=__doc__)
    known = ", ".join(_CASES)
    parser.add_argument(
        "case", nargs="*", help=f"of {known}; default: all but http-clients and peers"
    )
    parser.add_argument("--quick", action="store_true", help="less of everything, for a first look")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all values to FILE, too")
    parser.add_argument(
        "--svg", type=Path, metavar="FILE", help="draw what was compared with peers into FILE"
    )
    parser.add_argument(
        "--directory", type=Path, help=f"where logs are put meanwhile; default: {_ON_DISK}"
    )
    arguments = parser.parse_args()
    for name in arguments.case:
        if name not in _CASES:
            parser.error(f"there is no case {name}; there are {known}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
