#!/usr/bin/env bash
# Measures how fast records can be read: kafka-consumer-perf-test.sh --help
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/kafkalite.sh"

kafkalite consumer-perf-test "$@"
