-- For wrk: posts the body in a file over and over, and ends with a line of JSON.
-- Arguments: the file, its content type.

function init(arguments)
    local file = assert(io.open(arguments[1], "rb"))
    wrk.method = "POST"
    wrk.body = file:read("*a")
    wrk.headers["content-type"] = arguments[2]
    file:close()
end

function done(summary, latency, requests)
    local errors = summary.errors
    print(string.format(
        '{"requests":%d,"microseconds":%d,"bad_answers":%d,"broken":%d,"median_us":%d,"p99_us":%d}',
        summary.requests, summary.duration, errors.status,
        errors.connect + errors.read + errors.write + errors.timeout,
        latency:percentile(50), latency:percentile(99)))
end
