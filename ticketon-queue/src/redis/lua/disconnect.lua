-- disconnect: starts the grace where a closed connection still owns the place.
-- KEYS  prelude, then the broker's set
-- ARGV  prelude  4 broker, then user and connection of each
-- OUT   0 | -1 | -2
local refusal = open_room()
if refusal then return refusal end

local prefix = ARGV[4] .. ':'
local connections = KEYS[FIXED + LANES + 1]
for i = 5, #ARGV, 2 do
  local user, own = ARGV[i], prefix .. ARGV[i + 1]
  local owner = call('HGET', OWNER, user)
  if owner
    and owner == own -- guard: disconnect-owner
  then
    call('HDEL', OWNER, user)
    if waits(user) then start_away(user) end
  end
  local stays = false
  -- A newer connection at the same broker keeps the user in its set.
  stays = owner and owner ~= own and string.sub(owner, 1, #prefix) == prefix -- guard: disconnect-newer
  if not stays then call('SREM', connections, user) end
end
return {0}
