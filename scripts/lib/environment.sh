# Sourced by the scripts that need this repository's .venv: makes it, installs into it.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"

# Says why the script ends, and ends it.
fail() {
    echo "$*" >&2
    exit 1
}

# Prints the name of a Python that is new enough.
find_python() {
    local candidate
    for candidate in python3 python3.14 python3.13 python3.12 python3.11 python; do
        if command -v "$candidate" >/dev/null &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

# Makes $ROOT/.venv with kafkalite in it, or brings it up to date: install_kafkalite use|dev
# `dev` adds what the tests and checks need. What is there is left as it is unless pyproject.toml
# has changed since.
install_kafkalite() {
    local kind="$1" venv="$ROOT/.venv" python what="$ROOT"
    [ "$kind" = use ] || what="${ROOT}[$kind]"
    if [ -e "$venv/.installed-$kind" ] && [ ! "$ROOT/pyproject.toml" -nt "$venv/.installed-$kind" ] &&
        "$venv/bin/python" -c '' 2>/dev/null; then
        return
    fi
    if ! "$venv/bin/python" -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python="$(find_python)" ||
            fail "kafkalite needs Python 3.11 or later, and there is none on the PATH."
        "$python" -c 'import venv, ensurepip' 2>/dev/null ||
            fail "Python's venv module is missing; install it (Debian, Ubuntu: apt-get install python3-venv)."
        [ -w "$ROOT" ] || fail "Cannot make $venv: no permission to write to $ROOT."
        echo "Making $venv"
        "$python" -m venv --clear "$venv" || fail "Cannot make $venv (see above)."
    fi
    [ -w "$venv" ] || fail "Cannot install: no permission to write to $venv."
    echo "Installing kafkalite into $venv"
    PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore "$venv/bin/python" -m pip install \
        --quiet --editable "$what" ||
        fail "Installing failed (see above); packages come from PyPI, or from where pip is told to look."
    touch "$venv/.installed-use" "$venv/.installed-$kind"
}
