-- The leases of one region's engines; engines/registration/lease.py names the keys.
--
-- KEYS  leases, expiry, version
-- ARGV  "keep", instance, lease, ttl_ms    enter or renew
--       "drop", instance                   take off
--       "read", version that is known      all leases, if the version is another one
-- Returns the version, and after "read" of another one the leases.
--
-- Only this server's clock decides what has expired.

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local is_changed = false

for _, instance in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now_ms)) do
  redis.call('ZREM', KEYS[2], instance)
  redis.call('HDEL', KEYS[1], instance)
  is_changed = true
end

if ARGV[1] == 'keep' then
  is_changed = redis.call('HGET', KEYS[1], ARGV[2]) ~= ARGV[3] or is_changed
  redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
  redis.call('ZADD', KEYS[2], now_ms + tonumber(ARGV[4]), ARGV[2])
elseif ARGV[1] == 'drop' then
  redis.call('ZREM', KEYS[2], ARGV[2])
  is_changed = redis.call('HDEL', KEYS[1], ARGV[2]) == 1 or is_changed
end

local version = redis.call('GET', KEYS[3])
if is_changed or not version then
  -- The time, so that a Redis that lost everything does not give a version a second time.
  version = time[1] .. '.' .. time[2]
  redis.call('SET', KEYS[3], version)
end

if ARGV[1] == 'read' and ARGV[2] ~= version then
  return {version, redis.call('HVALS', KEYS[1])}
end
return {version}
