#!lua
-- Keeps where a session stands. KEYS[1]: the point; ARGV: generation, tab, data, ttl_s. Answers 1, or 0 where a later
-- gateway has the session: then nothing is written. Of two that claim the same generation, the first to write has it.

local kept = redis.call('HMGET', KEYS[1], 'generation', 'tab')
if kept[1] then
  local mine, theirs = tonumber(ARGV[1]), tonumber(kept[1])
  if theirs > mine or (theirs == mine and kept[2] ~= '' and kept[2] ~= ARGV[2]) then return 0 end
end
redis.call('HSET', KEYS[1], 'generation', ARGV[1], 'tab', ARGV[2], 'data', ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 1
