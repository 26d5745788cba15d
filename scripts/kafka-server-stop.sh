#!/usr/bin/env bash
# Ends a broker cleanly: kafka-server-stop.sh [FILE] [--override key=value]...
#
# It is the broker whose log.dirs the settings name; without FILE, this repository's
# configs/server.properties, started from its top.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/kafkalite.sh"

[ $# -gt 0 ] || cd "$KAFKALITE_ROOT"
kafkalite server stop "$@"
