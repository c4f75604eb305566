-- wrk's side of the benchmark: cycles through request heads that were written beforehand, and says in one line of JSON
-- what it saw. Arguments after `--`: FILE of heads, each ended by its empty line; DELAY_MS between two hits of a
-- connection (0: as fast as answers come).
local threads = {}

function setup(thread)
    threads[#threads + 1] = thread
end

function init(args)
    local file = assert(io.open(args[1], "rb"))
    local text = file:read("*a")
    file:close()
    heads, at, sent = {}, 0, 0
    for head in text:gmatch(".-\r\n\r\n") do
        heads[#heads + 1] = head
    end
    count = #heads
    assert(count > 0, "no request heads in " .. args[1])
    local delay_ms = tonumber(args[2])
    if delay_ms > 0 then
        -- Spread: connections that all wait as long soon fire together, and the last of each volley waits for the others.
        delay = function() return math.random(0, 2 * delay_ms) end
    end
end

function request()
    at = at % count + 1
    sent = sent + 1
    return heads[at]
end

function done(summary, latency)
    local sent_all = 0
    for _, thread in ipairs(threads) do
        sent_all = sent_all + thread:get("sent")
    end
    local errors = summary.errors
    io.write(string.format(
        'RESULT {"answered":%d,"sent":%d,"bytes":%d,"duration_us":%d,"connect":%d,"read":%d,"write":%d,"status":%d,'
            .. '"timeout":%d,"p50_us":%d,"p99_us":%d,"max_us":%d}\n',
        summary.requests, sent_all - 1, summary.bytes, summary.duration, errors.connect, errors.read, errors.write,
        errors.status, errors.timeout, latency:percentile(50), latency:percentile(99), latency.max
    )) -- one less: wrk's first thread asks for a head before the run, to count what it pipelines
end
