#!/usr/bin/env bash
# Measures how fast records can be sent: kafka-producer-perf-test.sh --help
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/kafkalite.sh"

kafkalite producer-perf-test "$@"
