#!/usr/bin/env bash
# Runs a broker: kafka-server-start.sh [-daemon] FILE [--override key=value]...
#
# In the foreground until Ctrl-C or SIGTERM; with -daemon in the background, and back once it is ready.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/kafkalite.sh"

if [ $# -lt 1 ]; then
    echo "USAGE: kafka-server-start.sh [-daemon] server.properties [--override property=value]*" >&2
    exit 1
fi
kafkalite server start "$@"
