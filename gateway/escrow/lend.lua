-- The root's side of lending, for the levels of one org that one region asks for. Twin: policies/escrow_root.py, which says
-- why; the fields of Ask, Terms and Loan are in policies/escrow.py.
--
-- These must stay true:
--   - All numbers are integers below 2^53, where Lua's numbers are exact, and every product is; big ones are printed by
--     %.0f, as Lua prints 14 digits.
--   - Time and the name of this server are Redis's own. Another run_id may have other, or older, data.
--
-- KEYS[i]   {org}:lend:LEVEL   hash   server, epoch, learning_until_us, balance_us, at_us, carry, and for each region
--                                     a:REGION = "generation sequence granted received returned holding missing asked_at"
-- ARGV      region, ttl_s, then for each level: epoch, generation, sequence, received_us, returned_us, holding_us, wanted_us,
--           rate per_s, burst, holding_us (H_i), learning_us, covers_loans (0 | 1)
-- Answer    for each level: outcome (1 lent, 2 short, 3 full, 4 learning, 5 stale, 6 absurd), epoch, generation, granted_us,
--           returned_us, retry_after_ms

local MICRO, MAX_TOTAL, MAX_EPOCH_AHEAD = 1000000, 4503599627370496, 86400000000
local HUNGRY_US, OWED_US, MIN_RETRY_MS, MAX_RETRY_MS = 2000000, 1000000, 20, 500
local LENT, SHORT, FULL, LEARNING, STALE, ABSURD = 1, 2, 3, 4, 5, 6
local PER_LEVEL = 12

local min, max, floor = math.min, math.max, math.floor

local time = redis.call('TIME')
local now = tonumber(time[1]) * MICRO + tonumber(time[2])
local server = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local region, ttl_s = ARGV[1], ARGV[2]

local function text(number)
  return string.format('%.0f', number)
end

local function read(key)
  local flat = redis.call('HGETALL', key)
  if #flat == 0 then return nil end
  local root = { accounts = {} }
  for i = 1, #flat, 2 do
    local name, value = flat[i], flat[i + 1]
    if name == 'server' then
      root.server = value
    elseif string.sub(name, 1, 2) == 'a:' then
      local n = {}
      for word in string.gmatch(value, '%S+') do n[#n + 1] = tonumber(word) end
      root.accounts[string.sub(name, 3)] = { generation = n[1], sequence = n[2], granted = n[3], received = n[4],
        returned = n[5], holding = n[6], missing = n[7], asked_at = n[8] }
    else
      root[name] = tonumber(value)
    end
  end
  return root
end

local function write(key, root)
  if root.is_new then redis.call('DEL', key) end
  local fields = { 'server', root.server, 'epoch', text(root.epoch), 'learning_until_us', text(root.learning_until_us),
    'balance_us', text(root.balance_us), 'at_us', text(root.at_us), 'carry', text(root.carry) }
  for name, a in pairs(root.accounts) do
    fields[#fields + 1] = 'a:' .. name
    fields[#fields + 1] = table.concat({ text(a.generation), text(a.sequence), text(a.granted), text(a.received),
      text(a.returned), text(a.holding), text(a.missing), text(a.asked_at) }, ' ')
  end
  redis.call('HSET', key, unpack(fields))
  redis.call('EXPIRE', key, ttl_s)
end

local function lent_to(account)
  return max(0, account.holding) + account.granted - account.received
end

-- Books of another life, or behind what a region has heard of the root already, are not believed.
local function in_this_life(root, ask, terms)
  local known = root and root.epoch or 0
  local heard = 0
  if ask.epoch <= max(known, now) + MAX_EPOCH_AHEAD then heard = ask.epoch end
  if root and root.server == server and heard <= known then return root end
  return { is_new = true, server = server, epoch = max(now, known + 1, heard + 1),
    learning_until_us = now + terms.learning, balance_us = 0, at_us = now, carry = 0, accounts = {} }
end

-- Nothing is gained, lost or waited for because a clock went back.
local function set_back(root, terms)
  if now >= root.at_us then return end
  root.at_us = now
  root.learning_until_us = min(root.learning_until_us, now + terms.learning)
  for _, account in pairs(root.accounts) do account.asked_at = min(account.asked_at, now) end
end

local function add(root, gained, terms)
  local most = terms.burst
  if terms.covers_loans then
    for _, account in pairs(root.accounts) do most = most - lent_to(account) end
    most = max(0, most)
  end
  if root.balance_us + gained >= most then
    root.balance_us, root.carry = most, 0
  else
    root.balance_us = root.balance_us + gained
  end
end

-- Not while learning: another server may still be lending by the same rate.
local function refill(root, terms)
  local elapsed = max(0, now - max(root.at_us, root.learning_until_us))
  root.at_us = now
  -- Whole seconds apart, so that no product passes 2^53.
  local rest = elapsed % MICRO
  local gained = terms.per_s * ((elapsed - rest) / MICRO)
  local product = terms.per_s * rest + root.carry
  root.carry = product % MICRO
  add(root, gained + (product - root.carry) / MICRO, terms)
end

local function is_absurd(ask, root, account)
  for _, total in ipairs({ ask.epoch, ask.generation, ask.sequence, ask.received, ask.returned, ask.wanted }) do
    if total < 0 or total > MAX_TOTAL then return true end
  end
  if ask.holding > MAX_TOTAL or ask.holding < -MAX_TOTAL then return true end
  if ask.generation == 0 or ask.sequence == 0 or ask.epoch > max(root.epoch, now) + MAX_EPOCH_AHEAD then return true end
  return account ~= nil and ask.epoch == root.epoch and ask.generation == account.generation
    and ask.received > account.granted
end

-- Take over what the region says. Totals of another epoch count for nothing here, what it holds does.
local function learn(root, account, ask, terms)
  account.sequence = ask.sequence
  account.holding = ask.holding
  if ask.epoch ~= root.epoch then return end
  account.received = max(account.received, ask.received)
  local back = ask.returned - account.returned
  if back > 0 then
    account.returned = ask.returned
    add(root, min(back, terms.holding), terms)
  end
end

local function grant(root, account, ask, terms)
  local room = terms.holding - (account.holding + account.granted - account.received)
  local fitting = max(0, min(ask.wanted, room))
  local hungry = {}
  for _, other in pairs(root.accounts) do
    if other ~= account and other.missing > 0 and now - other.asked_at <= HUNGRY_US then hungry[#hungry + 1] = other end
  end
  local owed = 0
  for _, other in ipairs(hungry) do
    local waited = min(now - other.asked_at, OWED_US)
    owed = owed + min(other.missing, floor(floor(terms.per_s * waited / MICRO) / (#hungry + 1)))
  end
  local granted = min(fitting, max(0, root.balance_us - owed))
  root.balance_us = root.balance_us - granted
  account.granted = account.granted + granted
  account.asked_at = now
  account.missing = fitting - granted
  if account.missing > 0 then
    local short = min(account.missing, terms.per_s)
    local wait = floor(short * (#hungry + 1) * 1000 / max(1, terms.per_s)) + 1
    return SHORT, min(MAX_RETRY_MS, max(MIN_RETRY_MS, wait))
  end
  return fitting == ask.wanted and LENT or FULL, 0
end

local function lend(root, ask, terms)
  set_back(root, terms)
  refill(root, terms)
  local account = root.accounts[region]
  if is_absurd(ask, root, account) then return { ABSURD, root.epoch, ask.generation, 0, 0, 0 } end
  if account == nil or ask.generation > account.generation then
    account = { generation = ask.generation, sequence = 0, granted = 0, received = 0, returned = 0, holding = 0,
      missing = 0, asked_at = 0 }
    root.accounts[region] = account
  end
  local outcome, retry_after_ms = STALE, 0
  if ask.generation == account.generation and ask.sequence > account.sequence then
    learn(root, account, ask, terms)
    if now < root.learning_until_us then
      account.missing = 0
      outcome = LEARNING
      retry_after_ms = min(MAX_RETRY_MS, max(MIN_RETRY_MS, floor((root.learning_until_us - now) / 1000) + 1))
    else
      outcome, retry_after_ms = grant(root, account, ask, terms)
    end
  end
  return { outcome, root.epoch, account.generation, account.granted, account.returned, retry_after_ms }
end

local answer = {}
for i, key in ipairs(KEYS) do
  local n = {}
  for j = 1, PER_LEVEL do n[j] = tonumber(ARGV[2 + (i - 1) * PER_LEVEL + j]) end
  local ask = { epoch = n[1], generation = n[2], sequence = n[3], received = n[4], returned = n[5], holding = n[6],
    wanted = n[7] }
  local terms = { per_s = n[8], burst = n[9], holding = n[10], learning = n[11], covers_loans = n[12] == 1 }
  local root = in_this_life(read(key), ask, terms)
  for _, number in ipairs(lend(root, ask, terms)) do answer[#answer + 1] = number end
  write(key, root)
end
return answer
