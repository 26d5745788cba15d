#!/usr/bin/env bash
# Creates, lists, describes, alters and deletes topics: kafka-topics.sh --help
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/kafkalite.sh"

kafkalite topics "$@"
