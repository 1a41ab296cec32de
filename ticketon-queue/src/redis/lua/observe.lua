-- observe: renews a broker's lease and reads what it tells its people.
-- KEYS  prelude
-- ARGV  prelude  4 broker  5 number of samples, then lane and sequence of each, then users
-- OUT   0 {numbers, {rank of each sample}, {{owner or '', standing} of each user}} | -1 | -2 | -3
--       a lane beyond the config's ranks 0; standings have rank 0
local refusal = open_room()
if refusal then return refusal end

local until_ms = call('ZSCORE', BROKERS, ARGV[4])
if not until_ms or tonumber(until_ms) == 0 then return {LAPSED} end -- guard: observe-lapsed
local samples = tonumber(ARGV[5])
local first_user = 6 + 2 * samples
assert(#ARGV >= first_user - 1, 'samples are missing')

call('ZADD', BROKERS, NOW + BROKER_LEASE_MS, ARGV[4])
local ranks = {}
for i = 6, first_user - 1, 2 do
  local lane = tonumber(ARGV[i])
  ranks[#ranks + 1] = lane <= LANES and call('ZCOUNT', line(lane), '-inf', '(' .. ARGV[i + 1]) or 0
end
local users = {}
for i = first_user, #ARGV do
  users[#users + 1] = {call('HGET', OWNER, ARGV[i]) or '', standing(ARGV[i], false)}
end
return {0, numbers(), ranks, users}
