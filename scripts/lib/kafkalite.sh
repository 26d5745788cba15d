# Sourced by the scripts: where this repository is, and how to run kafkalite from it.

# What the user typed, for help and mistakes.
typed_as="$(basename "$0")"
KAFKALITE_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"

# Runs `kafkalite "$@"` in place of the script: with this repository's .venv, or else with a
# python3 that has the package. -P: what lies in the working directory must not be imported.
kafkalite() {
    local python="$KAFKALITE_ROOT/.venv/bin/python"
    if [ ! -x "$KAFKALITE_ROOT/.venv/bin/kafkalite" ]; then
        python=python3
        if ! "$python" -P -c 'import importlib.metadata as m; m.version("kafkalite")' 2>/dev/null; then
            echo "kafkalite is not installed: run $KAFKALITE_ROOT/scripts/quickstart.sh, or" \
                "'pip install $KAFKALITE_ROOT' with Python 3.11 or later." >&2
            exit 1
        fi
    fi
    _KAFKALITE_TYPED_AS="$typed_as" exec "$python" -P -m kafkalite.cli.main "$@"
}
