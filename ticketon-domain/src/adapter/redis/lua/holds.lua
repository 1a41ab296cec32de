-- holds: who has which seats; it stands after records.
--
-- seats:holds      fence: id (16 bytes), request hash (8), taken at (8), deadline (8, 0 while pinned), length of the user's
--                  name (2), the name, then 4 bytes a seat
-- seats:ids        id: 0 and the fence while it lives; then the reason (1 to 4), when it ended (8), the request hash (8)
-- seats:deadlines  fence by deadline; those that are pinned stand behind all, at +inf
-- seats:ended      id by when it ended, to be forgotten
-- seats:users      user: how many seats are sold to them (4), then the fence of each hold
-- seats:sold       fence: how many seats are sold under it (4), then the user's name
-- seats:marks      index: the newest fence under which the seat was sold and given back
-- seats:changes    <version>-1: 4 bytes a seat, its index times four plus its state

-- Why a hold ended (`EndReason` in Rust, in this order).
local EXPIRED, RELEASED, BOUGHT, LOST = 1, 2, 3, 4

local function read_hold(text, fence)
  local id, hash, taken_at, deadline, user, at = unpacked('>c16c8i8i8I2c0', text)
  return {
    fence = fence, id = id, hash = hash, taken_at = taken_at, deadline = deadline, user = user,
    seats = unpack_seats(string.sub(text, at)),
  }
end

local function write_hold(hold)
  return pack('>c16c8i8i8I2c0', hold.id, hold.hash, hold.taken_at, hold.deadline, #hold.user, hold.user)
    .. pack_seats(hold.seats)
end

local function read_id(text)
  local reason = string.byte(text, 1)
  if reason == 0 then return {fence = string.sub(text, 2)} end
  local at, hash = unpacked('>i8c8', text, 2)
  return {reason = reason, at = at, hash = hash}
end

local function write_id(id)
  if id.fence then return pack('>Bc8', 0, id.fence) end
  return pack('>Bi8c8', id.reason, id.at, id.hash)
end

local function read_user(text)
  local user = {sold = unpacked('>I4', text), fences = {}}
  for at = 5, #text, 8 do user.fences[#user.fences + 1] = string.sub(text, at, at + 7) end
  return user
end

local function write_user(user)
  return pack('>I4', user.sold) .. table.concat(user.fences)
end

local function read_sale(text)
  local seats, at = unpacked('>I4', text)
  return {seats = seats, user = string.sub(text, at)}
end

local function write_sale(sale)
  return pack('>I4', sale.seats) .. sale.user
end

local holds = hash(KEYS[4], read_hold, write_hold)
local ids = hash(KEYS[5], read_id, write_id)
local users = hash(KEYS[8], read_user, write_user)
local sales = hash(KEYS[9], read_sale, write_sale)
local marks = hash(KEYS[11], tostring, tostring)
local deadlines, endings = scores(KEYS[6]), scores(KEYS[7])

local function user_of(name)
  return get(users, name) or {sold = 0, fences = {}}
end

local function put_user(name, user)
  put(users, name, (user.sold > 0 or #user.fences > 0) and user or false)
end

-- Writes a hold down with its deadline.
local function put_hold(hold)
  put(holds, hold.fence, hold)
  put_score(deadlines, hold.fence, hold.deadline ~= 0 and hold.deadline or math.huge)
end

-- Ends a hold: its seats become free and nobody's, and its id remembers why.
local function end_hold(hold, reason)
  fetch(hold.seats)
  for _, seat in ipairs(hold.seats) do
    assert(state[seat] == HELD, 'a seat of a hold is not held')
    set(seat, FREE)
    disown(seat)
  end
  local user = user_of(hold.user)
  for i, fence in ipairs(user.fences) do
    if fence == hold.fence then
      table.remove(user.fences, i)
      break
    end
  end
  put_user(hold.user, user)
  put(holds, hold.fence, false)
  put_score(deadlines, hold.fence, false)
  put(ids, hold.id, {reason = reason, at = NOW, hash = hold.hash})
  put_score(endings, hold.id, NOW)
end

local function is_expired(hold)
  return hold.deadline ~= 0 and hold.deadline <= NOW
end

-- The hold with this fence, or false. One that ran out is ended first.
local function hold_under(fence)
  local hold = get(holds, fence)
  -- guard: expired
  if hold and is_expired(hold) then
    end_hold(hold, EXPIRED)
    return false
  end
  -- end guard
  return hold
end

-- The hold with this id, or nil and what is remembered of its end. One that ran out is ended first.
local function hold_called(id)
  local known = get(ids, id)
  if not known then return nil end
  if known.fence then
    assert(get(holds, known.fence), 'an id has no hold')
    local hold = hold_under(known.fence)
    if hold then return hold end
    known = get(ids, id)
  end
  if NOW - known.at > ENDED_TTL_MS then return nil end
  return nil, known
end

-- The hold that a verb is about: ARGV 3 id, 4 user, 5 fence or '' for any. Answers it, or nil and the refusal.
local function hold_asked_for(needs_fence)
  local hold, ended = hold_called(ARGV[3])
  if ended then return nil, {ENDED, ended.reason} end
  if not hold then return nil, {UNKNOWN} end
  if hold.user ~= ARGV[4] then return nil, {NOT_YOURS} end -- guard: user
  if needs_fence and ARGV[5] == '' then return nil, {NOT_YOURS} end -- guard: needs-fence
  if ARGV[5] ~= '' and ARGV[5] ~= hold.fence then return nil, {NOT_YOURS} end -- guard: fence
  return hold
end

-- {0, fence, hold}
local function done(hold)
  return {0, hold.fence, write_hold(hold)}
end

-- Ends holds past their deadline, the longest past first. Answers how many, of how many seats, and whether there are more.
local function end_due()
  local fences, more = up_to(deadlines, int(NOW), MAX_SWEEP)
  local seats = 0
  for _, fence in ipairs(fences) do
    local hold = get(holds, fence)
    assert(hold, 'a deadline has no hold')
    seats = seats + #hold.seats
    end_hold(hold, EXPIRED)
  end
  return #fences, seats, more
end

-- Ends the hold that has a seat if its time is over.
local function end_if_in_the_way(seat)
  if state[seat] == HELD then hold_under(owner_of(seat)) end
end

-- Writes what the verb changed, and one record of it for those who follow the map. The meta hash goes first: a Redis
-- whose memory is full refuses the first write that needs some, and then nothing was changed.
local function commit()
  if next(changed) then VERSION = VERSION + 1 end
  local seats = write_map()
  write_hash(holds)
  write_hash(ids)
  write_hash(users)
  write_hash(sales)
  write_hash(marks)
  write_scores(deadlines)
  write_scores(endings)
  if #seats == 0 then return end
  local record = {}
  for i, seat in ipairs(seats) do record[i] = pack('>I4', seat * 4 + state[seat]) end
  call('XADD', KEYS[10], 'MAXLEN', '~', KEPT_CHANGES, int(VERSION) .. '-1', 's', table.concat(record))
end

-- The answer of a verb, once all is written: also a refused one may have ended holds that ran out.
local function committed(answer)
  commit()
  return answer
end
