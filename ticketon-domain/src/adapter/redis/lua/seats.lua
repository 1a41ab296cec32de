-- seats: reading and changing the seats of a map; it stands after the prelude.
-- A verb reads what it needs, changes what it read, and commit() writes all of it at the end, so whatever fails
-- before has changed nothing.

-- What a seat is that the map does not have.
local BEYOND = 4
-- How many arguments one command gets at most.
local CHUNK = 1200

local pack, unpacked = struct.pack, struct.unpack
-- The owner of a seat that is nobody's: no fence is 0.
local NOBODY = pack('>I8', 0)

-- Above every fence before it, also those that were lost with the map.
local function next_fence()
  LAST_FENCE = LAST_FENCE + 1
  LAST_FENCE = max(LAST_FENCE, NOW * 1024) -- guard: fence-floor
  return pack('>I8', LAST_FENCE)
end

local function in_chunks(command, key, args)
  for from = 1, #args, CHUNK do
    call(command, key, unpack(args, from, min(from + CHUNK - 1, #args)))
  end
end

local function pack_seats(seats)
  local packed = {}
  for i, seat in ipairs(seats) do packed[i] = pack('>I4', seat) end
  return table.concat(packed)
end

local function unpack_seats(packed)
  assert(#packed % 4 == 0, 'packed seats are not whole')
  local seats = {}
  for at = 1, #packed, 4 do seats[#seats + 1] = unpacked('>I4', packed, at) end
  return seats
end

-- What is known of seats: the state, and the fence of whoever changed it last; and of which seats a verb changed that.
local state, owner = {}, {}
local changed, owned = {}, {}

-- Reads the state of seats, each once.
local function fetch(seats)
  local missing = {}
  for _, seat in ipairs(seats) do
    if seat >= SEATS then
      state[seat] = BEYOND
    elseif not state[seat] then
      state[seat] = FREE
      missing[#missing + 1] = seat
    end
  end
  local each = CHUNK / 3
  for from = 1, #missing, each do
    local args = {}
    for i = from, min(from + each - 1, #missing) do
      args[#args + 1] = 'GET'
      args[#args + 1] = 'u2'
      args[#args + 1] = '#' .. missing[i]
    end
    for i, code in ipairs(call('BITFIELD_RO', MAP, unpack(args))) do state[missing[from + i - 1]] = code end
  end
end

-- The fence under which a seat is held, sold or blocked, or was sold and given back; zeros if it is nobody's.
local function owner_of(seat)
  if not owner[seat] then owner[seat] = call('GETRANGE', OWNERS, 8 * seat, 8 * seat + 7) end
  return owner[seat]
end

-- Gives a seat that was fetched a state; its owner stays where none is named.
local function set(seat, to, fence)
  local from = state[seat]
  if fence then owner[seat], owned[seat] = fence, true end
  if from == to then return end
  COUNTS[from] = COUNTS[from] - 1
  COUNTS[to] = COUNTS[to] + 1
  state[seat], changed[seat] = to, true
end

-- A seat that was fetched is nobody's.
local function disown(seat)
  owner[seat], owned[seat] = NOBODY, true
end

local function in_order(set_of_seats)
  local seats = {}
  for seat in pairs(set_of_seats) do seats[#seats + 1] = seat end
  table.sort(seats)
  return seats
end

-- Some bytes of the packed map, counted from 0, with what this verb has changed so far.
local function packed_map(first, last)
  local map = call('GETRANGE', MAP, first, last)
  if not next(changed) then return map end
  local bytes = {}
  for seat in pairs(changed) do
    local at, weight = floor(seat / 4) - first + 1, 4 ^ (3 - seat % 4)
    if at >= 1 and at <= #map then
      local byte = bytes[at] or string.byte(map, at)
      bytes[at] = byte + (state[seat] - floor(byte / weight) % 4) * weight
    end
  end
  local parts, from = {}, 1
  for _, at in ipairs(in_order(bytes)) do
    parts[#parts + 1] = string.sub(map, from, at - 1)
    parts[#parts + 1] = string.char(bytes[at])
    from = at + 1
  end
  parts[#parts + 1] = string.sub(map, from)
  return table.concat(parts)
end

local function write_states(seats)
  local args = {}
  for _, seat in ipairs(seats) do
    args[#args + 1] = 'SET'
    args[#args + 1] = 'u2'
    args[#args + 1] = '#' .. seat
    args[#args + 1] = state[seat]
  end
  in_chunks('BITFIELD', MAP, args)
end

-- Neighbours are written together.
local function write_owners()
  local seats, first = in_order(owned), 1
  for i, seat in ipairs(seats) do
    if seats[i + 1] ~= seat + 1 then
      local fences = {}
      for j = first, i do fences[#fences + 1] = owner[seats[j]] end
      call('SETRANGE', OWNERS, 8 * seats[first], table.concat(fences))
      first = i + 1
    end
  end
end

-- Writes the meta hash and the strings, if they changed. Answers the seats that changed, in order.
local function write_map()
  local seats = in_order(changed)
  if #seats == 0 and not next(owned) and LAST_FENCE == FENCE_READ then return seats end
  call(
    'HSET', META, 'version', int(VERSION), 'last_fence', int(LAST_FENCE), 'free', COUNTS[FREE], 'held', COUNTS[HELD],
    'sold', COUNTS[SOLD], 'blocked', COUNTS[BLOCKED]
  )
  write_states(seats)
  write_owners()
  return seats
end
