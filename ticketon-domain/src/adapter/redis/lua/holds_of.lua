-- holds_of: the living holds of a user, the oldest first. Writes nothing.
-- KEYS  prelude
-- ARGV  prelude  3 user
-- OUT   0 {fence, hold, ...} | -1 | -2 | -3
local refusal = open_map()
if refusal then return refusal end
local out = {0}
for _, fence in ipairs(user_of(ARGV[3]).fences) do
  local hold = get(holds, fence)
  assert(hold, 'a user has no such hold')
  if not is_expired(hold) then
    out[#out + 1] = fence
    out[#out + 1] = write_hold(hold)
  end
end
return out
