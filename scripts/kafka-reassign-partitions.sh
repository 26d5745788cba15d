#!/usr/bin/env bash
# Moves partitions to other brokers: kafka-reassign-partitions.sh --help
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/kafkalite.sh"

kafkalite reassign-partitions "$@"
