#!/usr/bin/env bash
# Prints what brokers keep in their log directories: kafka-log-dirs.sh --help
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/kafkalite.sh"

kafkalite log-dirs "$@"
