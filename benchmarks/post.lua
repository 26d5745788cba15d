-- For wrk: posts one JSON body over and over, and ends with a line of JSON.

function init(arguments)
    wrk.method = "POST"
    wrk.body = arguments[1]
    wrk.headers["content-type"] = "application/json"
end

function done(summary, latency, requests)
    local errors = summary.errors
    print(string.format(
        '{"requests":%d,"microseconds":%d,"bad_answers":%d,"broken":%d,"median_us":%d,"p99_us":%d}',
        summary.requests, summary.duration, errors.status,
        errors.connect + errors.read + errors.write + errors.timeout,
        latency:percentile(50), latency:percentile(99)))
end
