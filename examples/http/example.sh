#!/usr/bin/env bash
# Produce, consume in a group, and tail a topic, with curl alone. Answers are printed as they came.
#
#   example.sh produce BASE_URL TOPIC
#   example.sh consume BASE_URL TOPIC GROUP
#   example.sh tail    BASE_URL TOPIC
set -euo pipefail

v2='Content-Type: application/vnd.kafka.v2+json'

# curl that fails where the broker refuses, and shows what the broker says.
ask() {
    local answer exit_code=0
    answer="$(curl --silent --show-error --fail-with-body "$@")" || exit_code=$?
    if [ -n "$answer" ]; then
        echo "$answer" >&"$((exit_code == 0 ? 1 : 2))"
    fi
    return "$exit_code"
}

produce() {
    ask "$base/v1/topics/$topic/records" -H 'Content-Type: application/json' -d '{"records": [
        {"key": "UA", "value": {"flight": 1545, "dest": "IAH"}},
        {"key": "AA", "value": {"flight": 1141, "dest": "MIA"}},
        {"key": "B6", "value": {"flight": 725, "dest": "BQN"}}]}'
}

# Reads what the group has not read yet, until there is nothing more.
consume() {
    local me records name="curl-$$"
    me="$base/consumers/$group/instances/$name"
    ask "$base/consumers/$group" -H "$v2" -d "{\"name\": \"$name\", \"format\": \"json\",
        \"auto.offset.reset\": \"earliest\", \"enable.auto.commit\": false}" >&2
    # Whatever happens: leave the group at once, so that others get the partitions.
    trap 'curl --silent --request DELETE "'"$me"'" >/dev/null' EXIT
    ask "$me/subscription" -H "$v2" -d "{\"topics\": [\"$topic\"]}"
    while true; do
        records="$(ask "$me/records?timeout=5000" -H 'Accept: application/vnd.kafka.json.v2+json')"
        [ "$records" != '[]' ] || break
        echo "$records"
        ask --request POST "$me/offsets" -H "$v2" # commits all that was delivered
    done
}

# Shows new records, one a line, until it is interrupted.
tail() {
    curl --silent --show-error --fail-with-body --no-buffer "$base/v1/topics/$topic/stream" \
        -H 'Accept: application/x-ndjson'
}

if [ $# -lt 3 ] || ! [[ "$1" =~ ^(produce|consume|tail)$ ]] || [ "$1 ${4:-}" = 'consume ' ]; then
    sed -n '4,6s/^# *//p' "$0" >&2
    exit 2
fi
base="${2%/}" topic="$3" group="${4:-}"
"$1"
