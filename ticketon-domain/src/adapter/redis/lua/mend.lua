-- mend: lets seats be what the ledger says, if they still are as they were found.
-- KEYS  prelude
-- ARGV  prelude  3 packed: for each seat its index (4 bytes), the state (1) and owner (8) that were found, and the state
--       that it should have (1), free or sold; of a sold one the fence (8), the length of the user's name (2) and the name
-- OUT   0 {seats mended, 0, id of a hold that ended because a seat of it was sold to somebody else, ...} | -1 | -2 | -3
local refusal = open_map()
if refusal then return refusal end
local packed, at, mends, indexes = ARGV[3], 1, {}, {}
while at <= #packed do
  local mend = {}
  mend.seat, mend.state, mend.owner, mend.to, at = unpacked('>I4Bc8B', packed, at)
  if mend.to == SOLD then mend.fence, mend.user, at = unpacked('>c8I2c0', packed, at) end
  mends[#mends + 1] = mend
  indexes[#indexes + 1] = mend.seat
end
fetch(indexes)

local function is_as_found(mend)
  if state[mend.seat] == BEYOND then return false end
  if state[mend.seat] ~= mend.state or owner_of(mend.seat) ~= mend.owner then return false end -- guard: found
  return true
end

local mended = 0
for _, mend in ipairs(mends) do
  if is_as_found(mend) then
    if mend.to == SOLD then
      LAST_FENCE = max(LAST_FENCE, number_of(mend.fence))
      make_sold(mend.seat, mend.user, mend.fence)
      mended = mended + 1
    elseif state[mend.seat] == SOLD then
      count_unsold(owner_of(mend.seat))
      mark(mend.seat, owner_of(mend.seat)) -- guard: mend-mark
      set(mend.seat, FREE)
      mended = mended + 1
    end
  end
end
return committed({0, mended, 0, unpack(lost)})
