#!/usr/bin/env bash
# Installs what the tests need, a real ZooKeeper included, and runs them: test.sh [PYTEST-ARGUMENT...]
#
# Where the real ZooKeeper cannot be installed, its tests are left out and named; with CI=true that
# is a failure.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/environment.sh"

# Whether the tests can run Apache ZooKeeper.
has_zookeeper() {
    [ -e /usr/share/java/zookeeper.jar ] && command -v java >/dev/null
}

# Installs Debian's package; prints why not when it cannot.
install_zookeeper() {
    local as_root=()
    if ! command -v apt-get >/dev/null; then
        echo "this system has no apt-get"
        return 1
    fi
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
            echo "apt-get needs root, and sudo asks for a password"
            return 1
        fi
        as_root=(sudo -n)
    fi
    local install=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120)
    if ! { "${as_root[@]}" "${install[@]}" update &&
        "${as_root[@]}" "${install[@]}" install -y --no-install-recommends zookeeper; } >&2; then
        echo "apt-get failed (see above)"
        return 1
    fi
}

install_kafkalite dev
if ! has_zookeeper; then
    echo "Installing Debian's package zookeeper"
    if ! reason="$(install_zookeeper)"; then
        [ "${CI:-}" != true ] || fail "The tests need Apache ZooKeeper, which cannot be installed: $reason."
        echo "Apache ZooKeeper cannot be installed: $reason. What needs it is left out:" \
            "the tests marked 'zookeeper', shown as skipped below." >&2
    fi
fi
cd "$ROOT"
exec .venv/bin/python -m pytest "$@"
