-- sales: which seats are sold, and to whom, and what becomes of who held them; it stands between holds and the verbs
-- that follow the ledger.

-- The fence of 8 bytes as a number, to be compared with others.
local function number_of(fence)
  return (unpacked('>I8', fence))
end

-- Whether the sale of a seat under this fence, or a later one, was given back.
local function was_given_back(seat, fence)
  local mark = get(marks, seat)
  return mark and number_of(mark) >= number_of(fence)
end

-- The sale of a seat under this fence was given back: its message is late from now on.
local function mark(seat, fence)
  if not was_given_back(seat, fence) then put(marks, seat, fence) end
  -- Or what is held from now on could be taken for older.
  LAST_FENCE = max(LAST_FENCE, number_of(fence))
end

-- One seat more is sold under this fence; the first one says to whom.
local function count_sold(fence, name)
  local sale = get(sales, fence) or {seats = 0, user = name}
  sale.seats = sale.seats + 1
  put(sales, fence, sale)
  local user = user_of(sale.user)
  user.sold = user.sold + 1
  put_user(sale.user, user)
end

-- One seat less is.
local function count_unsold(fence)
  local sale = get(sales, fence)
  assert(sale, 'a sold seat has no sale')
  sale.seats = sale.seats - 1
  put(sales, fence, sale.seats > 0 and sale)
  local user = user_of(sale.user)
  user.sold = user.sold - 1
  put_user(sale.user, user)
end

-- The ids of holds that ended because a seat of theirs was sold to somebody else.
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

-- A seat is sold under a fence, whatever it was.
local function make_sold(seat, name, fence)
  local owner_fence = owner_of(seat)
  if state[seat] == SOLD then
    count_unsold(owner_fence)
  elseif state[seat] == HELD and owner_fence == fence then
    take_from(holder_of(seat), seat, BOUGHT)
  elseif state[seat] == HELD then
    lose(seat)
  end
  set(seat, SOLD, fence)
  count_sold(fence, name)
end
