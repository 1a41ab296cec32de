-- prelude: what the verbs of a seat map share; it stands before each of them.
-- KEYS  1 seats  2 seats:map  3 seats:owner  4 seats:holds  5 seats:ids  6 seats:deadlines  7 seats:ended
--       8 seats:users  9 seats:sold  10 seats:changes
-- ARGV  1 epoch that the caller knows, '' for any  2 now in ms, '' for Redis's own time; then what the verb adds
-- OUT   {code, ...}: 0 is done, below zero a refusal (`Refusal` in script.rs); of each verb but the rebuild's:
--       -1 no map | -2 {epoch} is being rebuilt | -3 {epoch} is ready, and not the caller's
-- A verb reads what it needs, changes what it read, and commit() writes all of it at the end, so whatever fails
-- before has changed nothing. Fences are 8 bytes, big endian, wherever they are kept or compared.
-- Numbers are whole and below 2^53. `..` and tostring round past 14 digits: use int().

local ABSENT, REBUILDING, OTHER_EPOCH = -1, -2, -3
local UNAVAILABLE, NO_SEATS, OVER_ORDER, OVER_USER, ENDED, MISMATCH = -4, -5, -6, -7, -8, -9
local UNKNOWN, NOT_YOURS, PINNED, SUPERSEDED, GAP = -10, -11, -12, -13, -14
local FREE, HELD, SOLD, BLOCKED, BEYOND = 0, 1, 2, 3, 4
-- How many arguments one command gets at most.
local CHUNK = 1200

local META, MAP, OWNERS = KEYS[1], KEYS[2], KEYS[3]
local call = redis.call
local floor, min, max = math.floor, math.min, math.max
local pack, unpacked = struct.pack, struct.unpack

local NOW
-- The meta hash: what was read, and what the verb changed.
local EPOCH, VERSION, SEATS, LAST_FENCE, FENCE_READ
local COUNTS = {}

local function int(number)
  return string.format('%.0f', number)
end

local function read_time()
  if ARGV[2] ~= '' then
    NOW = tonumber(ARGV[2])
  else
    local time = call('TIME')
    NOW = time[1] * 1000 + floor(time[2] / 1000)
  end
end

-- Reads the time and the meta hash. Answers the map's state and layout; nothing where there is no map, or where its
-- strings are not whole: what is missing must never read as free.
local function read_meta()
  read_time()
  local meta = call(
    'HMGET', META, 'state', 'layout', 'epoch', 'version', 'seats', 'free', 'held', 'sold', 'blocked', 'last_fence'
  )
  for i = 1, 10 do
    if not meta[i] then return nil end
  end
  EPOCH, VERSION, SEATS = meta[3], tonumber(meta[4]), tonumber(meta[5])
  for state = FREE, BLOCKED do COUNTS[state] = tonumber(meta[6 + state]) end
  FENCE_READ = tonumber(meta[10])
  LAST_FENCE = FENCE_READ
  -- guard: whole
  if call('STRLEN', MAP) ~= floor((SEATS + 3) / 4) or call('STRLEN', OWNERS) ~= 8 * SEATS then return nil end
  -- end guard
  return meta[1], meta[2]
end

-- Reads the time and the map that a verb works on. Answers a refusal, or nil and the layout when it may go on.
local function open_map()
  local state, layout = read_meta()
  if not state then return {ABSENT} end
  if state ~= 'ready' then return {REBUILDING, tonumber(EPOCH)} end -- guard: ready
  if ARGV[1] ~= '' and ARGV[1] ~= EPOCH then return {OTHER_EPOCH, tonumber(EPOCH)} end -- guard: epoch
  return nil, layout
end

local function next_fence()
  LAST_FENCE = max(LAST_FENCE + 1, NOW * 1024)
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

-- The fence under which a seat was last held, sold or blocked; zeros if it never was.
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

local function in_order(set_of_seats)
  local seats = {}
  for seat in pairs(set_of_seats) do seats[#seats + 1] = seat end
  table.sort(seats)
  return seats
end

-- The packed map, with what this verb has changed so far.
local function packed_map()
  local map = call('GET', MAP)
  if not next(changed) then return map end
  local bytes = {}
  for seat in pairs(changed) do
    local at, weight = floor(seat / 4) + 1, 4 ^ (3 - seat % 4)
    local byte = bytes[at] or string.byte(map, at)
    bytes[at] = byte + (state[seat] - floor(byte / weight) % 4) * weight
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

local function write_states()
  local args = {}
  for _, seat in ipairs(in_order(changed)) do
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

-- Writes the meta hash and the strings, if they changed.
local function write_map()
  if not next(changed) and not next(owned) and LAST_FENCE == FENCE_READ then return end
  call(
    'HSET', META, 'version', int(VERSION), 'last_fence', int(LAST_FENCE), 'free', COUNTS[FREE], 'held', COUNTS[HELD],
    'sold', COUNTS[SOLD], 'blocked', COUNTS[BLOCKED]
  )
  write_states()
  write_owners()
end

-- A hash whose fields are read once each, changed by put() (false removes), and written back by flush().
local function records(key, read, write)
  local known, changed = {}, {}
  local self = {}
  function self.get(field)
    if known[field] == nil then
      local text = call('HGET', key, field)
      known[field] = text and read(text, field) or false
    end
    return known[field]
  end
  function self.put(field, value)
    known[field], changed[field] = value, true
  end
  function self.flush()
    local written, gone = {}, {}
    for field in pairs(changed) do
      if known[field] then
        written[#written + 1] = field
        written[#written + 1] = write(known[field])
      else
        gone[#gone + 1] = field
      end
    end
    in_chunks('HSET', key, written)
    in_chunks('HDEL', key, gone)
  end
  return self
end

-- A sorted set that is changed by put() (false removes) and written by flush().
local function scores(key)
  local changed = {}
  local self = {}
  function self.put(member, score)
    changed[member] = score
  end
  -- Members with a score up to this bound that were not changed, the lowest first, and whether there are more.
  function self.up_to(bound, limit)
    local touched = 0
    for _ in pairs(changed) do touched = touched + 1 end
    local members = {}
    for _, member in ipairs(call('ZRANGEBYSCORE', key, '-inf', bound, 'LIMIT', 0, limit + touched + 1)) do
      if changed[member] == nil then
        if #members == limit then return members, true end
        members[#members + 1] = member
      end
    end
    return members, false
  end
  function self.flush()
    local written, gone = {}, {}
    for member, score in pairs(changed) do
      if score then
        written[#written + 1] = int(score)
        written[#written + 1] = member
      else
        gone[#gone + 1] = member
      end
    end
    in_chunks('ZADD', key, written)
    in_chunks('ZREM', key, gone)
  end
  return self
end
