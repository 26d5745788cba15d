#!/usr/bin/env bash
# Fails unless the unit and property tests reach the branches of the packages that need no network:
# coverage.sh [PYTEST-ARGUMENT...]. What is measured, and the gate: [tool.coverage] in pyproject.toml.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/environment.sh"

install_kafkalite dev
cd "$ROOT"
.venv/bin/coverage run -m pytest --quiet tests/unit tests/property "$@"
.venv/bin/coverage report
