#!/usr/bin/env bash
# From nothing to a running log: makes .venv, installs, starts the embedded ZooKeeper and three
# brokers, sends a day of departures through them, reads it back, shares it between two consumers of
# a group and kills one of them, kills a broker and reads again. See usage() for how to call it.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/environment.sh"

TOPIC=firstTopic
SHARED_TOPIC=sharedTopic
GROUP="quickstart-$$"
DEPARTURES="$ROOT/examples/data/departures-2013-01-01.ndjson"

usage() {
    cat <<'TEXT'
Usage: quickstart.sh [OPTION...]        start, send and read; the cluster is left running
       quickstart.sh --ephemeral        the same in a directory that is removed, and stop
       quickstart.sh stop [--data DIR]  stop the cluster; what it holds stays

  --brokers N         how many brokers, 1 to 9 (3); topics get 2 replicas where there are 2 brokers
  --port N            the first broker's port (9092); the others have the next ones
  --zookeeper-port N  ZooKeeper's port (2181)
  --data DIR          where logs and znodes are kept (data/quickstart of this repository)
TEXT
}

brokers=3
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
        --brokers)
            [[ "${2:-}" =~ ^[1-9]$ ]] || fail "--brokers needs a number from 1 to 9."
            brokers="$2"
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

# Of each topic, also those that come into being because someone writes to them.
replicas=2
[ "$brokers" -gt 1 ] || replicas=1

python="$ROOT/.venv/bin/python"
zookeeper_file="$data/zookeeper.properties"

# Whether the ZooKeeper whose data is in $data is running.
zookeeper_runs() {
    "$python" -P - "$data/zookeeper" <<'PYTHON'
import sys
from pathlib import Path

from kafkalite.zkserver.data_directory import serving_pid

sys.exit(serving_pid(Path(sys.argv[1])) is None)
PYTHON
}

# broker_pid ID: prints the process id of a broker of $data; fails when it is not running.
broker_pid() {
    "$python" -P - "$data/broker-$1" <<'PYTHON'
import sys
from pathlib import Path

from kafkalite.storage.directory_lock import holder_of

pid = holder_of(Path(sys.argv[1]))
sys.exit(1) if pid is None else print(pid)
PYTHON
}

broker_file() {
    echo "$data/server-$1.properties"
}

# Numbers of the brokers that $data is of, running or not.
known_brokers() {
    local file
    for file in "$data"/server-[0-8].properties; do
        [ ! -e "$file" ] || sed -n 's/^broker.id=//p' "$file"
    done
}

# check_port NUMBER OPTION: ends the script unless this user can listen there.
check_port() {
    local reason
    reason="$("$python" -P - "$1" <<'PYTHON'
import errno
import socket
import sys


def taken_by(address):
    """Who listens there, as far as one question tells."""
    try:
        with socket.create_connection(address, 1) as connection:
            connection.settimeout(1)
            # ZooKeeper answers the first four bytes, a broker the whole.
            connection.sendall(b"srvr /v1/cluster HTTP/1.0\r\n\r\n")
            answer = connection.recv(200)
    except OSError:
        answer = b""
    if b"ookeeper version" in answer:
        return "a ZooKeeper (what started it stops it: scripts/quickstart.sh stop, or scripts/zkstart.sh stop)"
    if answer.startswith(b"HTTP/"):
        return "a server of HTTP (scripts/kafka-server-stop.sh ends brokers)"
    return "another program"


address = ("127.0.0.1", int(sys.argv[1]))
with socket.socket() as probe:
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind(address)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        print(f"is taken by {taken_by(address)}" if taken else f"cannot be used: {error.strerror}")
PYTHON
)"
    [ -z "$reason" ] || fail "Port $1 $reason; choose another with $2 N."
}

# What clients are told of the brokers: all of them, separated by commas.
bootstrap() {
    local id addresses=""
    for ((id = 0; id < brokers; id++)); do
        addresses+=",localhost:$((port + id))"
    done
    echo "${addresses#,}"
}

# The number of records that the topic holds; 0 when it does not exist.
records_held() {
    "$ROOT/scripts/kafka-get-offsets.sh" --bootstrap-server "$(bootstrap)" --topic "$TOPIC" |
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

# Starts those of the brokers that are not running, all at once.
start_brokers() {
    local id pid starting=()
    if [ -e "$(broker_file 0)" ] && broker_pid 0 >/dev/null; then
        port="$(sed -n 's|^listeners=.*:||p' "$(broker_file 0)")"
    fi
    for ((id = 0; id < brokers; id++)); do
        if broker_pid "$id" >/dev/null; then
            echo "Broker $id is running already, at port $((port + id))."
            continue
        fi
        check_port "$((port + id))" --port
        write_broker_file "$id"
    done
    for ((id = 0; id < brokers; id++)); do
        if ! broker_pid "$id" >/dev/null; then
            "$ROOT/scripts/kafka-server-start.sh" -daemon "$(broker_file "$id")" &
            starting+=($!)
            started=true
        fi
    done
    for pid in "${starting[@]}"; do
        wait "$pid" || fail "A broker did not start (see above)."
    done
}

write_broker_file() {
    cat >"$(broker_file "$1")" <<TEXT
# Written by scripts/quickstart.sh
broker.id=$1
listeners=HTTP://127.0.0.1:$((port + $1))
advertised.listeners=HTTP://localhost:$((port + $1))
log.dirs=$data/broker-$1
zookeeper.connect=localhost:$zookeeper_port
default.replication.factor=$replicas
TEXT
}

stop_cluster() {
    local id found=false
    for id in $(known_brokers); do
        if broker_pid "$id" >/dev/null; then
            "$ROOT/scripts/kafka-server-stop.sh" "$(broker_file "$id")" || true
            found=true
        fi
    done
    if zookeeper_runs; then
        "$ROOT/scripts/zkstart.sh" stop "$zookeeper_file"
        found=true
    fi
    [ "$found" = true ] || echo "Nothing to stop: no cluster of $data is running."
}

# read_topic N: reads the topic from the beginning until N records came; prints how many did.
read_topic() {
    "$ROOT/scripts/kafka-console-consumer.sh" --bootstrap-server "$(bootstrap)" --topic "$TOPIC" \
        --from-beginning --max-messages "$1" --timeout-ms 30000 \
        2>"$data/console-consumer.log" | wc -l || {
        cat "$data/console-consumer.log" >&2
        fail "Reading $TOPIC back failed (see above)."
    }
}

# create_topic TOPIC: with two partitions, of two replicas each where there are so many brokers.
create_topic() {
    "$ROOT/scripts/kafka-topics.sh" --create --if-not-exists --zookeeper "localhost:$zookeeper_port" \
        --partitions 2 --replication-factor "$replicas" --topic "$1"
}

# send_departures TOPIC: keyed by carrier.
send_departures() {
    awk -F '"carrier":"' '{ split($2, rest, "\""); print rest[1] "\t" $0 }' "$DEPARTURES" |
        "$ROOT/scripts/kafka-console-producer.sh" --broker-list "$(bootstrap)" --topic "$1" \
            --property parse.key=true
}

# Sends the departures and reads the topic back; sets `sent`, `held` and `read_back`.
send_and_read() {
    create_topic "$TOPIC"
    held="$(records_held)"
    echo "Sending the departures of 1 January 2013 to $TOPIC, keyed by carrier"
    send_departures "$TOPIC"
    sent="$(($(records_held) - held))"
    echo "Reading $TOPIC from the beginning"
    read_back="$(read_topic "$((held + sent))")"
}

# Starts a consumer of the group in the background, and adds its process id to `consumers`.
start_consumer() {
    "$ROOT/scripts/kafka-console-consumer.sh" --bootstrap-server "$(bootstrap)" \
        --topic "$SHARED_TOPIC" --group "$GROUP" \
        --consumer-property session.timeout.ms=6000 \
        --consumer-property auto.commit.interval.ms=500 \
        >"$data/consumer-$1.out" 2>"$data/consumer-$1.log" </dev/null &
    consumers+=($!)
}

# stop_consumer SIGNAL INDEX: ends one, if it still runs.
stop_consumer() {
    local pid="${consumers[$2]}"
    [ -n "$pid" ] || return 0
    kill -s "$1" "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    consumers[$2]=""
}

# describe_group [OPTION]: how far the group is, or what OPTION asks for.
describe_group() {
    "$ROOT/scripts/kafka-consumer-groups.sh" --bootstrap-server "$(bootstrap)" --describe "$@" \
        --group "$GROUP" 2>/dev/null
}

count_lines() {
    cat "$@" | wc -l
}

# wait_for WHAT COMMAND...: until the command succeeds; ends the script when it never does.
wait_for() {
    local what="$1" deadline=$((SECONDS + 60))
    shift
    until "$@"; do
        if [ "$SECONDS" -ge "$deadline" ]; then
            cat "$data"/consumer-*.log >&2
            fail "$what: that is not right."
        fi
        sleep 0.1
    done
}

# Whether each of two members has one partition.
have_shared() {
    describe_group "--members" | awk '$NF == 1 { members++ } END { exit members != 2 }'
}

# Whether the group has committed all that was sent.
has_committed() {
    describe_group | awk '$2 == topic { rows++; lag += $6 != "0" }
        END { exit !(rows == 2 && lag == 0) }' topic="$SHARED_TOPIC"
}

# have_read N FILE...: whether so many records came out of consumers.
have_read() {
    local count="$1"
    shift
    [ "$(count_lines "$@")" -ge "$count" ]
}

# Shares a topic between two consumers of one group, kills one, and has the other read on alone.
share_and_take_over() {
    local expected first second alone
    expected="$(wc -l <"$DEPARTURES")"
    create_topic "$SHARED_TOPIC"
    echo
    echo "Starting two consumers of group $GROUP on $SHARED_TOPIC, and sending the departures to it"
    start_consumer 1
    start_consumer 2
    wait_for "The two consumers do not share the partitions" have_shared
    send_departures "$SHARED_TOPIC"
    wait_for "Not all departures were read" \
        have_read "$expected" "$data/consumer-1.out" "$data/consumer-2.out"
    wait_for "The offsets were not committed" has_committed
    describe_group
    first="$(count_lines "$data/consumer-1.out")"
    second="$(count_lines "$data/consumer-2.out")"
    echo
    echo "One consumer got $first, the other $second departures: each those of its own partition."
    if [ "$((first + second))" -ne "$expected" ] || [ "$first" -eq 0 ] || [ "$second" -eq 0 ]; then
        fail "Of $expected departures: that is not right."
    fi
    stop_consumer KILL 0
    echo "Killed the first (kill -9), and sending the departures once more"
    send_departures "$SHARED_TOPIC"
    wait_for "The second consumer does not take over" \
        have_read "$((second + expected))" "$data/consumer-2.out"
    alone="$(($(count_lines "$data/consumer-2.out") - second))"
    if [ "$alone" -gt "$expected" ]; then
        # A machine that stalls for longer than the session timeout: what was not committed comes again.
        echo "The second took over after the session timeout, and got all, $((alone - expected)) of them twice."
    else
        echo "The second took over after the session timeout, and got all $alone."
    fi
    stop_consumer TERM 1
}

describe_topic() {
    "$ROOT/scripts/kafka-topics.sh" --describe --bootstrap-server "$(bootstrap)" --topic "$TOPIC"
}

# Kills the broker that leads partition 0, reads the topic again, and starts the broker again.
kill_and_read() {
    local description victim pid survived
    description="$(describe_topic)"
    echo
    echo "$description"
    if [[ "$description" == *"ReplicationFactor: 1"* ]]; then
        echo "$TOPIC was made with one replica; to see a broker die, begin anew with --data DIR."
        return
    fi
    victim="$(sed -n 's/.*Partition: 0\tLeader: \([0-9]*\).*/\1/p' <<<"$description")"
    pid="$(broker_pid "$victim")" || fail "Broker $victim, which leads partition 0, is not running."
    kill -9 "$pid"
    echo
    echo "Killed broker $victim (kill -9), the leader of partition 0; reading $TOPIC again"
    survived="$(read_topic "$((held + sent))")"
    describe_topic
    [ "$survived" -eq "$((held + sent))" ] ||
        fail "Only $survived of $((held + sent)) records are left: that is not right."
    echo "All $survived records are still there. Starting broker $victim again"
    "$ROOT/scripts/kafka-server-start.sh" -daemon "$(broker_file "$victim")"
}

start_cluster() {
    install_kafkalite use
    if ! mkdir -p "$data" 2>/dev/null || [ ! -w "$data" ]; then
        fail "No permission to write to $data; choose another directory with --data DIR."
    fi
    start_zookeeper
    start_brokers
}

if [ "$action" = stop ]; then
    [ "$ephemeral" = false ] || fail "--ephemeral stops by itself."
    [ -x "$python" ] || fail "Nothing to stop: kafkalite was never installed here."
    stop_cluster
    exit 0
fi

# A run that fails leaves nothing running that it started; an ephemeral one leaves nothing at all.
started=false
consumers=()
clean_up() {
    local exit_code=$? index
    for index in "${!consumers[@]}"; do
        stop_consumer KILL "$index"
    done
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
fi
trap clean_up EXIT

start_cluster
send_and_read
expected="$(wc -l <"$DEPARTURES")"
if [ "$sent" -ne "$expected" ] || [ "$read_back" -ne "$((held + sent))" ]; then
    echo "$sent departures went in, $read_back records came out." >&2
    fail "That is not right: $expected should have gone in, and $((held + expected)) should have come out."
fi
share_and_take_over
[ "$brokers" -eq 1 ] || kill_and_read

echo
echo "$sent departures went in, $read_back records came out$([ "$held" -eq 0 ] || echo " ($held were there before)")."
urls="http://localhost:$port"
[ "$brokers" -eq 1 ] || urls+=" (and at the ports up to $((port + brokers - 1)): any broker answers)"
if [ "$ephemeral" = true ]; then
    echo "The HTTP API was at $urls."
else
    echo "The HTTP API is at $urls; its documentation: http://localhost:$port/docs"
    stop_command="./scripts/quickstart.sh stop"
    [ "$data" = "$ROOT/data/quickstart" ] || stop_command+=" --data $data"
    echo "The cluster is left running; end it with $stop_command"
fi
