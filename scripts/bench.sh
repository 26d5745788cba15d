#!/usr/bin/env bash
# Runs the benchmarks and prints their table: bench.sh [CASE...] [--quick] [--json FILE]; see --help.
#
# The load of two cases is wrk, Debian's package; where it cannot be installed they are left out.
# The case `peers` runs only when it is named: it fetches Apache Kafka with Maven and its Python
# clients from PyPI; so does `http-clients`, which measures other projects.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/environment.sh"
source "$(dirname "${BASH_SOURCE[0]}")/lib/debian_package.sh"

extras=dev
for argument in "$@"; do
    case "$argument" in peers) extras=dev,bench ;; esac
done
install_kafkalite "$extras"
if ! command -v wrk >/dev/null; then
    echo "Installing Debian's package wrk" >&2
    if ! reason="$(install_debian_package wrk)"; then
        echo "wrk cannot be installed: $reason. The cases that need it are left out." >&2
    fi
fi
cd "$ROOT"
exec .venv/bin/python -m benchmarks "$@"
