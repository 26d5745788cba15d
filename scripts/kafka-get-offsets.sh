#!/usr/bin/env bash
# Prints the offsets of partitions, now or at a time: kafka-get-offsets.sh --help
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/kafkalite.sh"

kafkalite get-offsets "$@"
