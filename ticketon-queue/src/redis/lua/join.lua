-- join: joins people, in order. Who has a place or a live lease keeps it.
-- KEYS  prelude, then the set of each broker in the batch
-- ARGV  prelude, then for each person: user, lane, broker or '' for a poll, "broker:connection" or '',
--       position of the broker's set in KEYS or 0, epoch to resume or '', score if they are drawn or ''
-- OUT   0 {state, {reply, ...}} | -1 | -2
--       reply: {0 kept or 1 new, WAITING, lane, sequence, rank, waiting} | {0 or 1, ADMITTED, lease}
--              | {-3} broker lapsed | {-4} room full | {-5} refused by the state | {-6, ending}
-- FEED  one record when it opens the room, or ends what ran out to give its slot
local refusal = open_room()
if refusal then return refusal end
local before = R.state
if #ARGV > 3 then open_if_due() end -- guard: join-opens
read_lanes('seq:')
read_lanes('mark:')
read_lanes('pass:')
local length, waiting = lengths()

local expired = 0

-- Whether a newcomer need not wait: nobody does, no time was lost, and pace and slots allow it. Ends first
-- what ran out, as a tick would, so that no slot is given that a tick could give back; more of it than one
-- sweep ends is left to the tick, so a batch of joins sweeps once.
local function admits_at_once()
  settle_budget()
  if R.state ~= 'open' then return false end
  if waiting > 0 then return false end -- guard: join-order
  if R.budget_milli < 1000 then return false end -- guard: join-pace
  if guarded() then return false end -- guard: join-outage
  local ended, more = 0, false
  ended, more = sweep_leases() -- guard: join-sweep
  expired = expired + ended
  if taken() >= R.capacity then return false end -- guard: join-capacity
  return not more
end

local function join(user, lane, broker, owner, connections, resume, score)
  if broker ~= '' then
    local until_ms = call('ZSCORE', BROKERS, broker)
    if not until_ms or tonumber(until_ms) == 0 then return {LAPSED} end -- guard: join-lapsed
  end
  local lease = live_lease(user)
  -- guard: join-admitted
  if lease then
    show_up(user, owner, connections, false)
    return {0, ADMITTED, lease.text}
  end
  -- end guard
  local kept, kept_sequence = waits(user)
  -- guard: join-waiting
  if kept then
    show_up(user, owner, connections, true)
    return {0, WAITING, kept, kept_sequence, rank(kept, user), length[kept]}
  end
  -- end guard
  if resume == R.epoch then return {GONE_CODE, gone_of(user) or 'left:0'} end -- guard: join-resume
  if R.state ~= 'open' and R.state ~= 'scheduled' and R.state ~= 'paused' then return {REFUSED} end
  if waiting >= R.max_waiting then return {FULL} end -- guard: join-full

  local name = NAMES[lane]
  local sequence
  if R.state == 'scheduled' and score ~= '' then
    sequence = tonumber(score)
  else
    sequence = R['seq:' .. name] + 1
    put('seq:' .. name, sequence)
  end
  put('joined', R.joined + 1)
  call('HDEL', GONE, user)
  call('ZREM', GONE_ENDS, user)
  if admits_at_once() then
    lease = new_lease(lane, sequence)
    write_lease(user, lease)
    call('ZREM', AWAY, user)
    show_up(user, owner, connections, false)
    return {1, ADMITTED, lease.text}
  end
  -- guard: join-clamp
  if length[lane] == 0 then
    put('pass:' .. name, math.max(R['pass:' .. name], R.pass))
  end
  -- end guard
  call('ZADD', line(lane), sequence, user)
  length[lane] = length[lane] + 1
  waiting = waiting + 1
  show_up(user, owner, connections, true)
  return {1, WAITING, lane, sequence, rank(lane, user), length[lane]}
end

local replies = {}
for i = 4, #ARGV, 7 do
  replies[#replies + 1] = join(
    ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2], ARGV[i + 3], KEYS[tonumber(ARGV[i + 4])], ARGV[i + 5],
    ARGV[i + 6])
end
flush()
if R.state ~= before or expired > 0 then record(0, expired, 0) end
return {0, R.state, replies}
