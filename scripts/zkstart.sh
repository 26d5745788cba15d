#!/usr/bin/env bash
# The embedded ZooKeeper in the background: zkstart.sh [start|status|stop] [FILE]
#
# Without FILE it is this repository's configs/zookeeper.properties with its data below this
# repository, wherever the command is typed. In a FILE of yours a relative dataDir is relative to
# the working directory, as in ZooKeeper's own.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/kafkalite.sh"

usage="Usage: zkstart.sh [start|status|stop] [FILE]"
action="${1:-start}"
case "$action" in
    start) command=(zookeeper start -daemon) ;;
    status | stop) command=(zookeeper "$action") ;;
    -h | --help)
        echo "$usage"
        echo
        echo "Starts (which is the default), asks for or stops the embedded ZooKeeper that FILE describes;"
        echo "without FILE, the one of $KAFKALITE_ROOT/configs/zookeeper.properties."
        exit 0
        ;;
    *)
        echo "$usage" >&2
        exit 1
        ;;
esac
typed_as="zkstart.sh $action"
if [ $# -lt 2 ]; then
    cd "$KAFKALITE_ROOT"
    kafkalite "${command[@]}"
else
    kafkalite "${command[@]}" "${@:2}"
fi
