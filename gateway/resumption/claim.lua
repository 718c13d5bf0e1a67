#!lua
-- Makes a session the caller's. KEYS[1]: the point; ARGV: ttl_s. Answers the new generation and the data; nothing where
-- there is no point.

local kept = redis.call('HMGET', KEYS[1], 'generation', 'data')
if not kept[1] or not kept[2] then return nil end
local generation = redis.call('HINCRBY', KEYS[1], 'generation', 1)
redis.call('HSET', KEYS[1], 'tab', '')
redis.call('EXPIRE', KEYS[1], ARGV[1])
return { generation, kept[2] }
