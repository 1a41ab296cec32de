-- unblock: puts blocked seats back on sale; others stay as they are.
-- KEYS  prelude
-- ARGV  prelude  3 packed indexes
-- OUT   0 | -1 | -2 | -3
local refusal = open_map()
if refusal then return refusal end
local seats = unpack_seats(ARGV[3])
fetch(seats)
for _, seat in ipairs(seats) do
  if state[seat] == BLOCKED then
    set(seat, FREE)
    disown(seat)
  end
end
return committed({0})
