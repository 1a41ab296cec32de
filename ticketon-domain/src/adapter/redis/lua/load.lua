-- load: puts seats into a map that is being rebuilt.
-- KEYS  prelude
-- ARGV  prelude  3 packed: for each seat its index (4 bytes) and its state (1), and of a sold one the fence (8), the length
--       of the user's name (2) and the name; free says that it was given back, under the fence (8)
-- OUT   0 | -13 another rebuild has begun, or this one has ended
local phase = read_meta()
if phase ~= 'rebuilding' or EPOCH ~= ARGV[1] then return {SUPERSEDED} end -- guard: load-epoch
local packed, at, loads, indexes = ARGV[3], 1, {}, {}
while at <= #packed do
  local load = {}
  load.seat, load.state, at = unpacked('>I4B', packed, at)
  if load.state == SOLD then load.fence, load.user, at = unpacked('>c8I2c0', packed, at) end
  if load.state == FREE then load.fence, at = unpacked('>c8', packed, at) end
  loads[#loads + 1] = load
  indexes[#indexes + 1] = load.seat
end
fetch(indexes)

for _, load in ipairs(loads) do
  local now = state[load.seat]
  if load.state == BLOCKED then
    if now == FREE then set(load.seat, BLOCKED) end
  elseif load.state == FREE then
    if now ~= BEYOND then mark(load.seat, load.fence) end
  else
    LAST_FENCE = max(LAST_FENCE, number_of(load.fence))
    local is_newer = now ~= SOLD or number_of(load.fence) > number_of(owner_of(load.seat))
    if now ~= BEYOND and is_newer then
      if now == SOLD then count_unsold(owner_of(load.seat)) end
      set(load.seat, SOLD, load.fence)
      count_sold(load.fence, load.user)
    end
  end
end
-- Nobody follows a map that is not ready: it begins at version 0 as it was loaded.
write_map()
write_hash(users)
write_hash(sales)
write_hash(marks)
return {0}
