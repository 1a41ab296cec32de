-- prelude: what the verbs of a room share; it stands before each of them.
-- KEYS  1 room  2 entry  3 lease  4 away  5 owner  6 brokers  7 gone  8 gone:ends  9 dispatch
--       10.. the waiting line of each lane, in the config's order; then what the verb adds
-- ARGV  1 stamp of the config whose lanes are in KEYS: "epoch-version-saved at"; a version whose write was lost
--         in a failover may come again with another config, so its time tells them apart
--       2 now in ms, or '' for Redis's own time  3 number of lanes; then what the verb adds
-- OUT   {code, ...}: 0 and above is an outcome, below zero a refusal (`Code` in script.rs)
-- Numbers are whole and below 2^53. `..` and tostring round past 14 digits: use int().

local NO_ROOM, STALE, LAPSED, FULL, REFUSED, GONE_CODE = -1, -2, -3, -4, -5, -6
local ENDED, OTHER_FENCE, ALIVE, LANE_NOT_EMPTY, FROZEN = -7, -8, -9, -10, -12
local ABSENT, WAITING, ADMITTED, PLACE_GONE = 0, 1, 2, 3
local FIXED = 9

local ROOM, ENTRY, LEASE, AWAY = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local OWNER, BROKERS, GONE, GONE_ENDS, DISPATCH = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local LANES = tonumber(ARGV[3])
local call = redis.call

local NOW
local NAMES = {}
-- The room hash: what was read, and what put() changed.
local R = {}
local dirty = {}

local TEXTS = {'epoch', 'version', 'saved_at', 'state', 'lanes', 'strides', 'opening'}
local NUMBERS = {
  'capacity', 'rate', 'burst', 'claim_ttl', 'entry_ttl', 'away_grace', 'max_waiting', 'opens_at',
  'pass', 'last_fence', 'budget_milli', 'budget_at', 'tick_at', 'guard_until',
  'joined', 'admitted', 'completed', 'expired', 'left', 'drawn',
}
-- The watermark of a lane from which nobody was promoted: -2^63, below every sequence.
local NOBODY_YET = -2 ^ 63

local function int(number)
  return string.format('%.0f', number)
end

local function put(field, value)
  R[field] = value
  dirty[field] = true
end

-- Writes the room hash; the last thing that a changing verb does.
local function flush()
  local args = {}
  for field in pairs(dirty) do
    local value = R[field]
    args[#args + 1] = field
    args[#args + 1] = type(value) == 'number' and int(value) or value
  end
  if #args > 0 then call('HSET', ROOM, unpack(args)) end
end

local function read_time()
  if ARGV[2] ~= '' then
    NOW = tonumber(ARGV[2])
  else
    local time = call('TIME')
    NOW = time[1] * 1000 + math.floor(time[2] / 1000)
  end
end

local function split(text)
  local parts = {}
  for part in string.gmatch(text, '[^,]+') do parts[#parts + 1] = part end
  return parts
end

-- Reads the time and the room. Answers a refusal, or nil when the verb may go on.
local function open_room()
  read_time()
  local texts = call('HMGET', ROOM, unpack(TEXTS))
  if not texts[1] then return {NO_ROOM} end
  for i, field in ipairs(TEXTS) do R[field] = texts[i] end
  if R.epoch .. '-' .. R.version .. '-' .. R.saved_at ~= ARGV[1] then return {STALE} end -- guard: stale-config
  local numbers = call('HMGET', ROOM, unpack(NUMBERS))
  for i, field in ipairs(NUMBERS) do R[field] = tonumber(numbers[i]) end
  NAMES = split(R.lanes)
  assert(#NAMES == LANES, 'the lanes of the room and of its config differ')
  return nil
end

-- Reads one number of each lane: 'seq:', 'mark:' or 'pass:' followed by the lane's name.
local function read_lanes(prefix)
  local fields = {}
  for i = 1, LANES do fields[i] = prefix .. NAMES[i] end
  local values = call('HMGET', ROOM, unpack(fields))
  local missing = prefix == 'mark:' and NOBODY_YET or 0
  for i = 1, LANES do R[fields[i]] = tonumber(values[i]) or missing end
end

local function line(lane)
  return KEYS[FIXED + lane]
end

-- How many wait in each lane.
local function lengths()
  local all, total = {}, 0
  for i = 1, LANES do
    all[i] = call('ZCARD', line(i))
    total = total + all[i]
  end
  return all, total
end

-- The lane's index and the sequence of a person who waits, or nil.
local function waits(user)
  for i = 1, LANES do
    local sequence = call('ZSCORE', line(i), user)
    if sequence then return i, tonumber(sequence) end
  end
  return nil
end

-- How many stand before a person who is in line.
local function rank(lane, user)
  return call('ZRANK', line(lane), user)
end

-- Puts the room into a state. Leaving `scheduled` ends the draw, if there is one.
local function enter(state)
  if R.state == 'scheduled' and state ~= 'scheduled' then
    local _, waiting = lengths()
    put('drawn', waiting)
  end
  put('state', state)
end

-- Opens a scheduled room whose time has come, whatever the clock says later. Each verb that treats
-- people before and after the opening differently asks this first, so that the two meet at one moment.
local function open_if_due()
  if R.state == 'scheduled' and (not R.opens_at or R.opens_at <= NOW) then enter('open') end
end

local function after_outage()
  return NOW < R.tick_at or NOW - R.tick_at > OUTAGE_MS
end

-- Whether time lost to an outage or a clock step must not be held against people.
local function guarded()
  return NOW < R.guard_until or after_outage()
end

-- Leases whose deadline is in the future.
local function live_leases()
  return call('ZCOUNT', ENTRY, '(' .. int(NOW), '+inf')
end

-- Slots that are taken: a lease has its slot until it is ended, because one that ran out may live
-- again, by an outage or a clock that goes back. Whoever gives slots ends first what ran out.
local function taken()
  local from = '(' .. int(NOW)
  from = '-inf' -- guard: lapsed-slots
  return call('ZCOUNT', ENTRY, from, '+inf')
end

-- Whose time is up, at most 1,000, the earliest first.
local function due(ends)
  return call('ZRANGEBYSCORE', ends, '-inf', int(NOW), 'LIMIT', 0, MAX_BATCH)
end

local function settle_budget()
  local full = R.burst * 1000
  local elapsed = math.min(NOW - R.budget_at, math.floor(full / R.rate) + 1)
  elapsed = math.max(elapsed, 0) -- guard: pace-clock
  put('budget_milli', R.budget_milli + elapsed * R.rate)
  put('budget_milli', math.min(R.budget_milli, full)) -- guard: pace-burst
  put('budget_at', NOW)
end

-- A lease is "fence:admitted at:claim by:expires at:claimed:sequence:lane".
local function lease_text(lease)
  return lease.fence .. ':' .. lease.admitted_at .. ':' .. int(lease.claim_by) .. ':'
    .. int(lease.expires_at) .. ':' .. (lease.claimed and '1' or '0') .. ':'
    .. lease.sequence .. ':' .. lease.lane
end

local function read_lease(text)
  local fence, admitted_at, claim_by, expires_at, claimed, sequence, lane =
    string.match(text, '^(%d+):(%-?%d+):(%-?%d+):(%-?%d+):([01]):(%-?%d+):(.+)$')
  assert(fence, 'a lease is not as it was written')
  return {
    text = text, fence = fence, admitted_at = admitted_at, claim_by = tonumber(claim_by),
    expires_at = tonumber(expires_at), claimed = claimed == '1', sequence = sequence, lane = lane,
  }
end

local function lease_of(user)
  local text = call('HGET', LEASE, user)
  return text and read_lease(text) or nil
end

local function deadline(lease)
  if lease.claimed then return lease.expires_at end
  return math.min(lease.claim_by, lease.expires_at)
end

local function is_live(lease)
  return deadline(lease) > NOW
    or (not lease.claimed and lease.expires_at > NOW and guarded()) -- guard: outage-late-claim
end

local function write_lease(user, lease)
  lease.text = lease_text(lease)
  call('HSET', LEASE, user, lease.text)
  call('ZADD', ENTRY, deadline(lease), user)
end

-- Makes a lease and pays for it from the budget; the caller writes it.
local function new_lease(lane, sequence)
  put('last_fence', R.last_fence + 1)
  put('last_fence', math.max(R.last_fence, NOW * 1024)) -- guard: fence-of-lost-room
  put('budget_milli', R.budget_milli - 1000)
  put('admitted', R.admitted + 1)
  local mark = 'mark:' .. NAMES[lane]
  put(mark, math.max(R[mark], sequence))
  local expires_at = NOW + R.entry_ttl
  return {
    fence = int(R.last_fence), admitted_at = int(NOW), expires_at = expires_at,
    claim_by = math.min(NOW + R.claim_ttl, expires_at), claimed = false,
    sequence = int(sequence), lane = NAMES[lane],
  }
end

-- Remembers why up to 1,000 places ended, and forgets who was connected.
-- endings[i] is "reason:fence" of users[i].
local function end_places(users, endings)
  if #users == 0 then return end
  call('ZREM', AWAY, unpack(users))
  call('HDEL', OWNER, unpack(users))
  local gone, ends = {}, {}
  for i, user in ipairs(users) do
    gone[2 * i - 1], gone[2 * i] = user, endings[i]
    ends[2 * i - 1], ends[2 * i] = NOW + GONE_TTL_MS, user
  end
  call('HSET', GONE, unpack(gone))
  call('ZADD', GONE_ENDS, unpack(ends))
end

local function drop_lease(user)
  call('HDEL', LEASE, user)
  call('ZREM', ENTRY, user)
end

-- The live lease of a user, or nil. One that ran out is ended first, counted as expired.
local function live_lease(user)
  local lease = lease_of(user)
  if not lease or is_live(lease) then return lease end
  -- guard: lapsed-lease
  drop_lease(user)
  end_places({user}, {'expired:' .. lease.fence})
  put('expired', R.expired + 1)
  -- end guard
  return nil
end

-- Ends leases that ran out, and answers how many and whether there are more. After an outage, unclaimed
-- ones get until the end of the grace instead.
local function sweep_leases()
  local users = due(ENTRY)
  if #users == 0 then return 0, false end
  local leases = call('HMGET', LEASE, unpack(users))
  for i = 1, #users do
    assert(leases[i], 'a deadline has no lease')
    leases[i] = read_lease(leases[i])
  end
  local ended, endings = {}, {}
  for i, user in ipairs(users) do
    local lease = leases[i]
    local renewed = false
    renewed = not lease.claimed and NOW < R.guard_until and lease.expires_at > NOW -- guard: outage-claim
    if renewed then
      lease.claim_by = math.min(R.guard_until, lease.expires_at)
      write_lease(user, lease)
    else
      ended[#ended + 1] = user
      endings[#endings + 1] = 'expired:' .. lease.fence
    end
  end
  if #ended > 0 then
    call('ZREM', ENTRY, unpack(ended))
    call('HDEL', LEASE, unpack(ended))
    end_places(ended, endings)
    put('expired', R.expired + #ended)
  end
  return #ended, #users == MAX_BATCH
end

-- "reason:fence" of a place that ended a short while ago, or nil.
local function gone_of(user)
  local ending = call('HGET', GONE, user)
  if not ending then return nil end
  local until_ms = call('ZSCORE', GONE_ENDS, user)
  if until_ms and tonumber(until_ms) > NOW then return ending end
  return nil
end

-- Starts, or starts again, the grace of a person who waits.
local function start_away(user)
  call('ZADD', AWAY, NOW + R.away_grace, user)
end

-- Records how a person with a place is present: a stream ("broker:connection", and the key of the
-- broker's set) or, with owner '', a poll.
local function show_up(user, owner, connections, is_waiting)
  if owner ~= '' then
    call('HSET', OWNER, user, owner)
    call('SADD', connections, user)
    call('ZREM', AWAY, user)
  elseif is_waiting
    and call('HEXISTS', OWNER, user) == 0 -- guard: poll-beside-stream
  then
    start_away(user)
  end
end

-- Where a user is, without changing anything:
-- {WAITING, lane, sequence, rank or 0, waiting} | {ADMITTED, lease} | {PLACE_GONE, ending} | {ABSENT}
local function standing(user, ranked)
  local lease = lease_of(user)
  if lease then
    if is_live(lease) then return {ADMITTED, lease.text} end
    return {PLACE_GONE, 'expired:' .. lease.fence}
  end
  local lane, sequence = waits(user)
  if lane then
    local before = ranked and rank(lane, user) or 0
    return {WAITING, lane, sequence, before, call('ZCARD', line(lane))}
  end
  local ending = gone_of(user)
  if ending then return {PLACE_GONE, ending} end
  return {ABSENT}
end

-- {now, state, live leases, joined, admitted, completed, expired, left, drawn, then waiting and watermark a lane}
local function numbers()
  read_lanes('mark:')
  local out = {
    NOW, R.state, live_leases(), R.joined, R.admitted, R.completed, R.expired, R.left, R.drawn or 0,
  }
  for i = 1, LANES do
    out[#out + 1] = call('ZCARD', line(i))
    out[#out + 1] = R['mark:' .. NAMES[i]]
  end
  return out
end

-- Appends one record to the feed of changes. Needs read_lanes('mark:').
local function record(promoted, expired, left)
  local fields = {
    'epoch', R.epoch, 'state', R.state,
    'promoted', int(promoted), 'expired', int(expired), 'left', int(left),
  }
  for i = 1, LANES do
    fields[#fields + 1] = 'watermark:' .. NAMES[i]
    fields[#fields + 1] = int(R['mark:' .. NAMES[i]])
  end
  call('XADD', DISPATCH, 'MAXLEN', '~', FEED_LENGTH, '*', unpack(fields))
end
