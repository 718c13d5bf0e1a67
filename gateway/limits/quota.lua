#!lua
-- Carries out a batch of requests for one org, in their order, each wholly or not at all. What they mean is said in
-- gateway/limits/calls.py, how they are written in gateway/limits/script_codec.py, the arithmetic in
-- policies/compute_quota.py; tests hold this file against a twin of it in Python.
--
-- These must stay true:
--   * Every key is in KEYS, and all of one org: a cluster then runs this on one node.
--   * No flags: Redis refuses the whole script, before it has written anything, where it is out of memory, a replica, or
--     short of replicas.
--   * Every number is an integer below 2^53, where doubles are exact. Lua's `..` prints 14 digits, so numbers go to
--     redis.call as numbers, which print all.
--   * The time is Redis's own. It may go back: then nothing is gained and nothing lost. It may leap ahead: then a bucket
--     gains what it lacks to its burst, once.
--   * A level in shadow mode never refuses. Nothing is held at it; what is settled is debited, but not below zero.
--   * The stream is not trimmed here: the exporter does that, after it has delivered.

local OPEN_TAB, CLOSED_TAB, SWEPT_TAB, RECORDED_TAB = 0, 1, 2, 3  -- recorded: known from its events alone
local OK, REFUSED, UNKNOWN_TAB, MISSING_SLICES = 0, 1, 2, 3
local SESSIONS, STARTS, COMPUTE = 1, 2, 3
local ORG = 3
local MILLION = 1000000
local MS_PER_HOUR = 3600000
local MOST_TTL_S = 315360000

local batch = cmsgpack.unpack(ARGV[1])
local levels, requests = batch[2], batch[3]
local lease_ttl_ms, event_window_slices, tab_ttl_s, max_retry_ms, unknown_retry_ms, tally_hours = unpack(batch[1])

local call, floor, ceil = redis.call, math.floor, math.ceil
local time = redis.call('TIME')
local now_us = time[1] * MILLION + time[2]
local now_ms = time[1] * 1000 + floor(time[2] / 1000)
local expires_at_ms = now_ms + lease_ttl_ms

-- Places in a level and in a request, see script_codec.py.
local NUMBER, BUCKET, STARTS_BUCKET, LEASES, IS_SHADOW, PER_S, BURST, MAX_SESSIONS, STARTS_PER_S, STARTS_BURST =
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10
local TAB, SESSION, FIRST_LEVEL, LAST_LEVEL = 2, 3, 4, 6

-- Quotient and remainder. The quotient of doubles may be rounded up to the next integer, never down past one.
local function divide(number, by)
  local whole = floor(number / by)
  local rest = number - whole * by
  if rest < 0 then return whole - 1, rest + by end
  return whole, rest
end

local function hour_of(at_ms)
  return floor(at_ms / MS_PER_HOUR)
end

-- Buckets: read once, kept for the batch, written at its end -------------------------------------------------------

local buckets, touched = {}, {}

local function refill(bucket, per_s, burst)
  local elapsed_us = now_us - bucket.at_us
  if elapsed_us < 0 then elapsed_us = 0 end
  bucket.at_us = now_us
  local seconds, rest_us = divide(elapsed_us, MILLION)
  local gained, carry = divide(per_s * rest_us + bucket.carry, MILLION)
  gained = gained + per_s * seconds  -- inexact only where it is more than any burst
  local most_us = burst - bucket.held_us
  if bucket.balance_us + gained >= most_us then
    bucket.balance_us, bucket.carry = most_us, 0
  else
    bucket.balance_us, bucket.carry = bucket.balance_us + gained, carry
  end
end

-- The bucket of a level as of now. With per_s -1, of a level that has no limit any more: as it is, nil if there is none.
local function bucket_at(place, per_s, burst)
  local bucket = buckets[place]
  if not bucket then
    local kept = call('HMGET', KEYS[place], 'balance_us', 'held_us', 'at_us', 'carry')
    if kept[1] then
      bucket = {
        balance_us = tonumber(kept[1]), held_us = tonumber(kept[2]) or 0, at_us = tonumber(kept[3]) or now_us,
        carry = tonumber(kept[4]) or 0,
      }
    elseif per_s < 0 then
      return nil
    else
      bucket = { balance_us = per_s > 0 and burst or 0, held_us = 0, at_us = now_us, carry = 0 }
    end
    bucket.place = place
    buckets[place] = bucket
    touched[#touched + 1] = bucket
  end
  if per_s >= 0 then refill(bucket, per_s, burst) end
  return bucket
end

local function hold(bucket, amount_us)
  bucket.balance_us = bucket.balance_us - amount_us
  bucket.held_us = bucket.held_us + amount_us
end

local function settle_in(bucket, cost_us, out_of_us)
  local from_held_us = math.min(cost_us, out_of_us, bucket.held_us)
  bucket.held_us = bucket.held_us - from_held_us
  bucket.balance_us = bucket.balance_us - (cost_us - from_held_us)
end

local function spend_in_shadow(bucket, cost_us)
  if bucket.balance_us > 0 then bucket.balance_us = math.max(0, bucket.balance_us - cost_us) end
end

local function release(bucket, unused_us)
  local back_us = math.min(unused_us, bucket.held_us)
  bucket.held_us = bucket.held_us - back_us
  bucket.balance_us = bucket.balance_us + back_us
end

-- Until the bucket holds so much, if nobody else takes any.
local function wait_ms(bucket, amount, per_s, burst)
  if per_s == 0 then return unknown_retry_ms end
  if amount > burst then return max_retry_ms end
  local seconds, rest = divide(amount - bucket.balance_us, per_s)
  return math.min(max_retry_ms, seconds * 1000 + ceil(rest * 1000 / per_s))
end

-- An idle bucket is dropped when it has long been full, as a new one begins full; a borrowed one never.
local function keep(bucket, per_s, burst)
  if per_s == 0 then
    bucket.ttl_s = 0
  else
    bucket.ttl_s = math.min(MOST_TTL_S, tab_ttl_s + ceil((burst - bucket.balance_us) / per_s))
  end
end

local function write_buckets()
  for _, bucket in ipairs(touched) do
    local key = KEYS[bucket.place]
    call('HSET', key, 'balance_us', bucket.balance_us, 'held_us', bucket.held_us, 'at_us', bucket.at_us,
      'carry', bucket.carry)
    if bucket.ttl_s == 0 then call('PERSIST', key) elseif bucket.ttl_s then call('EXPIRE', key, bucket.ttl_s) end
  end
end

-- The hourly tally: gathered, written at the end of the batch --------------------------------------------------------

local tallied, tally_order = {}, {}

local function tally(hour, what, amount)
  local field = hour .. what
  if not tallied[field] then
    tallied[field] = 0
    tally_order[#tally_order + 1] = field
  end
  tallied[field] = tallied[field] + amount
end

local function write_tally()
  local key = KEYS[2]
  local has_new = false
  for _, field in ipairs(tally_order) do
    if call('HINCRBY', key, field, tallied[field]) == tallied[field] then has_new = true end
  end
  if has_new and call('HLEN', key) > 3 * tally_hours then
    local oldest = hour_of(now_ms) - tally_hours
    for _, field in ipairs(call('HKEYS', key)) do
      if tonumber(string.match(field, '^%d+')) < oldest then call('HDEL', key, field) end
    end
  end
end

-- Tabs ---------------------------------------------------------------------------------------------------------------

local function read_tab(place)
  local kept = call('HMGET', KEYS[place], 'state', 'levels', 'held_us', 'settled', 'settled_us', 'settled_audio_ms',
    'settled_conn_ms', 'recorded', 'recorded_us', 'recorded_audio_ms', 'recorded_conn_ms', 'at_ms')
  if not kept[1] then return nil end
  return {
    place = place, state = tonumber(kept[1]), levels = tonumber(kept[2]), held_us = tonumber(kept[3]),
    settled = tonumber(kept[4]), settled_us = tonumber(kept[5]), settled_audio_ms = tonumber(kept[6]),
    settled_conn_ms = tonumber(kept[7]), recorded = tonumber(kept[8]), recorded_us = tonumber(kept[9]),
    recorded_audio_ms = tonumber(kept[10]), recorded_conn_ms = tonumber(kept[11]), at_ms = tonumber(kept[12]),
  }
end

-- `first`: its first slice that is not known; the rest: what was used in all slices before.
local function new_tab(place, state, first, compute_us, audio_ms, conn_ms)
  return {
    place = place, state = state, levels = 0, held_us = 0,
    settled = first, settled_us = compute_us, settled_audio_ms = audio_ms, settled_conn_ms = conn_ms,
    recorded = first, recorded_us = compute_us, recorded_audio_ms = audio_ms, recorded_conn_ms = conn_ms, at_ms = 0,
  }
end

local function write_tab(tab)
  local key = KEYS[tab.place]
  call('HSET', key, 'state', tab.state, 'levels', tab.levels, 'held_us', tab.held_us, 'settled', tab.settled,
    'settled_us', tab.settled_us, 'settled_audio_ms', tab.settled_audio_ms, 'settled_conn_ms', tab.settled_conn_ms,
    'recorded', tab.recorded, 'recorded_us', tab.recorded_us, 'recorded_audio_ms', tab.recorded_audio_ms,
    'recorded_conn_ms', tab.recorded_conn_ms, 'at_ms', tab.at_ms)
  if tab.new_labels then call('HSET', key, 'labels', tab.new_labels) end
end

local function keep_tab(tab)
  call('EXPIRE', KEYS[tab.place], tab_ttl_s)
end

local function labels_of(tab)
  return tab.new_labels or call('HGET', KEYS[tab.place], 'labels')
end

local function write_event(first, last, compute_us, audio_ms, conn_ms, audio_before_ms, conn_before_ms, at_ms, is_last,
                           labels)
  call('XADD', KEYS[1], '*', 'first', first, 'last', last, 'compute_us', compute_us, 'audio_ms', audio_ms,
    'conn_ms', conn_ms, 'audio_before_ms', audio_before_ms, 'conn_before_ms', conn_before_ms, 'at_ms', at_ms,
    'is_last', is_last and 1 or 0, 'labels', labels)
  local hour = hour_of(at_ms)
  tally(hour, ':recorded_us', compute_us)
  tally(hour, ':events', 1)
end

-- Bills what is settled and not recorded yet.
local function record_open(tab, is_last)
  if tab.settled == tab.recorded then return end
  write_event(tab.recorded, tab.settled - 1, tab.settled_us - tab.recorded_us,
    tab.settled_audio_ms - tab.recorded_audio_ms, tab.settled_conn_ms - tab.recorded_conn_ms,
    tab.recorded_audio_ms, tab.recorded_conn_ms, tab.at_ms, is_last, labels_of(tab))
  tab.recorded, tab.recorded_us = tab.settled, tab.settled_us
  tab.recorded_audio_ms, tab.recorded_conn_ms = tab.settled_audio_ms, tab.settled_conn_ms
end

local function relabel(tab, labels)
  if labels == labels_of(tab) then return end
  record_open(tab, false)
  tab.new_labels = labels
end

-- The slices as one list of numbers --------------------------------------------------------------------------------

-- Whether none is missing between those that are settled and those that come.
local function follow(slices, settled)
  local expected = settled
  for at = 1, #slices, 5 do
    if slices[at] > expected then return false end
    if slices[at] == expected then expected = expected + 1 end
  end
  return true
end

local function has_new(slices, settled)
  local count = #slices
  return count > 0 and slices[count - 4] >= settled
end

-- What is held follows the limits: it is moved to levels that have become limited, and given back at those that are
-- not limited any more. A hold that was promised stays, even if that makes a debt.
local function align(tab, request)
  local wanted, bit = 0, 1
  for at = FIRST_LEVEL, LAST_LEVEL do
    local level = levels[request[at]]
    if level and level[PER_S] >= 0 and not level[IS_SHADOW] then wanted = wanted + bit end
    bit = bit * 2
  end
  if wanted == tab.levels then return end
  if tab.held_us > 0 then
    bit = 1
    for at = FIRST_LEVEL, LAST_LEVEL do
      local level = levels[request[at]]
      local is_held, is_wanted = floor(tab.levels / bit) % 2 == 1, floor(wanted / bit) % 2 == 1
      if level and is_held ~= is_wanted then
        local bucket = bucket_at(level[BUCKET], level[PER_S], level[BURST])
        if is_wanted then hold(bucket, tab.held_us) elseif bucket then release(bucket, tab.held_us) end
      end
      bit = bit * 2
    end
  end
  tab.levels = wanted
end

local function settle(tab, request, slices)
  if not has_new(slices, tab.settled) then return end
  local cost_us = 0
  for at = 1, #slices, 5 do
    local number, compute_us, at_ms = slices[at], slices[at + 1], slices[at + 4]
    if number == tab.settled then
      local hour = hour_of(at_ms)
      if hour_of(tab.at_ms) ~= hour then record_open(tab, false) end
      cost_us = cost_us + compute_us
      tab.settled = number + 1
      tab.settled_us = tab.settled_us + compute_us
      tab.settled_audio_ms = tab.settled_audio_ms + slices[at + 2]
      tab.settled_conn_ms = tab.settled_conn_ms + slices[at + 3]
      tab.at_ms = at_ms
      tally(hour, ':settled_us', compute_us)
      if tab.settled % event_window_slices == 0 then record_open(tab, false) end
    end
  end
  for at = FIRST_LEVEL, LAST_LEVEL do
    local level = levels[request[at]]
    if level and level[PER_S] >= 0 then
      local bucket = bucket_at(level[BUCKET], level[PER_S], level[BURST])
      if level[IS_SHADOW] then spend_in_shadow(bucket, cost_us) else settle_in(bucket, cost_us, tab.held_us) end
    end
  end
  tab.held_us = math.max(0, tab.held_us - cost_us)
end

-- Holds so much more at every level that limits, without asking.
local function hold_at_all(tab, request, amount_us)
  if amount_us <= 0 then return end
  tab.held_us = tab.held_us + amount_us
  for at = FIRST_LEVEL, LAST_LEVEL do
    local level = levels[request[at]]
    if level and level[PER_S] >= 0 and not level[IS_SHADOW] then
      hold(bucket_at(level[BUCKET], level[PER_S], level[BURST]), amount_us)
    end
  end
end

local function release_at_all(tab, request)
  if tab.held_us == 0 then return end
  for at = FIRST_LEVEL, LAST_LEVEL do
    local level = levels[request[at]]
    if level and level[PER_S] >= 0 and not level[IS_SHADOW] then
      release(bucket_at(level[BUCKET], level[PER_S], level[BURST]), tab.held_us)
    end
  end
  tab.held_us = 0
end

-- Places: leases that expire by Redis's clock ------------------------------------------------------------------------

local tidied = {}

-- Drops the expired, except of the org: the sweeper finds there whose gateway died. A lease never runs for longer than
-- the TTL, wherever the clock goes.
local function tidy(level)
  local place = level[LEASES]
  if tidied[place] then return end
  tidied[place] = true
  local key = KEYS[place]
  if level[NUMBER] ~= ORG then call('ZREMRANGEBYSCORE', key, '-inf', now_ms) end
  local late = call('ZRANGEBYSCORE', key, string.format('(%.0f', expires_at_ms), '+inf')
  for _, session in ipairs(late) do call('ZADD', key, 'XX', expires_at_ms, session) end
end

local function take_places(tab, request)
  for at = FIRST_LEVEL, LAST_LEVEL do
    local level = levels[request[at]]
    if level then
      if level[NUMBER] == ORG or level[MAX_SESSIONS] >= 0 then
        tidy(level)
        call('ZADD', KEYS[level[LEASES]], expires_at_ms, request[SESSION])
      end
      if level[PER_S] >= 0 then
        keep(bucket_at(level[BUCKET], level[PER_S], level[BURST]), level[PER_S], level[BURST])
      end
    end
  end
end

local function give_places(request)
  for at = FIRST_LEVEL, LAST_LEVEL do
    local level = levels[request[at]]
    if level then call('ZREM', KEYS[level[LEASES]], request[SESSION]) end
  end
end

-- Answers ------------------------------------------------------------------------------------------------------------

local answers = {}

local function answer(status, tab, request, verdict)
  local at = #answers
  local remaining_us, level_number = -1, 0
  if request and verdict then
    for index = FIRST_LEVEL, LAST_LEVEL do
      local level = levels[request[index]]
      if level and level[PER_S] >= 0 and not level[IS_SHADOW] then
        local left_us = math.max(0, bucket_at(level[BUCKET], level[PER_S], level[BURST]).balance_us)
        if level_number == 0 or left_us < remaining_us then remaining_us, level_number = left_us, level[NUMBER] end
      end
    end
  end
  verdict = verdict or {}
  answers[at + 1] = status
  answers[at + 2] = tab and tab.settled or 0
  answers[at + 3] = tab and tab.recorded or 0
  answers[at + 4] = tab and tab.settled_us or 0
  answers[at + 5] = tab and tab.held_us or 0
  answers[at + 6] = remaining_us
  answers[at + 7] = verdict.level or level_number
  answers[at + 8] = verdict.retry_after_ms or -1
  answers[at + 9] = verdict.refused_for or 0
  answers[at + 10] = verdict.shadow_level or 0
  answers[at + 11] = verdict.shadow_for or 0
end

-- The narrowest level that refuses is named; the time is that of the one that takes longest.
local function refuse(verdict, level, what, retry_after_ms)
  if level[IS_SHADOW] then
    if not verdict.shadow_level then verdict.shadow_level, verdict.shadow_for = level[NUMBER], what end
    return
  end
  if not verdict.level then verdict.level, verdict.refused_for = level[NUMBER], what end
  verdict.retry_after_ms = math.max(verdict.retry_after_ms or 1, retry_after_ms)
end

-- How much more may be held; nothing where the verdict has a level, which refused.
local function judge(verdict, request, held_us, hold_us, least_hold_us, is_start)
  local more_us, needed_us = hold_us - held_us, math.min(least_hold_us, hold_us) - held_us
  local has_room = true
  for at = FIRST_LEVEL, LAST_LEVEL do
    local level = levels[request[at]]
    if level then
      if is_start and level[MAX_SESSIONS] >= 0 then
        tidy(level)
        local count = call('ZCOUNT', KEYS[level[LEASES]], string.format('(%.0f', now_ms), '+inf')
        if count >= level[MAX_SESSIONS] then refuse(verdict, level, SESSIONS, unknown_retry_ms) end
      end
      if is_start and level[STARTS_PER_S] >= 0 then
        local bucket = bucket_at(level[STARTS_BUCKET], level[STARTS_PER_S], level[STARTS_BURST])
        keep(bucket, level[STARTS_PER_S], level[STARTS_BURST])
        if bucket.balance_us < MILLION then
          refuse(verdict, level, STARTS, wait_ms(bucket, MILLION, level[STARTS_PER_S], level[STARTS_BURST]))
        end
      end
      if level[PER_S] >= 0 then
        local bucket = bucket_at(level[BUCKET], level[PER_S], level[BURST])
        if is_start then keep(bucket, level[PER_S], level[BURST]) end
        if needed_us > 0 and bucket.balance_us < needed_us then
          refuse(verdict, level, COMPUTE, wait_ms(bucket, needed_us, level[PER_S], level[BURST]))
        end
        if bucket.balance_us < more_us and not level[IS_SHADOW] then has_room = false end
      end
    end
  end
  if verdict.level then return 0 end
  return math.max(0, has_room and more_us or needed_us)
end

local function count_start(request)
  for at = FIRST_LEVEL, LAST_LEVEL do
    local level = levels[request[at]]
    if level and level[STARTS_PER_S] >= 0 then
      local bucket = bucket_at(level[STARTS_BUCKET], level[STARTS_PER_S], level[STARTS_BURST])
      if level[IS_SHADOW] then spend_in_shadow(bucket, MILLION) else bucket.balance_us = bucket.balance_us - MILLION end
      keep(bucket, level[STARTS_PER_S], level[STARTS_BURST])
    end
  end
end

-- Requests -----------------------------------------------------------------------------------------------------------

local function open(request)
  local labels, hold_us, least_hold_us = request[7], request[8], request[9]
  local tab = read_tab(request[TAB])
  if tab and (tab.state == CLOSED_TAB or tab.state == RECORDED_TAB) then return answer(UNKNOWN_TAB) end
  local verdict = {}
  local is_start = not tab
  if is_start then
    tab = new_tab(request[TAB], OPEN_TAB, 0, 0, 0, 0)
    tab.new_labels = labels
  end
  align(tab, request)
  local more_us = judge(verdict, request, tab.held_us, hold_us, least_hold_us, is_start)
  if is_start and verdict.level then return answer(REFUSED, nil, request, verdict) end
  if is_start then count_start(request) end
  hold_at_all(tab, request, more_us)
  take_places(tab, request)
  tab.state = OPEN_TAB
  write_tab(tab)
  keep_tab(tab)
  answer(verdict.level and REFUSED or OK, tab, request, verdict)
end

local function run(request)
  local labels, slices, hold_us, least_hold_us, renews_lease =
    request[7], request[8], request[9], request[10], request[11]
  local tab = read_tab(request[TAB])
  if not tab or tab.state == RECORDED_TAB then return answer(UNKNOWN_TAB) end
  if not follow(slices, tab.settled) then return answer(MISSING_SLICES, tab) end
  local verdict = {}
  if tab.state == CLOSED_TAB then
    if has_new(slices, tab.settled) then
      align(tab, request)
      settle(tab, request, slices)
      record_open(tab, true)
      write_tab(tab)
    end
    return answer(OK, tab, request, verdict)
  end
  if labels ~= '' then relabel(tab, labels) end
  align(tab, request)
  settle(tab, request, slices)
  hold_at_all(tab, request, judge(verdict, request, tab.held_us, hold_us, least_hold_us, false))
  if renews_lease or tab.state == SWEPT_TAB then
    take_places(tab, request)
    keep_tab(tab)
  end
  tab.state = OPEN_TAB
  write_tab(tab)
  answer(verdict.level and REFUSED or OK, tab, request, verdict)
end

local function close(request)
  local slices, is_swept = request[7], request[8]
  local tab = read_tab(request[TAB])
  if is_swept then
    local org = levels[request[LAST_LEVEL]]
    tidy(org)
    local held_until_ms = call('ZSCORE', KEYS[org[LEASES]], request[SESSION])
    if held_until_ms and tonumber(held_until_ms) > now_ms then
      return answer(REFUSED, tab, nil, { level = ORG, refused_for = SESSIONS, retry_after_ms = unknown_retry_ms })
    end
  end
  if not tab or tab.state == RECORDED_TAB then
    give_places(request)
    return answer(UNKNOWN_TAB)
  end
  if not follow(slices, tab.settled) then return answer(MISSING_SLICES, tab) end
  align(tab, request)
  settle(tab, request, slices)
  release_at_all(tab, request)
  record_open(tab, not is_swept)
  if not is_swept then tab.state = CLOSED_TAB elseif tab.state == OPEN_TAB then tab.state = SWEPT_TAB end
  give_places(request)
  write_tab(tab)
  keep_tab(tab)
  answer(OK, tab)
end

-- Where the tab knows less than an earlier event covers, or its totals only from the events that were found.
local function catch_up(tab, request)
  local recorded, compute_us, audio_ms, conn_ms, slices = request[8], request[9], request[10], request[11], request[12]
  if tab.state == RECORDED_TAB and tab.recorded >= recorded then
    for at = 1, #slices, 5 do
      if slices[at] < tab.settled then compute_us = compute_us + slices[at + 1] end
    end
    tab.settled_us, tab.recorded_us = compute_us, compute_us
    return
  end
  if tab.settled >= recorded then return end
  if tab.state ~= RECORDED_TAB then tally(hour_of(tab.at_ms), ':settled_us', compute_us - tab.settled_us) end
  tab.settled, tab.settled_us, tab.settled_audio_ms, tab.settled_conn_ms = recorded, compute_us, audio_ms, conn_ms
  if tab.state ~= RECORDED_TAB then record_open(tab, false) end
  tab.recorded, tab.recorded_us, tab.recorded_audio_ms, tab.recorded_conn_ms = recorded, compute_us, audio_ms, conn_ms
end

local function restore(request)
  local labels, recorded, slices, hold_us, is_over = request[7], request[8], request[12], request[13], request[14]
  local tab = read_tab(request[TAB])
  if not follow(slices, recorded) then return answer(MISSING_SLICES, tab) end
  if not tab then
    tab = new_tab(request[TAB], RECORDED_TAB, recorded, request[9], request[10], request[11])
  end
  if tab.state == RECORDED_TAB then tab.new_labels = labels end
  catch_up(tab, request)
  local is_over_already = tab.state == CLOSED_TAB
  align(tab, request)
  settle(tab, request, slices)
  if is_over or is_over_already then
    release_at_all(tab, request)
    record_open(tab, true)
    tab.state = CLOSED_TAB
    give_places(request)
  else
    hold_at_all(tab, request, hold_us - tab.held_us)
    take_places(tab, request)
    tab.state = OPEN_TAB
  end
  write_tab(tab)
  keep_tab(tab)
  answer(OK, tab, request, {})
end

local function record(request)
  local _, _, labels, first, last, compute_us, audio_ms, conn_ms, audio_before_ms, conn_before_ms, at_ms, is_last =
    unpack(request)
  local tab = read_tab(request[TAB])
  if tab and tab.recorded > first then return answer(OK, tab) end
  if tab and first > tab.recorded and tab.settled > tab.recorded then return answer(MISSING_SLICES, tab) end
  if not tab then
    tab = new_tab(request[TAB], RECORDED_TAB, first, 0, audio_before_ms, conn_before_ms)
    tab.new_labels = labels
  end
  write_event(first, last, compute_us, audio_ms, conn_ms, audio_before_ms, conn_before_ms, at_ms, is_last, labels)
  tab.recorded, tab.recorded_us = last + 1, tab.recorded_us + compute_us
  tab.recorded_audio_ms, tab.recorded_conn_ms = audio_before_ms + audio_ms, conn_before_ms + conn_ms
  if tab.settled <= last then
    tally(hour_of(at_ms), ':settled_us', tab.recorded_us - tab.settled_us)
    tab.settled, tab.settled_us, tab.at_ms = tab.recorded, tab.recorded_us, at_ms
    tab.settled_audio_ms, tab.settled_conn_ms = tab.recorded_audio_ms, tab.recorded_conn_ms
  end
  write_tab(tab)
  if tab.state == RECORDED_TAB then keep_tab(tab) end
  answer(OK, tab)
end

local DO = { open, run, close, restore, record }
for _, request in ipairs(requests) do DO[request[1]](request) end
write_buckets()
write_tally()
return answers
