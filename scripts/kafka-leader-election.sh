#!/usr/bin/env bash
# Has the controller elect leaders of partitions: kafka-leader-election.sh --help
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/kafkalite.sh"

kafkalite leader-election "$@"
