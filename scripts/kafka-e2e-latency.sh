#!/usr/bin/env bash
# Measures the time from sending a record until it has been read: kafka-e2e-latency.sh --help
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/kafkalite.sh"

kafkalite e2e-latency "$@"
