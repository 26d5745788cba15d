#!/usr/bin/env bash
# Simulates whole clusters, a seed each, on all cores: ./scripts/simulate.sh --seeds 1000 --first 1
# A failure prints its seed and what led to it; ./scripts/simulate.sh --first SEED --trace shows all.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON="${PYTHON:-.venv/bin/python}"
[ -x "$PYTHON" ] || PYTHON=python
exec "$PYTHON" -m tests.simulation "$@"
