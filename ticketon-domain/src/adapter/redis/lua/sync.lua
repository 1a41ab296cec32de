-- sync: follows what the ledger committed, in its order. What is sold is sold.
-- KEYS  prelude
-- ARGV  prelude; then for each message: sold or released, user, fence, packed indexes
-- OUT   0 {seats changed, seats whose sale is late, id of a hold that ended because a seat of it was sold to somebody else, ...} | -1 | -2 | -3
local refusal = open_map()
if refusal then return refusal end

local late = 0

local function sold(seat, name, fence)
  if state[seat] == SOLD and number_of(fence) <= number_of(owner_of(seat)) then return end -- guard: newer
  if was_given_back(seat, fence) then late = late + 1 return end -- guard: late
  make_sold(seat, name, fence)
end

local function released(seat, fence)
  mark(seat, fence) -- guard: mark
  if state[seat] == FREE then
    -- It came before the sale's own message.
    if number_of(fence) > number_of(owner_of(seat)) then set(seat, FREE, fence) end
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
return committed({0, changes, late, unpack(lost)})
