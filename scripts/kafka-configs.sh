#!/usr/bin/env bash
# Describes and alters the settings of topics and brokers: kafka-configs.sh --help
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/kafkalite.sh"

kafkalite configs "$@"
