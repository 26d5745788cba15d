#!/usr/bin/env bash
# Clusters, topics and a stream of records the way of REST Proxy's version 3, with curl alone.
#
#   rest-v3.sh topics  BASE_URL
#   rest-v3.sh produce BASE_URL TOPIC    a record of each line of the standard input, which is JSON
set -euo pipefail

# curl that fails where the broker refuses, and shows what the broker says.
ask() {
    local answer exit_code=0
    answer="$(curl --silent --show-error --fail-with-body "$@")" || exit_code=$?
    if [ -n "$answer" ]; then
        echo "$answer" >&"$((exit_code == 0 ? 1 : 2))"
    fi
    return "$exit_code"
}

# The URL of the cluster that the broker is of: all else is below it.
cluster() {
    local clusters id
    clusters="$(ask "$base/v3/clusters")" || return
    id="${clusters#*'"cluster_id":"'}"
    echo "$base/v3/clusters/${id%%'"'*}"
}

topics() {
    local url
    url="$(cluster)"
    ask "$url/topics"
}

# Sends all records on one connection, while they come. Each is answered by a line, which curl
# shows when a later one has come; `--upload-file .` shows it at once, but keeps a core busy.
produce() {
    local url line
    url="$(cluster)"
    while IFS= read -r line || [ -n "$line" ]; do
        printf '{"value":{"type":"JSON","data":%s}}\n' "$line"
    done | curl --silent --show-error --fail-with-body --no-buffer --request POST --upload-file - \
        "$url/topics/$topic/records" -H 'Content-Type: application/json' | show_reports
}

# Prints the reports of records; those of records that are not stored to the standard error. The
# status of the whole answer does not tell of them.
show_reports() {
    local report is_stored=true
    while IFS= read -r report || [ -n "$report" ]; do
        report="${report%$'\r'}"
        if [[ "$report" == '{"error_code":200,'* ]]; then
            echo "$report"
        else
            echo "$report" >&2
            is_stored=false
        fi
    done
    [ "$is_stored" = true ]
}

if ! [[ "$#:${1:-}" =~ ^(2:topics|3:produce)$ ]]; then
    sed -n '4,5s/^# *//p' "$0" >&2
    exit 2
fi
base="${2%/}" topic="${3:-}"
"$1"
