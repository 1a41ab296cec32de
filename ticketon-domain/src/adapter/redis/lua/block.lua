-- block: takes free seats out of sale, all or none.
-- KEYS  prelude
-- ARGV  prelude  3 packed indexes
-- OUT   0 | -1 | -2 | -3 | -4 {packed indexes} held or sold, or not of the map
local refusal = open_map()
if refusal then return refusal end
local seats = unpack_seats(ARGV[3])
fetch(seats)
for _, seat in ipairs(seats) do end_if_in_the_way(seat) end
local taken, free = {}, {}
for _, seat in ipairs(seats) do
  if state[seat] == FREE then
    free[#free + 1] = seat
  elseif state[seat] ~= BLOCKED then
    taken[#taken + 1] = seat
  end
end
if #taken > 0 then return committed({UNAVAILABLE, pack_seats(taken)}) end -- guard: block-free
if #free > 0 then
  local fence = next_fence()
  for _, seat in ipairs(free) do set(seat, BLOCKED, fence) end
end
return committed({0})
