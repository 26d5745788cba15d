#!/usr/bin/env bash
# Writes the generated pages of docs/reference/ anew; a test fails when one is stale.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/environment.sh"

# render MODULE PAGE. Written beside the page first: a renderer that fails must not leave an empty one.
render() {
    .venv/bin/python -m "$1" >"$2.new"
    mv "$2.new" "$2"
}

install_kafkalite use
cd "$ROOT"
render kafkalite.config.render docs/reference/configuration.md
render kafkalite.api.errors_page docs/reference/errors.md
