#!/usr/bin/env bash
# Installs what the tests need, a real ZooKeeper included, and runs them: test.sh [PYTEST-ARGUMENT...]
#
# Where the real ZooKeeper cannot be installed, its tests are left out and named; with CI=true that
# is a failure.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/environment.sh"
source "$(dirname "${BASH_SOURCE[0]}")/lib/debian_package.sh"

# Whether the tests can run Apache ZooKeeper.
has_zookeeper() {
    [ -e /usr/share/java/zookeeper.jar ] && command -v java >/dev/null
}

install_kafkalite dev
if ! has_zookeeper; then
    echo "Installing Debian's package zookeeper"
    if ! reason="$(install_debian_package zookeeper)"; then
        [ "${CI:-}" != true ] || fail "The tests need Apache ZooKeeper, which cannot be installed: $reason."
        echo "Apache ZooKeeper cannot be installed: $reason. What needs it is left out:" \
            "the tests marked 'zookeeper', shown as skipped below." >&2
    fi
fi
cd "$ROOT"
exec .venv/bin/python -m pytest "$@"
