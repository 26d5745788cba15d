#!/usr/bin/env bash
# From nothing to a running log: makes .venv, installs, starts the embedded ZooKeeper and a broker,
# sends a day of departures through them and reads it back. See usage() for how to call it.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/environment.sh"

TOPIC=firstTopic
DEPARTURES="$ROOT/examples/data/departures-2013-01-01.ndjson"

usage() {
    cat <<'TEXT'
Usage: quickstart.sh [OPTION...]        start, send and read; the cluster is left running
       quickstart.sh --ephemeral        the same in a directory that is removed, and stop
       quickstart.sh stop [--data DIR]  stop the cluster; what it holds stays

  --port N            the broker's port (9092)
  --zookeeper-port N  ZooKeeper's port (2181)
  --data DIR          where logs and znodes are kept (data/quickstart of this repository)
TEXT
}

port=9092
zookeeper_port=2181
data="$ROOT/data/quickstart"
action=start
ephemeral=false
while [ $# -gt 0 ]; do
    case "$1" in
        start | stop) action="$1" ;;
        --ephemeral) ephemeral=true ;;
        --port | --zookeeper-port)
            if ! [[ "${2:-}" =~ ^[1-9][0-9]{0,4}$ ]] || [ "$2" -gt 65535 ]; then
                fail "$1 needs a number from 1 to 65535."
            fi
            if [ "$1" = --port ]; then port="$2"; else zookeeper_port="$2"; fi
            shift
            ;;
        --data)
            [ -n "${2:-}" ] || fail "--data needs a directory."
            case "$2" in
                /*) data="$2" ;;
                *) data="$PWD/$2" ;;
            esac
            shift
            ;;
        -h | --help)
            usage
            exit 0
            ;;
        *)
            echo "There is no option $1." >&2
            usage >&2
            exit 1
            ;;
    esac
    shift
done

python="$ROOT/.venv/bin/python"
zookeeper_file="$data/zookeeper.properties"
broker_file="$data/server.properties"

# Whether the ZooKeeper whose data is in $data is running.
zookeeper_runs() {
    "$python" -P - "$data/zookeeper" <<'PYTHON'
import sys
from pathlib import Path

from kafkalite.zkserver.data_directory import serving_pid

sys.exit(serving_pid(Path(sys.argv[1])) is None)
PYTHON
}

# Whether the broker whose logs are in $data is running.
broker_runs() {
    "$python" -P - "$data/broker-0" <<'PYTHON'
import sys
from pathlib import Path

from kafkalite.storage.directory_lock import holder_of

sys.exit(holder_of(Path(sys.argv[1])) is None)
PYTHON
}

# check_port NUMBER OPTION: ends the script unless this user can listen there.
check_port() {
    local reason
    reason="$("$python" -P - "$1" <<'PYTHON'
import errno
import socket
import sys

with socket.socket() as probe:
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind(("127.0.0.1", int(sys.argv[1])))
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        print("is taken by another program" if taken else f"cannot be used: {error.strerror}")
PYTHON
)"
    [ -z "$reason" ] || fail "Port $1 $reason; choose another with $2 N."
}

# The number of records that the topic holds; 0 when it does not exist.
records_held() {
    "$ROOT/scripts/kafka-get-offsets.sh" --bootstrap-server "localhost:$port" --topic "$TOPIC" |
        awk -F: '{ held += $3 } END { print held + 0 }'
}

start_zookeeper() {
    if zookeeper_runs; then
        zookeeper_port="$(sed -n 's/^clientPort=//p' "$zookeeper_file")"
        echo "ZooKeeper is running already, at port $zookeeper_port."
        return
    fi
    check_port "$zookeeper_port" --zookeeper-port
    cat >"$zookeeper_file" <<TEXT
# Written by scripts/quickstart.sh
dataDir=$data/zookeeper
clientPort=$zookeeper_port
clientPortAddress=127.0.0.1
TEXT
    "$ROOT/scripts/zkstart.sh" start "$zookeeper_file"
    started=true
}

start_broker() {
    if broker_runs; then
        port="$(sed -n 's|^listeners=.*:||p' "$broker_file")"
        echo "The broker is running already, at port $port."
        return
    fi
    check_port "$port" --port
    cat >"$broker_file" <<TEXT
# Written by scripts/quickstart.sh
broker.id=0
listeners=HTTP://127.0.0.1:$port
advertised.listeners=HTTP://localhost:$port
log.dirs=$data/broker-0
zookeeper.connect=localhost:$zookeeper_port
TEXT
    "$ROOT/scripts/kafka-server-start.sh" -daemon "$broker_file"
    started=true
}

stop_cluster() {
    local found=false
    if broker_runs; then
        "$ROOT/scripts/kafka-server-stop.sh" "$broker_file"
        found=true
    fi
    if zookeeper_runs; then
        "$ROOT/scripts/zkstart.sh" stop "$zookeeper_file"
        found=true
    fi
    [ "$found" = true ] || echo "Nothing to stop: no cluster of $data is running."
}

# Sends the departures and reads the topic back; sets `sent`, `held` and `read_back`.
send_and_read() {
    "$ROOT/scripts/kafka-topics.sh" --create --if-not-exists --zookeeper "localhost:$zookeeper_port" \
        --partitions 2 --replication-factor 1 --topic "$TOPIC"
    held="$(records_held)"
    echo "Sending the departures of 1 January 2013 to $TOPIC, keyed by carrier"
    awk -F '"carrier":"' '{ split($2, rest, "\""); print rest[1] "\t" $0 }' "$DEPARTURES" |
        "$ROOT/scripts/kafka-console-producer.sh" --broker-list "localhost:$port" --topic "$TOPIC" \
            --property parse.key=true
    sent="$(($(records_held) - held))"
    echo "Reading $TOPIC from the beginning"
    read_back="$("$ROOT/scripts/kafka-console-consumer.sh" --zookeeper "localhost:$zookeeper_port" \
        --topic "$TOPIC" --from-beginning --max-messages "$((held + sent))" --timeout-ms 30000 \
        2>"$data/console-consumer.log" | wc -l)" || {
        cat "$data/console-consumer.log" >&2
        fail "Reading $TOPIC back failed (see above)."
    }
}

start_cluster() {
    install_kafkalite use
    if ! mkdir -p "$data" 2>/dev/null || [ ! -w "$data" ]; then
        fail "No permission to write to $data; choose another directory with --data DIR."
    fi
    start_zookeeper
    start_broker
}

if [ "$action" = stop ]; then
    [ "$ephemeral" = false ] || fail "--ephemeral stops by itself."
    [ -x "$python" ] || fail "Nothing to stop: kafkalite was never installed here."
    stop_cluster
    exit 0
fi

# A run that fails leaves nothing running that it started; an ephemeral one leaves nothing at all.
started=false
clean_up() {
    local exit_code=$?
    if [ "$started" = true ] && { [ "$ephemeral" = true ] || [ "$exit_code" -ne 0 ]; }; then
        stop_cluster
    fi
    if [ "$ephemeral" = true ]; then
        rm -rf "$data"
    fi
}

if [ "$ephemeral" = true ]; then
    data="$(mktemp -d "${TMPDIR:-/tmp}/kafkalite-quickstart.XXXXXX")" ||
        fail "No permission to write to ${TMPDIR:-/tmp}."
    zookeeper_file="$data/zookeeper.properties"
    broker_file="$data/server.properties"
fi
trap clean_up EXIT

start_cluster
send_and_read

expected="$(wc -l <"$DEPARTURES")"
echo
echo "$sent departures went in, $read_back records came out$([ "$held" -eq 0 ] || echo " ($held were there before)")."
if [ "$sent" -ne "$expected" ] || [ "$read_back" -ne "$((held + sent))" ]; then
    fail "That is not right: $expected should have gone in, and $((held + expected)) should have come out."
fi
if [ "$ephemeral" = true ]; then
    echo "The HTTP API was at http://localhost:$port."
else
    echo "The HTTP API is at http://localhost:$port (its documentation: http://localhost:$port/docs)."
    stop_command="./scripts/quickstart.sh stop"
    [ "$data" = "$ROOT/data/quickstart" ] || stop_command+=" --data $data"
    echo "The cluster is left running; end it with $stop_command"
fi
