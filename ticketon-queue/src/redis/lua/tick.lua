-- tick: does what is due, each kind of work at most 1,000 times: ends what ran out, then promotes.
-- KEYS  prelude
-- ARGV  prelude  4 the most promotions, up to 1,000
-- OUT   0 {promoted, expired, left, more, state, waiting, live leases, {lapsed brokers}} | -1 | -2
-- FEED  one record when anything changed
local refusal = open_room()
if refusal then return refusal end
local batch = tonumber(ARGV[4])
assert(batch >= 0 and batch <= MAX_BATCH, 'a batch of promotions is too large')
read_lanes('mark:')
read_lanes('pass:')

local function end_line(users, ending)
  local endings = {}
  for i = 1, #users do endings[i] = ending end
  end_places(users, endings)
  put('left', R.left + #users)
end

-- Ends the places of people who stayed away for longer than the grace.
local function sweep_away()
  if NOW < R.guard_until then return 0, false end -- guard: outage-away
  local users = due(AWAY)
  if #users == 0 then return 0, false end
  for i = 1, LANES do call('ZREM', line(i), unpack(users)) end
  end_line(users, 'left:0')
  return #users, #users == MAX_BATCH
end

local function sweep_gone()
  local users = due(GONE_ENDS)
  if #users == 0 then return false end
  call('HDEL', GONE, unpack(users))
  call('ZREM', GONE_ENDS, unpack(users))
  return #users == MAX_BATCH
end

-- The members of a ZPOPMIN reply, and their sequences.
local function popped(lane, count)
  local flat = call('ZPOPMIN', line(lane), count)
  local users, sequences = {}, {}
  for i = 1, #flat, 2 do
    users[#users + 1] = flat[i]
    sequences[#sequences + 1] = tonumber(flat[i + 1])
  end
  return users, sequences
end

-- A closed room ends who waits, lane by lane.
local function end_waiting()
  local ended = 0
  for i = 1, LANES do
    if ended < MAX_BATCH then
      local users = popped(i, MAX_BATCH - ended)
      if #users > 0 then end_line(users, 'roomClosed:0') end
      ended = ended + #users
    end
  end
  local _, waiting = lengths()
  return ended, waiting > 0
end

-- Passes only matter relative to the room's: they start again long before they lose exactness.
local function rebase_passes()
  if R.pass < 2 ^ 50 then return end
  for i = 1, LANES do
    local pass = 'pass:' .. NAMES[i]
    put(pass, math.max(R[pass] - R.pass, 0))
  end
  put('pass', 0)
end

-- Whose turn it is, by strides: the lanes' indexes in order, and how many of each lane.
local function turns(room)
  rebase_passes()
  local strides = split(R.strides)
  local left = lengths()
  local order, counts = {}, {}
  while #order < room do
    local next_lane
    for i = 1, LANES do
      local pass = R['pass:' .. NAMES[i]]
      if left[i] > 0 and (not next_lane or pass < R['pass:' .. NAMES[next_lane]]) then
        next_lane = i
      end
    end
    if not next_lane then break end
    local pass = 'pass:' .. NAMES[next_lane]
    put('pass', R[pass])
    put(pass, R[pass] + tonumber(strides[next_lane]))
    left[next_lane] = left[next_lane] - 1
    order[#order + 1] = next_lane
    counts[next_lane] = (counts[next_lane] or 0) + 1
  end
  return order, counts
end

local function promote()
  settle_budget()
  local room = batch
  room = math.min(room, math.max(R.capacity - taken(), 0)) -- guard: tick-capacity
  room = math.min(room, math.floor(math.max(R.budget_milli, 0) / 1000)) -- guard: tick-pace
  local order, counts = turns(room)
  if #order == 0 then return 0 end
  local users, sequences, at = {}, {}, {}
  for lane, count in pairs(counts) do
    users[lane], sequences[lane] = popped(lane, count)
    at[lane] = 0
  end
  local all, leases, deadlines = {}, {}, {}
  for i, lane in ipairs(order) do
    at[lane] = at[lane] + 1
    local user = users[lane][at[lane]]
    local lease = new_lease(lane, sequences[lane][at[lane]])
    all[i] = user
    leases[2 * i - 1], leases[2 * i] = user, lease_text(lease)
    deadlines[2 * i - 1], deadlines[2 * i] = deadline(lease), user
  end
  call('HSET', LEASE, unpack(leases))
  call('ZADD', ENTRY, unpack(deadlines))
  call('ZREM', AWAY, unpack(all)) -- guard: tick-away
  return #all
end

local before = R.state
if after_outage() then put('guard_until', NOW + R.away_grace) end -- guard: outage-grace
put('tick_at', NOW)
open_if_due()
local expired, more_expired = sweep_leases()
local left, more_away = sweep_away()
local more_gone = sweep_gone()
local more_closed = false
if R.state == 'closed' then
  local ended
  ended, more_closed = end_waiting()
  left = left + ended
end
local promoted = 0
if R.state == 'open' or R.state == 'draining' then promoted = promote() end
flush()
if promoted + expired + left > 0 or R.state ~= before then record(promoted, expired, left) end

local more = more_expired or more_away or more_gone or more_closed
  or (promoted == batch and promoted > 0)
local lapsed = {}
if not guarded() then
  lapsed = call('ZRANGEBYSCORE', BROKERS, '-inf', int(NOW), 'LIMIT', 0, 16)
end
local _, waiting = lengths()
return {0, promoted, expired, left, more and 1 or 0, R.state, waiting, live_leases(), lapsed}
