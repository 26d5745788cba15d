#!/usr/bin/env bash
# Installs what the tests need, a real ZooKeeper and a browser included, and runs them:
# test.sh [PYTEST-ARGUMENT...]
#
# Where one of these cannot be installed, its tests are left out and named; with CI=true that is a
# failure.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/environment.sh"
source "$(dirname "${BASH_SOURCE[0]}")/lib/debian_package.sh"

# Whether the tests can run Apache ZooKeeper.
has_zookeeper() {
    [ -e /usr/share/java/zookeeper.jar ] && command -v java >/dev/null
}

# Whether there is a browser that tests can drive.
has_browser() {
    command -v chromium || command -v chromium-browser || command -v google-chrome
} >/dev/null

install_kafkalite dev
if ! has_zookeeper; then
    echo "Installing Debian's package zookeeper"
    if ! reason="$(install_debian_package zookeeper)"; then
        [ "${CI:-}" != true ] || fail "The tests need Apache ZooKeeper, which cannot be installed: $reason."
        echo "Apache ZooKeeper cannot be installed: $reason. What needs it is left out:" \
            "the tests marked 'zookeeper', shown as skipped below." >&2
    fi
fi
if ! has_browser; then
    echo "Installing Debian's package chromium"
    if ! reason="$(install_debian_package chromium)"; then
        [ "${CI:-}" != true ] || fail "The tests need Chromium, which cannot be installed: $reason."
        echo "Chromium cannot be installed: $reason. The tests in a browser are left out." >&2
    fi
fi
cd "$ROOT"
exec .venv/bin/python -m pytest "$@"
