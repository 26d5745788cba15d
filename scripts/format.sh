#!/usr/bin/env bash
# Formats the code, and mends what the linter can mend.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/environment.sh"

install_kafkalite dev
cd "$ROOT"
.venv/bin/ruff check --fix-only --quiet .
.venv/bin/ruff format .
