#!/usr/bin/env bash
# Runs the embedded ZooKeeper: zookeeper-server-start.sh [-daemon] FILE
#
# In the foreground until Ctrl-C or SIGTERM; with -daemon in the background.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/kafkalite.sh"

if [ $# -lt 1 ]; then
    echo "Usage: zookeeper-server-start.sh [-daemon] zookeeper.properties" >&2
    exit 1
fi
kafkalite zookeeper start "$@"
