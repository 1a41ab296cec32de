-- prelude: the map that a verb works on; it stands before each of them.
-- KEYS  1 seats  2 seats:map  3 seats:owner  4 seats:holds  5 seats:ids  6 seats:deadlines  7 seats:ended
--       8 seats:users  9 seats:sold  10 seats:changes  11 seats:marks
-- ARGV  1 epoch that the caller knows, '' for any  2 now in ms, '' for Redis's own time; then what the verb adds
-- OUT   {code, ...}: 0 is done, below zero a refusal (`Refusal` in script.rs); of each verb but the rebuild's:
--       -1 no map | -2 {epoch} is being rebuilt | -3 {epoch} is ready, and not the caller's
-- Fences are 8 bytes, big endian, wherever they are kept or compared.
-- Numbers are whole and below 2^53. `..` and tostring round past 14 digits: use int().

local ABSENT, REBUILDING, OTHER_EPOCH = -1, -2, -3
local UNAVAILABLE, NO_SEATS, OVER_ORDER, OVER_USER, ENDED, MISMATCH = -4, -5, -6, -7, -8, -9
local UNKNOWN, NOT_YOURS, PINNED, SUPERSEDED, GAP = -10, -11, -12, -13, -14
local FREE, HELD, SOLD, BLOCKED = 0, 1, 2, 3

local META, MAP, OWNERS = KEYS[1], KEYS[2], KEYS[3]
local call = redis.call
local floor, min, max = math.floor, math.min, math.max

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

-- {0, epoch, version, layout, seats, free, held, sold, blocked}
local function head(layout)
  return {
    0, tonumber(EPOCH), VERSION, layout, SEATS, COUNTS[FREE], COUNTS[HELD], COUNTS[SOLD], COUNTS[BLOCKED],
  }
end
