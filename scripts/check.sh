#!/usr/bin/env bash
# Everything that is checked without running the code: format, lint, types, layers, spelling.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/environment.sh"

install_kafkalite dev
cd "$ROOT"
.venv/bin/ruff format --check .
.venv/bin/ruff check .
.venv/bin/mypy
.venv/bin/lint-imports
.venv/bin/codespell
if command -v shellcheck >/dev/null; then
    git ls-files -z '*.sh' .ci/run | xargs -0 shellcheck --external-sources
fi
