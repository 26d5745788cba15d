#!/usr/bin/env bash
# Prints what log segments and index files hold: kafka-dump-log.sh --help
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/kafkalite.sh"

kafkalite dump-log "$@"
