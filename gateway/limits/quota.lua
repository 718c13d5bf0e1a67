#!lua
-- Carries out a batch of requests for one org, in their order, each wholly or not at all. What they mean is said in
-- gateway/limits/calls.py, how they are written in gateway/limits/script_codec.py, what is kept in
-- gateway/redis_link/keys.py, the arithmetic in policies/compute_quota.py; tests hold this file against a twin.
--
-- These must stay true:
--   * Every key is in KEYS, and all of one org: a cluster then runs this on one node.
--   * No flags: Redis refuses the whole script, before it has written anything, where it is out of memory, a replica, or
--     short of replicas.
--   * Every number is an integer below 2^53, where doubles are exact. Lua's `..` prints 14 digits; `%d` prints all.
--   * The time is Redis's own. It may go back: then nothing is gained and nothing lost. It may leap ahead: then a bucket
--     gains what it lacks to its burst, once.
--   * A level in shadow mode never refuses. Nothing is held at it; what is settled is debited, but not below zero.
--   * The stream is not trimmed here: the exporter does that, after it has delivered.
--
-- Redis makes the functions anew for each call, which takes longer the more names they share. So what most calls need
-- not is made only where it is needed (`others`), and small numbers stand where they are used:
--   status   0 ok, 1 refused, 2 unknown tab, 3 missing slices
--   refused  1 sessions, 2 starts, 3 compute
--   state    0 open, 1 closed, 2 swept, 3 recorded: known from its events alone

local batch = cmsgpack.unpack(ARGV[1])
local levels, callers, requests = batch[2], batch[3], batch[4]
local lease_ttl_ms, event_window_slices, tab_ttl_s, max_retry_ms, unknown_retry_ms, tally_hours = unpack(batch[1])

local call, floor, max, format = redis.call, math.floor, math.max, string.format
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now_ms = floor(now_us / 1000)

for place, level in ipairs(levels) do
  local number, is_shadow, per_s = level[1], level[5], level[6]
  levels[place] = {
    number = number, bucket = level[2], starts = level[3], leases = level[4], is_shadow = is_shadow, per_s = per_s,
    burst = level[7], max_sessions = level[8], starts_per_s = level[9], starts_burst = level[10],
    bit = number == 3 and 4 or number, has_compute = per_s >= 0, is_limit = per_s >= 0 and not is_shadow,
  }
end
-- A caller is the list of its levels, narrowest first. `held_at`: the bits of those at which its compute is held.
for _, caller in ipairs(callers) do
  local held_at = 0
  for at = 1, #caller do
    local level = levels[caller[at]]
    caller[at] = level
    if level.is_limit then held_at = held_at + level.bit end
  end
  caller.held_at = held_at
end

-- Quotient and remainder. Exact: below 2^53 a quotient is never rounded up to an integer that it does not reach.
local function divide(number, by)
  local whole = floor(number / by)
  return whole, number - whole * by
end

-- Buckets: read once, kept for the batch, written at its end -------------------------------------------------------

local buckets, touched = {}, {}

-- The bucket of a level as of now. With per_s -1, of a level that has no limit any more: as it is, nil if there is none.
local function bucket_at(place, per_s, burst)
  local bucket = buckets[place]
  if not bucket then
    local kept = call('HMGET', KEYS[place], 'balance_us', 'held_us', 'at_us', 'carry')
    if kept[1] then
      bucket = {
        place = place, balance_us = tonumber(kept[1]), held_us = tonumber(kept[2]) or 0,
        at_us = tonumber(kept[3]) or now_us, carry = tonumber(kept[4]) or 0, ttl_s = false,
      }
    elseif per_s < 0 then
      return nil
    else
      bucket = {
        place = place, balance_us = per_s > 0 and burst or 0, held_us = 0, at_us = now_us, carry = 0, ttl_s = false,
      }
    end
    buckets[place] = bucket
    touched[#touched + 1] = bucket
  end
  if per_s < 0 then return bucket end
  if bucket.at_us < now_us then
    local seconds, rest_us = divide(now_us - bucket.at_us, 1000000)
    local gained, carry = divide(per_s * rest_us + bucket.carry, 1000000)
    bucket.balance_us = bucket.balance_us + gained + per_s * seconds  -- inexact only where it is more than any burst
    bucket.carry = carry
  end
  bucket.at_us = now_us
  if bucket.balance_us >= burst - bucket.held_us then bucket.balance_us, bucket.carry = burst - bucket.held_us, 0 end
  return bucket
end

-- An idle bucket is dropped when it has long been full, as a new one begins full; a borrowed one never.
local function keep(bucket, per_s, burst)
  bucket.ttl_s = per_s > 0 and math.min(315360000, tab_ttl_s + math.ceil((burst - bucket.balance_us) / per_s)) or 0
end

local function write_buckets()
  for _, bucket in ipairs(touched) do
    local key = KEYS[bucket.place]
    call('HSET', key, 'balance_us', format('%d', bucket.balance_us), 'held_us', format('%d', bucket.held_us),
      'at_us', format('%d', bucket.at_us), 'carry', bucket.carry)
    if bucket.ttl_s == 0 then call('PERSIST', key) elseif bucket.ttl_s then call('EXPIRE', key, bucket.ttl_s) end
  end
end

-- The hourly tally: gathered, written at the end of the batch --------------------------------------------------------

local tallied = {}

local function tally(field, amount)
  tallied[field] = (tallied[field] or 0) + amount
end

local function write_tally()
  local has_new = false
  for field, amount in pairs(tallied) do
    if call('HINCRBY', KEYS[2], field, format('%d', amount)) == amount then has_new = true end
  end
  if has_new and call('HLEN', KEYS[2]) > 3 * tally_hours then
    local oldest = floor(now_ms / 3600000) - tally_hours
    for _, field in ipairs(call('HKEYS', KEYS[2])) do
      if tonumber(string.match(field, '^%d+')) < oldest then call('HDEL', KEYS[2], field) end
    end
  end
end

-- Tabs ---------------------------------------------------------------------------------------------------------------

local function read_tab(place)
  local kept = call('HGET', KEYS[place], 'numbers')
  if not kept then return nil end
  local state, held_at, held_us, settled, settled_us, settled_audio_ms, settled_conn_ms, recorded, recorded_us,
    recorded_audio_ms, recorded_conn_ms, at_ms, num_cuts, last_cut = cmsgpack.unpack(kept)
  return {
    place = place, state = state, held_at = held_at, held_us = held_us, settled = settled, settled_us = settled_us,
    settled_audio_ms = settled_audio_ms, settled_conn_ms = settled_conn_ms, recorded = recorded,
    recorded_us = recorded_us, recorded_audio_ms = recorded_audio_ms, recorded_conn_ms = recorded_conn_ms,
    at_ms = at_ms, num_cuts = num_cuts, last_cut = last_cut,
  }
end

local function write_tab(tab, is_kept)
  local numbers = cmsgpack.pack(tab.state, tab.held_at, tab.held_us, tab.settled, tab.settled_us,
    tab.settled_audio_ms, tab.settled_conn_ms, tab.recorded, tab.recorded_us, tab.recorded_audio_ms,
    tab.recorded_conn_ms, tab.at_ms, tab.num_cuts, tab.last_cut)
  if tab.new_labels then
    call('HSET', KEYS[tab.place], 'numbers', numbers, 'labels', tab.new_labels)
  else
    call('HSET', KEYS[tab.place], 'numbers', numbers)
  end
  if is_kept then
    local ttl_s = tab_ttl_s
    if tab.state == 2 then ttl_s = max(ttl_s, tally_hours * 3600) end
    call('EXPIRE', KEYS[tab.place], ttl_s)
  end
end

local function write_event(first, last, compute_us, audio_ms, conn_ms, audio_before_ms, conn_before_ms, at_ms, is_last,
                           labels)
  call('XADD', KEYS[1], '*', 'first', first, 'last', last, 'compute_us', format('%d', compute_us),
    'audio_ms', audio_ms, 'conn_ms', conn_ms, 'audio_before_ms', audio_before_ms, 'conn_before_ms', conn_before_ms,
    'at_ms', at_ms, 'is_last', is_last and 1 or 0, 'labels', labels)
  local hour = floor(at_ms / 3600000)
  tally(hour .. ':recorded_us', compute_us)
  tally(hour .. ':events', 1)
end

-- Bills what is settled and not recorded yet.
local function record_open(tab, is_last)
  if tab.settled == tab.recorded then return end
  write_event(tab.recorded, tab.settled - 1, tab.settled_us - tab.recorded_us,
    tab.settled_audio_ms - tab.recorded_audio_ms, tab.settled_conn_ms - tab.recorded_conn_ms,
    tab.recorded_audio_ms, tab.recorded_conn_ms, tab.at_ms, is_last,
    tab.new_labels or call('HGET', KEYS[tab.place], 'labels'))
  tab.recorded, tab.recorded_us = tab.settled, tab.settled_us
  tab.recorded_audio_ms, tab.recorded_conn_ms = tab.settled_audio_ms, tab.settled_conn_ms
end

-- The same where the session's gateway cannot know that an event ends: it is told.
local function cut(tab)
  if tab.settled ~= tab.recorded then tab.num_cuts, tab.last_cut = tab.num_cuts + 1, tab.settled end
  record_open(tab, false)
end

-- What is held follows the limits: it is moved to levels that have become limited, and given back at those that are
-- not limited any more. A hold that was promised stays, even if that makes a debt.
local function align(tab, caller)
  if caller.held_at == tab.held_at then return end
  for _, level in ipairs(caller) do
    local was_held = floor(tab.held_at / level.bit) % 2 == 1
    if tab.held_us > 0 and was_held ~= level.is_limit then
      local bucket = bucket_at(level.bucket, level.per_s, level.burst)
      if bucket then
        local moved_us = was_held and -math.min(tab.held_us, bucket.held_us) or tab.held_us
        bucket.balance_us, bucket.held_us = bucket.balance_us - moved_us, bucket.held_us + moved_us
      end
    end
  end
  tab.held_at = caller.held_at
end

-- Slices are one list of numbers, five for each. Whether none is missing between those settled and those that come.
local function follow(slices, settled)
  local expected = settled
  for at = 1, #slices, 5 do
    if slices[at] > expected then return false end
    if slices[at] == expected then expected = expected + 1 end
  end
  return true
end

local function settle(tab, caller, slices)
  local cost_us, settled = 0, tab.settled
  for at = 1, #slices, 5 do
    if slices[at] == tab.settled then
      local compute_us, at_ms = slices[at + 1], slices[at + 4]
      local hour = floor(at_ms / 3600000)
      if floor(tab.at_ms / 3600000) ~= hour then record_open(tab, false) end
      cost_us = cost_us + compute_us
      tab.settled = tab.settled + 1
      tab.settled_us = tab.settled_us + compute_us
      tab.settled_audio_ms = tab.settled_audio_ms + slices[at + 2]
      tab.settled_conn_ms = tab.settled_conn_ms + slices[at + 3]
      tab.at_ms = at_ms
      tally(hour .. ':settled_us', compute_us)
      if tab.settled % event_window_slices == 0 then record_open(tab, false) end
    end
  end
  if tab.settled == settled then return end
  for at = 1, #caller do
    local level = caller[at]
    if level.has_compute then
      local bucket = bucket_at(level.bucket, level.per_s, level.burst)
      if level.is_limit then
        local from_held_us = math.min(cost_us, tab.held_us, bucket.held_us)
        bucket.held_us = bucket.held_us - from_held_us
        bucket.balance_us = bucket.balance_us - (cost_us - from_held_us)
      elseif bucket.balance_us > 0 then
        bucket.balance_us = max(0, bucket.balance_us - cost_us)
      end
    end
  end
  tab.held_us = max(0, tab.held_us - cost_us)
end

-- Places: leases that expire by Redis's clock ------------------------------------------------------------------------

local tidied = {}

-- Drops the expired, except of the org: the sweeper finds there whose gateway died. A lease never runs for longer than
-- the TTL, wherever the clock goes.
local function tidy(level)
  if tidied[level.leases] then return end
  tidied[level.leases] = true
  local key, most_ms = KEYS[level.leases], now_ms + lease_ttl_ms
  if level.number < 3 then call('ZREMRANGEBYSCORE', key, '-inf', now_ms) end
  for _, session in ipairs(call('ZRANGEBYSCORE', key, format('(%d', most_ms), '+inf')) do
    call('ZADD', key, 'XX', most_ms, session)
  end
end

local function take_places(caller, session)
  for _, level in ipairs(caller) do
    if level.number == 3 or level.max_sessions >= 0 then
      tidy(level)
      call('ZADD', KEYS[level.leases], now_ms + lease_ttl_ms, session)
    end
    if level.has_compute then
      keep(bucket_at(level.bucket, level.per_s, level.burst), level.per_s, level.burst)
    end
  end
end

-- Credit -------------------------------------------------------------------------------------------------------------

-- The narrowest level that refuses is named; the time is that of the one that takes longest.
local function refuse(verdict, level, what, retry_after_ms)
  if level.is_shadow then
    if not verdict.shadow_level then verdict.shadow_level, verdict.shadow_for = level.number, what end
    return
  end
  if not verdict.level then verdict.level, verdict.refused_for = level.number, what end
  verdict.retry_after_ms = max(verdict.retry_after_ms or 1, retry_after_ms)
end

-- Until the bucket holds so much, if nobody else takes any.
local function wait_ms(bucket, amount, per_s, burst)
  if per_s == 0 then return unknown_retry_ms end
  if amount > burst then return max_retry_ms end
  local seconds, rest = divide(amount - bucket.balance_us, per_s)
  return math.min(max_retry_ms, seconds * 1000 + math.ceil(rest * 1000 / per_s))
end

-- Holds what the tab lacks to `hold_us`, or to `least_hold_us`, at every level that limits; or nothing, where the
-- verdict has a level, which refuses. `find_refusals` may add reasons.
local function credit(tab, caller, hold_us, least_hold_us, find_refusals)
  local verdict = {}
  local more_us, needed_us = hold_us - tab.held_us, math.min(least_hold_us, hold_us) - tab.held_us
  local has_room = true
  for at = 1, #caller do
    local level = caller[at]
    if find_refusals then find_refusals(verdict, level) end
    if level.has_compute then
      local bucket = bucket_at(level.bucket, level.per_s, level.burst)
      if needed_us > 0 and bucket.balance_us < needed_us then
        local retry_after_ms = wait_ms(bucket, needed_us, level.per_s, level.burst)
        if find_refusals and needed_us > level.burst - bucket.held_us then  -- no time brings that, only who lets go
          retry_after_ms = max(retry_after_ms, unknown_retry_ms)
        end
        refuse(verdict, level, 3, retry_after_ms)
      end
      if bucket.balance_us < more_us and level.is_limit then has_room = false end
    end
  end
  if not has_room then more_us = needed_us end
  if more_us > 0 and not verdict.level then
    tab.held_us = tab.held_us + more_us
    for at = 1, #caller do
      if caller[at].is_limit then
        local bucket = buckets[caller[at].bucket]
        bucket.balance_us, bucket.held_us = bucket.balance_us - more_us, bucket.held_us + more_us
      end
    end
  end
  return verdict
end

-- Answers ------------------------------------------------------------------------------------------------------------

local answers = {}

-- With a caller, also what the level has left that has the least.
local function answer(status, tab, caller, verdict)
  local count, remaining_us, level_number = #answers, -1, 0
  for at = 1, caller and #caller or 0 do
    local level = caller[at]
    if level.is_limit then
      local left_us = max(0, bucket_at(level.bucket, level.per_s, level.burst).balance_us)
      if level_number == 0 or left_us < remaining_us then remaining_us, level_number = left_us, level.number end
    end
  end
  answers[count + 1] = status
  answers[count + 2] = tab and tab.settled or 0
  answers[count + 3] = tab and tab.recorded or 0
  answers[count + 4] = tab and tab.settled_us or 0
  answers[count + 5] = tab and tab.held_us or 0
  answers[count + 6] = remaining_us
  answers[count + 7] = verdict and verdict.level or level_number
  answers[count + 8] = verdict and verdict.retry_after_ms or -1
  answers[count + 9] = verdict and verdict.refused_for or 0
  answers[count + 10] = verdict and verdict.shadow_level or 0
  answers[count + 11] = verdict and verdict.shadow_for or 0
  answers[count + 12] = tab and tab.num_cuts or 0
  answers[count + 13] = tab and tab.last_cut or 0
end

-- Requests -----------------------------------------------------------------------------------------------------------

local function run(_, tab_place, session, caller_place, labels, slices, hold_us, least_hold_us, renews_lease)
  local caller, tab = callers[caller_place], read_tab(tab_place)
  if not tab or tab.state == 3 then return answer(2) end
  if not follow(slices, tab.settled) then return answer(3, tab) end
  if tab.state == 1 then
    if #slices > 0 and slices[#slices - 4] >= tab.settled then
      align(tab, caller)
      settle(tab, caller, slices)
      record_open(tab, true)
      write_tab(tab)
    end
    return answer(0, tab, caller)
  end
  if labels ~= '' and labels ~= call('HGET', KEYS[tab_place], 'labels') then
    cut(tab)
    tab.new_labels = labels
  end
  align(tab, caller)
  settle(tab, caller, slices)
  local verdict = credit(tab, caller, hold_us, least_hold_us)
  local takes_place = renews_lease or tab.state == 2
  if takes_place then take_places(caller, session) end
  tab.state = 0
  write_tab(tab, takes_place)
  answer(verdict.level and 1 or 0, tab, caller, verdict)
end

-- The requests of which a session has few.
local function others()
  -- `first`: the first slice that is not known; the rest: what was used in all slices before.
  local function new_tab(place, state, first, compute_us, audio_ms, conn_ms, labels)
    return {
      place = place, state = state, held_at = 0, held_us = 0, new_labels = labels, at_ms = 0,
      num_cuts = 0, last_cut = 0,
      settled = first, settled_us = compute_us, settled_audio_ms = audio_ms, settled_conn_ms = conn_ms,
      recorded = first, recorded_us = compute_us, recorded_audio_ms = audio_ms, recorded_conn_ms = conn_ms,
    }
  end

  local function release_all(tab, caller)
    for _, level in ipairs(caller) do
      if level.is_limit and tab.held_us > 0 then
        local bucket = bucket_at(level.bucket, level.per_s, level.burst)
        local back_us = math.min(tab.held_us, bucket.held_us)
        bucket.balance_us, bucket.held_us = bucket.balance_us + back_us, bucket.held_us - back_us
      end
    end
    tab.held_us = 0
  end

  local function give_places(caller, session)
    for _, level in ipairs(caller) do call('ZREM', KEYS[level.leases], session) end
  end

  local function starts_of(level)
    local bucket = bucket_at(level.starts, level.starts_per_s, level.starts_burst)
    keep(bucket, level.starts_per_s, level.starts_burst)
    return bucket
  end

  -- Why a level would not let one more session start.
  local function may_start(verdict, level)
    if level.max_sessions >= 0 then
      tidy(level)
      local count = call('ZCOUNT', KEYS[level.leases], format('(%d', now_ms), '+inf')
      if count >= level.max_sessions then refuse(verdict, level, 1, unknown_retry_ms) end
    end
    if level.starts_per_s >= 0 then
      local bucket = starts_of(level)
      if bucket.balance_us < 1000000 then
        refuse(verdict, level, 2, wait_ms(bucket, 1000000, level.starts_per_s, level.starts_burst))
      end
    end
    if level.has_compute then
      keep(bucket_at(level.bucket, level.per_s, level.burst), level.per_s, level.burst)
    end
  end

  local function open(_, tab_place, session, caller_place, labels, hold_us, least_hold_us)
    local caller, tab = callers[caller_place], read_tab(tab_place)
    if tab and (tab.state == 1 or tab.state == 3) then return answer(2) end
    local is_start = not tab
    if is_start then tab = new_tab(tab_place, 0, 0, 0, 0, 0, labels) end
    align(tab, caller)
    local verdict = credit(tab, caller, hold_us, least_hold_us, is_start and may_start or nil)
    if is_start and verdict.level then return answer(1, nil, caller, verdict) end
    for _, level in ipairs(caller) do
      if is_start and level.starts_per_s >= 0 then
        local bucket = starts_of(level)
        if not level.is_shadow or bucket.balance_us > 0 then bucket.balance_us = bucket.balance_us - 1000000 end
        if level.is_shadow and bucket.balance_us < 0 then bucket.balance_us = 0 end
        keep(bucket, level.starts_per_s, level.starts_burst)
      end
    end
    take_places(caller, session)
    tab.state = 0
    write_tab(tab, true)
    answer(verdict.level and 1 or 0, tab, caller, verdict)
  end

  local function close(_, tab_place, session, caller_place, slices, is_swept)
    local caller, tab = callers[caller_place], read_tab(tab_place)
    if is_swept then
      local org = caller[#caller]
      tidy(org)
      local held_until_ms = call('ZSCORE', KEYS[org.leases], session)
      if held_until_ms and tonumber(held_until_ms) > now_ms then
        return answer(1, tab, nil, { level = 3, refused_for = 1, retry_after_ms = unknown_retry_ms })
      end
    end
    if not tab or tab.state == 3 then
      give_places(caller, session)
      return answer(2)
    end
    if not follow(slices, tab.settled) then return answer(3, tab) end
    align(tab, caller)
    settle(tab, caller, slices)
    release_all(tab, caller)
    if is_swept then cut(tab) else record_open(tab, true) end
    if not is_swept then tab.state = 1 elseif tab.state == 0 then tab.state = 2 end
    give_places(caller, session)
    write_tab(tab, true)
    answer(0, tab)
  end

  -- Where a tab knows less than an earlier event covers, or its totals only from the events that were found. What
  -- lies between is billed, as nothing else will bill it.
  local function catch_up(tab, recorded, compute_us, audio_ms, conn_ms, slices)
    if tab.state == 3 and tab.recorded >= recorded then
      for at = 1, #slices, 5 do
        if slices[at] < tab.settled then compute_us = compute_us + slices[at + 1] end
      end
      tab.settled_us, tab.recorded_us = compute_us, compute_us
    elseif tab.settled < recorded then
      if tab.state ~= 3 then
        tally(floor(tab.at_ms / 3600000) .. ':settled_us', compute_us - tab.settled_us)
      end
      tab.settled, tab.settled_us, tab.settled_audio_ms, tab.settled_conn_ms = recorded, compute_us, audio_ms, conn_ms
      if tab.state ~= 3 then record_open(tab, false) end
      tab.recorded, tab.recorded_us, tab.recorded_audio_ms, tab.recorded_conn_ms =
        recorded, compute_us, audio_ms, conn_ms
    end
  end

  local function restore(_, tab_place, session, caller_place, labels, recorded, compute_us, audio_ms, conn_ms, slices,
                         hold_us, is_over)
    local caller, tab = callers[caller_place], read_tab(tab_place)
    if not follow(slices, recorded) then return answer(3, tab) end
    if not tab then tab = new_tab(tab_place, 3, recorded, compute_us, audio_ms, conn_ms) end
    if tab.state == 3 or tab.settled == 0 then tab.new_labels = labels end
    catch_up(tab, recorded, compute_us, audio_ms, conn_ms, slices)
    align(tab, caller)
    settle(tab, caller, slices)
    if is_over or tab.state == 1 then
      release_all(tab, caller)
      record_open(tab, true)
      tab.state = 1
      give_places(caller, session)
    else
      -- Without asking: it was spent, or promised.
      local more_us = max(0, hold_us - tab.held_us)
      tab.held_us = tab.held_us + more_us
      for _, level in ipairs(caller) do
        if level.is_limit then
          local bucket = bucket_at(level.bucket, level.per_s, level.burst)
          bucket.balance_us, bucket.held_us = bucket.balance_us - more_us, bucket.held_us + more_us
        end
      end
      take_places(caller, session)
      tab.state = 0
    end
    write_tab(tab, true)
    answer(0, tab, caller)
  end

  local function record(_, tab_place, labels, first, last, compute_us, audio_ms, conn_ms, audio_before_ms,
                        conn_before_ms, at_ms, is_last)
    local tab = read_tab(tab_place)
    if tab and tab.recorded > first then return answer(0, tab) end
    if tab and first > tab.recorded and tab.settled > tab.recorded then return answer(3, tab) end
    if not tab then tab = new_tab(tab_place, 3, first, 0, audio_before_ms, conn_before_ms, labels) end
    write_event(first, last, compute_us, audio_ms, conn_ms, audio_before_ms, conn_before_ms, at_ms, is_last, labels)
    tab.recorded, tab.recorded_us = last + 1, tab.recorded_us + compute_us
    tab.recorded_audio_ms, tab.recorded_conn_ms = audio_before_ms + audio_ms, conn_before_ms + conn_ms
    if tab.settled <= last then
      tally(floor(at_ms / 3600000) .. ':settled_us', tab.recorded_us - tab.settled_us)
      tab.settled, tab.settled_us, tab.at_ms = tab.recorded, tab.recorded_us, at_ms
      tab.settled_audio_ms, tab.settled_conn_ms = tab.recorded_audio_ms, tab.recorded_conn_ms
    end
    write_tab(tab, tab.state == 3)
    answer(0, tab)
  end

  return { open, run, close, restore, record }
end

local by_number
for _, request in ipairs(requests) do
  if request[1] == 2 then
    run(unpack(request))
  else
    by_number = by_number or others()
    by_number[request[1]](unpack(request))
  end
end
write_buckets()
write_tally()
return answers
