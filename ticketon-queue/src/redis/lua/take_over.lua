-- take_over: starts the grace of up to 1,000 people of a broker whose lease ran out.
-- KEYS  prelude, then the broker's set
-- ARGV  prelude  4 broker
-- OUT   0 {people moved, whether some are left} | -1 | -2 | -9 the broker is alive, or time was lost
local refusal = open_room()
if refusal then return refusal end

local broker = ARGV[4]
local until_ms = call('ZSCORE', BROKERS, broker)
if not until_ms then return {ALIVE} end
if tonumber(until_ms) > NOW then return {ALIVE} end -- guard: take-over-deadline
if guarded() then return {ALIVE} end -- guard: take-over-outage

local prefix = broker .. ':'
local connections = KEYS[FIXED + LANES + 1]
call('ZADD', BROKERS, 0, broker) -- guard: take-over-mark
local people = 0
for _, user in ipairs(call('SPOP', connections, MAX_BATCH)) do
  local owner = call('HGET', OWNER, user)
  if owner
    and string.sub(owner, 1, #prefix) == prefix -- guard: take-over-owner
  then
    call('HDEL', OWNER, user)
    if waits(user) then start_away(user) end
    people = people + 1
  end
end
local more = call('EXISTS', connections)
if more == 0 then call('ZREM', BROKERS, broker) end
return {0, people, more}
