-- pixels.lua, which also notes how many heads were sent by which moment, so that a window can be cut out of a run: without
-- the connecting at its start, and without the reading of the file. The moments are CLOCK_MONOTONIC's, in microseconds.
local ffi = require("ffi")
ffi.cdef("typedef struct { long s; long ns; } moment; int clock_gettime(int, moment *);")
local CLOCK_MONOTONIC, EVERY_US, LOOK = 1, 20000, 15 -- a look at the clock each 16th head, a mark each 20 ms

dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "../pixels.lua")
local pixel_request, pixel_setup, pixel_done, marked = request, setup, done, nil

function setup(thread)
    marked = marked or thread
    pixel_setup(thread)
end

local now, last_us, looked, written = ffi.new("moment"), 0, 0, {}
marks = ""

local function mark()
    ffi.C.clock_gettime(CLOCK_MONOTONIC, now)
    local us = tonumber(now.s) * 1000000 + math.floor(tonumber(now.ns) / 1000)
    if us - last_us >= EVERY_US then
        last_us = us
        written[#written + 1] = string.format("[%d,%d]", us, sent)
        marks = table.concat(written, ",")
    end
end

function request()
    looked = looked + 1
    if bit.band(looked, LOOK) == 0 then
        mark()
    end
    return pixel_request()
end

function done(summary, latency)
    pixel_done(summary, latency)
    io.write("MARKS [" .. marked:get("marks") .. "]\n")
end
