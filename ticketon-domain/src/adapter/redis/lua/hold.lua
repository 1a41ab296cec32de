-- hold: takes all seats of a choice, or none. Ends expired holds that stand in the way.
-- KEYS  prelude
-- ARGV  prelude  3 id  4 user  5 hash of the request (8 bytes)  6 how long in ms  7 the most seats of one hold
--       8 the most seats of one user  9 how many are asked for  10 how they are chosen; then for
--       'seats'     11 packed indexes
--       'adjacent'  11 allow, lenient or strict  12 packed runs
--       'units'     11 first unit  12 number of units  13 where to begin looking
-- OUT   0 {fence, hold}: now, or by an earlier call | -1 | -2 | -3 | -4 {packed indexes} not free | -5 nothing fits
--       -6 more than one hold may have | -7 {has} more than one user may have | -8 {reason} has ended
--       -9 the id is another request's
local refusal = open_map()
if refusal then return refusal end
local id, name, hash, ttl = ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local count = tonumber(ARGV[9])

local function is_free(seat)
  return state[seat] == FREE
end

-- Seats by name: all are free, or the answer says which are not. A seat that is named twice is not free again.
local function choose_seats(seats)
  if #seats == 0 then return nil, {NO_SEATS} end
  fetch(seats)
  for _, seat in ipairs(seats) do end_if_in_the_way(seat) end
  local taken, seen = {}, {}
  -- guard: free
  for _, seat in ipairs(seats) do
    if not is_free(seat) or seen[seat] then taken[#taken + 1] = seat end
    seen[seat] = true
  end
  -- end guard
  if #taken > 0 then return nil, {UNAVAILABLE, pack_seats(taken)} end
  return seats
end

local function choose_any()
  if count == 0 or COUNTS[FREE] < count then return nil end
  if ARGV[10] == 'adjacent' then return choose_adjacent(count, ARGV[11], ARGV[12]) end
  return choose_units(count, tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13]))
end

local function choose()
  if ARGV[10] == 'seats' then return choose_seats(unpack_seats(ARGV[11])) end
  local seats = choose_any()
  if not seats then
    -- Nobody is told that there are no seats while some are only not swept yet.
    end_due() -- guard: due
    seats = choose_any()
  end
  if not seats then return nil, {NO_SEATS} end
  fetch(seats)
  for _, seat in ipairs(seats) do assert(is_free(seat), 'a seat was chosen that is not free') end
  return seats
end

-- How many seats the user has. Holds of theirs that ran out are ended first.
local function seats_of_user()
  local user = user_of(name)
  local has = user.sold
  -- Ending one takes it out of the list.
  local fences = {}
  for i, fence in ipairs(user.fences) do fences[i] = fence end
  for _, fence in ipairs(fences) do
    local hold = hold_under(fence)
    if hold then has = has + #hold.seats end
  end
  return has
end

local known, ended = hold_called(id)
-- guard: id
if known then
  if known.hash ~= hash then return {MISMATCH} end
  return done(known)
end
if ended then
  if ended.hash ~= hash then return committed({MISMATCH}) end
  return committed({ENDED, ended.reason})
end
-- end guard
if count > tonumber(ARGV[7]) or count > MAX_HOLD_SEATS then return committed({OVER_ORDER}) end -- guard: order-limit
local has = seats_of_user()
if has + count > tonumber(ARGV[8]) then return committed({OVER_USER, has}) end -- guard: user-limit
local seats, none = choose()
if none then return committed(none) end

local hold = {
  fence = next_fence(), id = id, hash = hash, taken_at = NOW, deadline = NOW + max(1, min(ttl, MAX_HOLD_MS)),
  user = name, seats = seats,
}
for _, seat in ipairs(seats) do set(seat, HELD, hold.fence) end
put_hold(hold)
-- An end of this id that is too old to count may not be forgotten yet.
if get(ids, id) then put_score(endings, id, false) end -- guard: id-again
put(ids, id, {fence = hold.fence})
local user = user_of(name)
user.fences[#user.fences + 1] = hold.fence
put_user(name, user)
return committed(done(hold))
