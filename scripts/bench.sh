#!/usr/bin/env bash
# Runs the benchmarks and prints their table: bench.sh --help
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/environment.sh"

install_kafkalite dev
cd "$ROOT"
exec .venv/bin/python -m benchmarks "$@"
