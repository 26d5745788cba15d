#!/usr/bin/env bash
# Installs what the tests need, a real ZooKeeper, a browser and what examples are written in
# included, and runs them: test.sh [PYTEST-ARGUMENT...]
#
# Where one of these cannot be installed, its tests are left out and named; with CI=true that is a
# failure. Examples in languages that KAFKALITE_EXAMPLES_LEFT_OUT names (of curl, javascript,
# typescript, go and java, with commas between them) are left out anyway.
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

# Whether the examples of a language can be run: has_language NAME
has_language() {
    case "$1" in
        curl) command -v curl ;;
        javascript) command -v node ;;
        go) command -v go ;;
        typescript) command -v npm ;;
        java) command -v java && java --list-modules | grep '^jdk.compiler' ;;
    esac
} >/dev/null 2>&1

# Installs what the examples of a language need, or leaves them out: want_language NAME PACKAGE
want_language() {
    local name="$1" package="$2" reason
    case ",${KAFKALITE_EXAMPLES_LEFT_OUT:-}," in *",$name,"*) return ;; esac
    if has_language "$name"; then return; fi
    echo "Installing Debian's package $package"
    if ! reason="$(install_debian_package "$package")"; then
        [ "${CI:-}" != true ] || fail "The tests need $package, which cannot be installed: $reason."
        echo "$package cannot be installed: $reason. The examples in $name are left out." >&2
        export KAFKALITE_EXAMPLES_LEFT_OUT="${KAFKALITE_EXAMPLES_LEFT_OUT:-},$name"
    fi
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
if ! has_browser; then
    echo "Installing Debian's package chromium"
    if ! reason="$(install_debian_package chromium)"; then
        [ "${CI:-}" != true ] || fail "The tests need Chromium, which cannot be installed: $reason."
        echo "Chromium cannot be installed: $reason. The tests in a browser are left out." >&2
    fi
fi
want_language curl curl
want_language javascript nodejs
want_language typescript npm
want_language go golang-go
want_language java default-jdk-headless
cd "$ROOT"
exec .venv/bin/python -m pytest "$@"
