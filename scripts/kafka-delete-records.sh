#!/usr/bin/env bash
# Deletes the oldest records of partitions: kafka-delete-records.sh --help
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/kafkalite.sh"

kafkalite delete-records "$@"
