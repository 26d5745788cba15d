#!/usr/bin/env bash
# Lists, describes and deletes consumer groups, and moves their offsets: kafka-consumer-groups.sh --help
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/kafkalite.sh"

kafkalite consumer-groups "$@"
