#!/usr/bin/env bash
# Writes the generated pages of docs/ anew; a test fails when one is stale.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/environment.sh"

install_kafkalite use
cd "$ROOT"
# Written beside the page first: a generator that fails must not leave an empty page.
page=docs/reference/configuration.md
.venv/bin/python -m kafkalite.config.render >"$page.new"
mv "$page.new" "$page"
