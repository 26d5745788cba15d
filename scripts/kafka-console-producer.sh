#!/usr/bin/env bash
# Sends the lines of standard input to a topic: kafka-console-producer.sh --help
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/kafkalite.sh"

kafkalite console-producer "$@"
