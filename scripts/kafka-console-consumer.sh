#!/usr/bin/env bash
# Prints the records of topics: kafka-console-consumer.sh --help
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/kafkalite.sh"

kafkalite console-consumer "$@"
