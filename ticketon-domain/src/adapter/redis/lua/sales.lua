-- sales: which seats are sold, and to whom; it stands between holds and the verbs that follow the ledger.

-- The fence of 8 bytes as a number, to be compared with others.
local function number_of(fence)
  return (unpacked('>I8', fence))
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
