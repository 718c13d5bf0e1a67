-- The orders of one region, and what its gateways say of them; regions/orders/store.py names the keys.
--
-- KEYS  book, reports, seen, asked
-- ARGV  "look", version that is known, gateway, its report, how long a report counts (ms)
--       "leave", gateway                                  it says no more
--       "change", version that is known, revision, digest, document      only where that version is in force
--       "restore", revision, digest, document             where it is later than what is there
--       "ask", question, how long it stands (ms)
--       "hear", how long a report counts (ms)
-- Returns  look: version, question ('' where none is asked), and the document if the version is another one
--          change, restore: 1 or 0, version, and with 0 the document
--          ask: the question that stands, which somebody else may have asked
--          hear: gateway, report, gateway, report ...
--
-- Only this server's clock decides which reports are too old. A version is `revision.digest`, or '' where nothing is.

local function version()
  local found = redis.call('HMGET', KEYS[1], 'revision', 'digest')
  if found[1] and found[2] then
    return found[1] .. '.' .. found[2], tonumber(found[1]), found[2]
  end
  return '', -1, ''
end

local function document()
  return redis.call('HGET', KEYS[1], 'document') or ''
end

local function put(revision, digest, text)
  redis.call('HSET', KEYS[1], 'revision', revision, 'digest', digest, 'document', text)
  return {1, revision .. '.' .. digest}
end

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function forget_silent(ttl_ms)
  for _, gateway in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now_ms() - ttl_ms)) do
    redis.call('ZREM', KEYS[3], gateway)
    redis.call('HDEL', KEYS[2], gateway)
  end
end

local act = ARGV[1]
if act == 'look' then
  redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
  redis.call('ZADD', KEYS[3], now_ms(), ARGV[3])
  forget_silent(tonumber(ARGV[5]))
  local held = version()
  local asked = redis.call('GET', KEYS[4]) or ''
  if held == ARGV[2] then
    return {held, asked}
  end
  return {held, asked, document()}
elseif act == 'leave' then
  redis.call('ZREM', KEYS[3], ARGV[2])
  redis.call('HDEL', KEYS[2], ARGV[2])
  return {}
elseif act == 'change' then
  local held = version()
  if held == ARGV[2] then
    return put(ARGV[3], ARGV[4], ARGV[5])
  end
  return {0, held, document()}
elseif act == 'restore' then
  local held, revision, digest = version()
  local offered = tonumber(ARGV[2])
  if offered > revision or (offered == revision and ARGV[3] > digest) then
    return put(ARGV[2], ARGV[3], ARGV[4])
  end
  return {0, held, document()}
elseif act == 'ask' then
  if redis.call('SET', KEYS[4], ARGV[2], 'PX', ARGV[3], 'NX') then
    return {ARGV[2]}
  end
  redis.call('PEXPIRE', KEYS[4], ARGV[3])
  return {redis.call('GET', KEYS[4])}
elseif act == 'hear' then
  forget_silent(tonumber(ARGV[2]))
  return redis.call('HGETALL', KEYS[2])
end
return redis.error_reply('unknown act')
