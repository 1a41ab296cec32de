-- sync: follows what the ledger committed, in its order. What is sold is sold.
-- KEYS  prelude
-- ARGV  prelude; then for each message: sold or released, user, fence, packed indexes
-- OUT   0 {seats changed, id of a hold that ended because a seat of it was sold to somebody else, ...} | -1 | -2 | -3
local refusal = open_map()
if refusal then return refusal end

local function sold(seat, name, fence)
  local now, is_newer = state[seat], number_of(fence) > number_of(owner_of(seat))
  -- This sale, or a later one, was given back: the message comes late.
  if now == FREE and not is_newer then return end -- guard: late
  if now == SOLD and not is_newer then return end -- guard: newer
  make_sold(seat, name, fence)
end

local function released(seat, fence)
  if state[seat] == FREE then
    -- It came before the sale's own message, which is late from now on.
    if number_of(fence) > number_of(owner_of(seat)) then set(seat, FREE, fence) end -- guard: mark
    return
  end
  if owner_of(seat) ~= fence then return end -- guard: owner
  if state[seat] == SOLD then
    count_unsold(fence)
  elseif state[seat] == HELD then
    take_from(holder_of(seat), seat, RELEASED)
  else
    return
  end
  set(seat, FREE)
end

for at = 3, #ARGV, 4 do
  local kind, name, fence, seats = unpack(ARGV, at, at + 3)
  seats = unpack_seats(seats)
  fetch(seats)
  for _, seat in ipairs(seats) do
    if state[seat] ~= BEYOND then
      if kind == 'sold' then sold(seat, name, fence) else released(seat, fence) end
    end
  end
end
local changes = 0
for _ in pairs(changed) do changes = changes + 1 end
return committed({0, changes, unpack(lost)})
