-- The relay's writes, each one atomic step of Redis. Names are gating/redis_keys.py's; relay_script.py calls it.
--
--   KEYS  1 pointer  2 state  3 head  4 stream (the last three of the epoch in ARGV[2])
--   ARGV  1 verb     2 epoch  3 the caller's term   4... the verb's own
--
-- Every answer is an array whose first element says how it went. Whoever leads with an older term than the one noted is
-- refused: it writes nothing. Versions stay below 2^53, which Lua's numbers hold exactly.

local pointer, state, head, stream = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local verb, epoch, term = ARGV[1], ARGV[2], tonumber(ARGV[3])

local function noted_term()
  return tonumber(redis.call('HGET', pointer, 'term') or '0') or 0
end

local function forget(old)
  local stem = '{pixelgate}:' .. old
  redis.call('UNLINK', stem .. ':state', stem .. ':head', stem .. ':stream')
end

-- Where Redis stands: pointer's epoch, noted term, then of the epoch asked about: head, whether the state is there, and
-- the stream's last entry.
local function look()
  local found = redis.call('HMGET', pointer, 'epoch', 'term')
  local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  return {
    'stands', found[1] or '', found[2] or '0', redis.call('GET', head), redis.call('EXISTS', state),
    last and last[1] or '', last and last[2][2] or '',
  }
end

-- One change: ARGV 4 version, 5 account, 6 the change, 7 entries that the stream keeps. Idempotent, and without a gap.
local function change()
  local version = tonumber(ARGV[4])
  local noted = noted_term()
  if noted > term then return {'term', tostring(noted)} end
  if redis.call('HGET', pointer, 'epoch') ~= epoch then return {'lost', 'another epoch is pointed at'} end
  local at = redis.call('GET', head)
  if not at then return {'lost', 'the head is gone'} end
  if version <= tonumber(at) then return {'known', at} end
  if version ~= tonumber(at) + 1 then return {'gap', at} end
  if noted < term then redis.call('HSET', pointer, 'term', ARGV[3]) end
  redis.call('XADD', stream, 'MAXLEN', '~', ARGV[7], ARGV[4] .. '-0', 'c', ARGV[6])
  redis.call('HSET', state, ARGV[5], ARGV[6])
  redis.call('SET', head, ARGV[4])
  return {'done', ARGV[4]}
end

-- Begin a rebuild: ARGV 4 a newer term that the caller has seen and knows to be of a ledger that went back, or 0;
-- 5 whether to give up what is pointed at first, because there is no room for both. What an earlier rebuild left goes.
local function claim()
  if redis.call('TYPE', pointer).ok ~= 'hash' then redis.call('UNLINK', pointer) end
  local noted = noted_term()
  if noted > term and noted ~= tonumber(ARGV[4]) then return {'term', tostring(noted)} end
  local current = redis.call('HGET', pointer, 'epoch')
  local building = redis.call('HGET', pointer, 'building')
  if building and building ~= epoch and building ~= current then forget(building) end
  if ARGV[5] == '1' and current then
    redis.call('HDEL', pointer, 'epoch')
    forget(current)
  end
  redis.call('HSET', pointer, 'term', ARGV[3], 'building', epoch)
  return {'done'}
end

local function builds()
  local found = redis.call('HMGET', pointer, 'building', 'term')
  return found[1] == epoch and tonumber(found[2]) == term
end

-- One page of the state: ARGV 4... account, change, account, change. Writing it twice is harmless.
local function page()
  if not builds() then return {'lost', 'this rebuild is not noted any more'} end
  redis.call('HSET', state, unpack(ARGV, 4))
  return {'done'}
end

-- The state is whole: ARGV 4 the version it stands at. The head first, the pointer last; then the old epoch goes.
local function finish()
  if not builds() then return {'lost', 'this rebuild is not noted any more'} end
  local old = redis.call('HGET', pointer, 'epoch')
  redis.call('SET', head, ARGV[4])
  redis.call('HSET', pointer, 'epoch', epoch)
  redis.call('HDEL', pointer, 'building')
  if old and old ~= epoch then forget(old) end
  return {'done'}
end

return ({look = look, change = change, claim = claim, page = page, finish = finish})[verb]()
