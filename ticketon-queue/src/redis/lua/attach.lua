-- attach: brings connections of one incarnation under another, where no third one owns the place.
-- KEYS  prelude, then the set of the new incarnation
-- ARGV  prelude  4 old and 5 new incarnation, then user and connection of each
-- OUT   0 {reply, ...} | -1 | -2; reply: 0 no place | 1 owner | 2 replaced | 3 the new incarnation lapsed
local refusal = open_room()
if refusal then return refusal end

local from, to = ARGV[4], ARGV[5]
local connections = KEYS[FIXED + LANES + 1]
local replies = {}
local until_ms = call('ZSCORE', BROKERS, to)
local lapsed = false
lapsed = not until_ms or tonumber(until_ms) == 0 -- guard: attach-lapsed
for i = 6, #ARGV, 2 do
  local user, conn = ARGV[i], ARGV[i + 1]
  local is_waiting = waits(user) ~= nil
  local lease = lease_of(user)
  local reply = 0
  if lapsed then
    reply = 3
  elseif is_waiting or (lease and is_live(lease)) then
    local owner = call('HGET', OWNER, user)
    local at = owner and string.match(owner, '^[^:]+')
    local replaced = false
    -- Which of its own connections is the newest, the broker knows best.
    replaced = at and at ~= from and at ~= to -- guard: attach-owner
    if replaced then
      reply = 2
    else
      show_up(user, to .. ':' .. conn, connections, is_waiting)
      reply = 1
    end
  end
  replies[#replies + 1] = reply
end
return {0, replies}
