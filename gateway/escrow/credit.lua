-- A region's side of lending, for some levels of one org. Twin: policies/escrow_region.py, which says why; the fields of
-- Look and Seen are there.
--
-- These must stay true:
--   - All numbers are integers below 2^53, where Lua's numbers are exact, and every product is; big ones are printed by
--     %.0f, as Lua prints 14 digits.
--   - Time and the name of this server are Redis's own. Another run_id may have other, or older, data.
--   - The bucket is the one that gateway/limits/quota.lua holds from, with a rate of 0: balance_us and held_us are its own.
--
-- KEYS      for each level: {org}:bucket:LEVEL, {org}:borrow:LEVEL (hash: the fields of Books), {org}:leases:LEVEL
-- ARGV      asker, turn_us, away_after_us, ttl_s, then for each level: holding_us (H_i), minting (1 never, 2 while_away,
--           3 always, 4 fill), safe_per_s, is_unanswered, gives_back, resets (0 | 1), has_loan (0 | 1), and the loan's epoch,
--           generation, granted_us, is_absurd
-- Answer    for each level: epoch, generation, sequence, received_us, returned_us, holding, balance_us, minted_us,
--           credited_us, is_root_away, may_ask, turn_left_us, sessions

local MICRO, MINTED_AT_ONCE_MS = 1000000, 5000
local WHILE_AWAY, ALWAYS, FILL = 2, 3, 4
local PER_LEVEL = 11

local min, max, floor = math.min, math.max, math.floor

local time = redis.call('TIME')
local now = tonumber(time[1]) * MICRO + tonumber(time[2])
local server = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local asker, turn_us, away_after_us, ttl_s = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]

local NUMBERS = { 'generation', 'epoch', 'sequence', 'received_us', 'returned_us', 'minted_us', 'minted_at_us',
  'unanswered_at_us', 'turn_until_us' }

local function text(number)
  return string.format('%.0f', number)
end

local function read(key)
  local values = redis.call('HMGET', key, 'server', 'asker', unpack(NUMBERS))
  if not values[1] then return nil end
  local books = { server = values[1], asker = values[2] or '' }
  for i, name in ipairs(NUMBERS) do books[name] = tonumber(values[i + 2]) or 0 end
  return books
end

local function write(key, books)
  local fields = { 'server', books.server, 'asker', books.asker }
  for _, name in ipairs(NUMBERS) do
    fields[#fields + 1] = name
    fields[#fields + 1] = text(books[name])
  end
  redis.call('HSET', key, unpack(fields))
  redis.call('EXPIRE', key, ttl_s)
end

local function new_books(generation, epoch)
  local books = { server = server, asker = '' }
  for _, name in ipairs(NUMBERS) do books[name] = 0 end
  books.generation, books.epoch = generation, epoch
  return books
end

-- What a server holds that may have lost data could have been spent already: it is given up.
local function in_this_life(books, bucket, resets)
  if books and books.server == server and not resets then return books end
  bucket.balance = min(bucket.balance, 0)
  if not books then return new_books(now, 0) end
  return new_books(max(now, books.generation + 1), books.epoch)
end

local function set_back(books)
  books.minted_at_us = min(books.minted_at_us, now)
  books.unanswered_at_us = min(books.unanswered_at_us, now)
  books.turn_until_us = min(books.turn_until_us, now + turn_us)
end

local function credit(books, bucket, loan, level)
  if loan.generation > books.generation then
    books.generation = loan.generation + 1
    books.sequence, books.received_us, books.returned_us = 0, 0, 0
    return 0
  end
  if loan.generation < books.generation or loan.epoch < books.epoch or loan.is_absurd then return 0 end
  if loan.epoch > books.epoch then
    books.epoch = loan.epoch
    books.received_us, books.returned_us = 0, 0
  end
  if not level.is_unanswered then books.unanswered_at_us = 0 end
  local new = loan.granted - books.received_us
  if new <= 0 then return 0 end
  books.received_us = loan.granted
  local before = bucket.balance
  bucket.balance = max(before, min(before + new, level.holding - bucket.held))
  return bucket.balance - before
end

local function mint(books, bucket, level, is_away)
  local room = max(0, level.holding - bucket.held - bucket.balance)
  local minted = 0
  if level.minting == FILL and is_away then
    minted = room
  elseif level.minting == ALWAYS or (level.minting == WHILE_AWAY and is_away) then
    local since = books.minted_at_us > 0 and books.minted_at_us or now
    local since_ms = floor((now - since) / 1000)
    minted = min(room, floor(level.safe_per_s * min(since_ms, MINTED_AT_ONCE_MS) / 1000))
    books.minted_at_us = since + since_ms * 1000
  else
    books.minted_at_us = 0
  end
  bucket.balance = bucket.balance + minted
  books.minted_us = books.minted_us + minted
end

local answer = {}
for at = 1, #KEYS / 3 do
  local bucket_key, books_key, leases_key = KEYS[3 * at - 2], KEYS[3 * at - 1], KEYS[3 * at]
  local n = {}
  for j = 1, PER_LEVEL do n[j] = tonumber(ARGV[4 + (at - 1) * PER_LEVEL + j]) end
  local level = { holding = n[1], minting = n[2], safe_per_s = n[3], is_unanswered = n[4] == 1 }

  local stored = redis.call('HMGET', bucket_key, 'balance_us', 'held_us', 'at_us')
  local bucket = { balance = tonumber(stored[1]) or 0, held = tonumber(stored[2]) or 0 }
  local before = bucket.balance
  local books = in_this_life(read(books_key), bucket, n[6] == 1)
  set_back(books)
  local credited = 0
  if n[7] == 1 then
    local loan = { epoch = n[8], generation = n[9], granted = n[10], is_absurd = n[11] == 1 }
    credited = credit(books, bucket, loan, level)
  end
  if level.is_unanswered and books.unanswered_at_us == 0 then books.unanswered_at_us = now end
  local is_away = books.unanswered_at_us > 0 and now - books.unanswered_at_us >= away_after_us
  mint(books, bucket, level, is_away)
  if n[5] == 1 and bucket.balance > 0 then
    books.returned_us = books.returned_us + bucket.balance
    bucket.balance = 0
  end
  local may_ask = books.asker == '' or books.asker == asker or books.turn_until_us <= now
  if may_ask then
    books.asker, books.turn_until_us = asker, now + turn_us
    books.sequence = books.sequence + 1
  end
  write(books_key, books)
  if not stored[1] then
    redis.call('HSET', bucket_key, 'balance_us', text(bucket.balance), 'held_us', '0', 'at_us', text(now), 'carry', '0')
    redis.call('EXPIRE', bucket_key, ttl_s)
  elseif bucket.balance ~= before then
    redis.call('HSET', bucket_key, 'balance_us', text(bucket.balance))
  end
  for _, number in ipairs({ books.epoch, books.generation, books.sequence, books.received_us, books.returned_us,
    bucket.balance + bucket.held, bucket.balance, books.minted_us, credited, is_away and 1 or 0, may_ask and 1 or 0,
    books.turn_until_us - now, redis.call('ZCOUNT', leases_key, string.format('(%.0f', floor(now / 1000)), '+inf') }) do
    answer[#answer + 1] = number
  end
end
return answer
