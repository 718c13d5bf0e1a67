#!lua
-- A session is over. KEYS[1]: its point; ARGV: generation, ttl_s. Its client may have missed the last messages, so the
-- point stays for a little, unless a later gateway has the session.

local generation = redis.call('HGET', KEYS[1], 'generation')
if generation and tonumber(generation) <= tonumber(ARGV[1]) then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
return 1
