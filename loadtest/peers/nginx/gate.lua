-- The gate of the nginx peer: write key -> account and verdict, from tables that are read before the worker is forked.
-- Plain tables are the cheapest look-up that Lua has here; flips would need a shared dictionary on top, whose lock and
-- copy this peer is spared.
local gate = {}
local accounts, verdicts = {}, {}

-- Each line of the file: key account verdict.
function gate.load(path)
    for line in io.lines(path) do
        local key, account, verdict = line:match("^(%S+) (%S+) (%S+)$")
        accounts[key], verdicts[key] = account, verdict
    end
end

-- /p/KEY.gif: the key stands between the third and the fifth byte from the end.
function gate.pass()
    local var = ngx.var
    local key = var.uri:sub(4, -5)
    local verdict = verdicts[key]
    if verdict and verdict ~= "DROP" then
        var.account, var.verdict, var.keep = accounts[key], verdict, "1"
    end
end

return gate
