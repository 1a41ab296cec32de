-- sync: follows what the ledger committed, in its order. What is sold is sold.
-- KEYS  prelude
-- ARGV  prelude; then for each message: sold or released, user, fence, packed indexes
-- OUT   0 {seats changed, id of a hold that ended because a seat of it was sold to somebody else, ...} | -1 | -2 | -3
local refusal = open_map()
if refusal then return refusal end
local lost = {}

-- Takes a seat out of a hold, which ends when it has none left. Answers whether it did.
local function take_from(hold, seat, reason)
  for i, one in ipairs(hold.seats) do
    if one == seat then
      table.remove(hold.seats, i)
      break
    end
  end
  if #hold.seats == 0 then
    end_hold(hold, reason)
    return true
  end
  put_hold(hold)
  return false
end

local function holder_of(seat)
  local hold = get(holds, owner_of(seat))
  assert(hold, 'a held seat has no hold')
  return hold
end

-- A held seat is sold to somebody else. A hold that is being paid with keeps its other seats: the ledger decides about it.
local function lose(seat)
  local hold = holder_of(seat)
  local ended = true
  if hold.deadline == 0 then
    ended = take_from(hold, seat, LOST)
  else
    end_hold(hold, LOST)
  end
  if ended then lost[#lost + 1] = hold.id end
end

local function sold(seat, name, fence)
  local owner_fence = owner_of(seat)
  local now = state[seat]
  -- It was sold and given back: this message comes late.
  if now == FREE and owner_fence == fence then return end -- guard: late
  if now == SOLD then
    if number_of(owner_fence) >= number_of(fence) then return end -- guard: newer
    count_unsold(owner_fence)
  elseif now == HELD and owner_fence == fence then
    take_from(holder_of(seat), seat, BOUGHT)
  elseif now == HELD then
    lose(seat)
  end
  set(seat, SOLD, fence)
  count_sold(fence, name)
end

local function released(seat, fence)
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
