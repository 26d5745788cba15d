#!/usr/bin/env bash
# Ends the embedded ZooKeeper: zookeeper-server-stop.sh [FILE]
#
# It is the server whose dataDir FILE names; without FILE, the one that zkstart.sh starts.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/kafkalite.sh"

[ $# -gt 0 ] || cd "$KAFKALITE_ROOT"
kafkalite zookeeper stop "$@"
