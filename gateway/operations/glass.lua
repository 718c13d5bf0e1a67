-- The emergency permissions of one region; gateway/operations/glass_store.py names the key.
--
-- KEYS  book: hash of revision, digest, document
-- ARGV  "look", version that is known
--       "change", version that is known, revision, digest, document      only where that version is in force
--       "restore", revision, digest, document                            where it is later than what is there
-- Returns  1 where it was written, else 0; the version; and the document where it is another one than the caller knows
--
-- A version is `revision.digest`, or '' where nothing is.

local found = redis.call('HMGET', KEYS[1], 'revision', 'digest', 'document')
local held, revision, digest = '', -1, ''
if found[1] and found[2] then
  held, revision, digest = found[1] .. '.' .. found[2], tonumber(found[1]), found[2]
end

local function put(new_revision, new_digest, text)
  redis.call('HSET', KEYS[1], 'revision', new_revision, 'digest', new_digest, 'document', text)
  return {1, new_revision .. '.' .. new_digest, ''}
end

local act = ARGV[1]
if act == 'look' then
  return {0, held, held ~= ARGV[2] and found[3] or ''}
elseif act == 'change' then
  if held == ARGV[2] then
    return put(ARGV[3], ARGV[4], ARGV[5])
  end
  return {0, held, found[3] or ''}
elseif act == 'restore' then
  local offered = tonumber(ARGV[2])
  if offered > revision or (offered == revision and ARGV[3] > digest) then
    return put(ARGV[2], ARGV[3], ARGV[4])
  end
  return {0, held, found[3] or ''}
end
return redis.error_reply('unknown act')
