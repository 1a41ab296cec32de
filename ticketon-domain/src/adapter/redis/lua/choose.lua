-- choose: which seats a hold gets that names none; it stands between holds and the verb hold.

local RUN_BYTES = 20
-- How many runs are looked at one by one before everything that is free is looked for.
local FEW_RUNS = 64
-- How much of the map is read at a time to find free units.
local FIRST_BYTES, MAX_BYTES = 128, 8192

-- A byte with a free seat: each pair of bits of the others is 1, 2 or 3. The range that begins with `]` has to be the first.
local SOME_FREE = '[^\93-\95\169-\171\85-\87\89-\91\101-\103\105-\107\109-\111\117-\119\121-\123\125-\127\149-\151'
  .. '\153-\155\157-\159\165-\167\173-\175\181-\183\185-\187\189-\191\213-\215\217-\219\221-\223\229-\231\233-\235'
  .. '\237-\239\245-\247\249-\251\253-\255]'

-- The four states of a byte as digits.
local DIGITS = setmetatable({}, {
  __index = function(digits, char)
    local byte = string.byte(char)
    digits[char] = floor(byte / 64) .. floor(byte / 16) % 4 .. floor(byte / 4) % 4 .. byte % 4
    return digits[char]
  end,
})

-- The maximal stretches of free seats between two seats that have at least `enough` (as digits): first and past the last,
-- one after the other.
local function blocks_of(map, start, past, enough)
  local first_byte = floor(start / 4)
  local packed = string.sub(map, first_byte + 1, floor((past - 1) / 4) + 1)
  local digits = string.gsub(packed, '.', DIGITS)
  local base = 4 * first_byte - 1
  digits = string.sub(digits, start - base, past - 1 - base)
  local blocks, at = {}, 1
  while true do
    -- Before a match stands no free seat, so a block begins with it.
    local from = string.find(digits, enough, at, true)
    if not from then return blocks end
    at = string.find(digits, '[^0]', from) or #digits + 1
    blocks[#blocks + 1] = start + from - 1
    blocks[#blocks + 1] = start + at - 1
  end
end

-- Of windows that begin at `low` to `high` in a block, the one whose middle is nearest to the best point, and twice its
-- distance; with `careful` only those that leave no lone seat.
local function nearest(block, past, low, high, count, centre_twice, careful)
  local best, distance
  -- At most two windows leave a lone seat, so the nearest is within two seats of where the best point would have it.
  local ideal = max(low, min(floor((centre_twice - count + 1) / 2), high))
  for first = max(low, ideal - 2), min(high, ideal + 3) do
    local leaves_lone = first - block == 1 or past - first - count == 1
    local from_best = math.abs(2 * first + count - 1 - centre_twice)
    if not (careful and leaves_lone) and (not best or from_best < distance) then
      best, distance = first, from_best
    end
  end
  return best, distance
end

-- Where in a list of blocks the first one stands that ends after a seat.
local function first_after(blocks, seat)
  local low, high = 1, #blocks / 2 + 1
  while low < high do
    local middle = floor((low + high) / 2)
    if blocks[2 * middle] > seat then high = middle else low = middle + 1 end
  end
  return 2 * low - 1
end

-- `count` seats side by side, in the first run that has a place for them (the rule is that of `best::pick`), or nil.
local function choose_adjacent(count, orphans, runs)
  assert(#runs % RUN_BYTES == 0 and #runs <= RUN_BYTES * MAX_RUNS, 'packed runs are not whole, or too many')
  local map = packed_map(0, -1)
  local enough = string.rep('0', count)
  local of_segment, of_map = {}, nil
  local some_fit = false

  -- The blocks of a segment, or all blocks of the map and where to begin. The first runs have a place as a rule; where
  -- they have none, there may be none at all.
  local function blocks_near(at, start, segment_start, segment_past)
    if at > RUN_BYTES * FEW_RUNS then
      of_map = of_map or blocks_of(map, 0, SEATS, enough)
      return of_map, first_after(of_map, start)
    end
    local known = of_segment[segment_start]
    if not known or known.past ~= segment_past then
      known = {past = segment_past, blocks = blocks_of(map, segment_start, segment_past, enough)}
      of_segment[segment_start] = known
    end
    return known.blocks, 1
  end

  -- The best place in one run; `or_else` a block that has only places which leave a lone seat offers those.
  local function place(at, careful, or_else)
    local start, len, segment_start, segment_len, centre_twice = unpacked('>I4I4I4I4I4', runs, at)
    local segment_past = min(segment_start + segment_len, SEATS)
    local past = min(start + len, segment_past)
    start = max(start, segment_start)
    if past - start < count then return nil end
    local blocks, i = blocks_near(at, start, segment_start, segment_past)
    local best, distance
    while blocks[i] and blocks[i] < past do
      local block, block_past = max(blocks[i], segment_start), min(blocks[i + 1], segment_past)
      local low, high = max(block, start), min(block_past, past) - count
      if low <= high then
        some_fit = true
        local first, from_best = nearest(block, block_past, low, high, count, centre_twice, careful)
        if not first and or_else then
          first, from_best = nearest(block, block_past, low, high, count, centre_twice, false)
        end
        if first and (not best or from_best < distance) then best, distance = first, from_best end
      end
      i = i + 2
    end
    return best
  end

  local function first_place(careful, or_else)
    for at = 1, #runs, RUN_BYTES do
      local first = place(at, careful, or_else)
      if first then return first end
      if of_map and #of_map == 0 then return nil end
    end
    return nil
  end

  local first
  if orphans == 'allow' then
    first = first_place(false, false)
  elseif orphans == 'lenient' then
    first = first_place(true, true)
  else
    first = first_place(true, false)
    if not first and some_fit then first = first_place(false, false) end
  end
  if not first then return nil end
  local seats = {}
  for i = 1, count do seats[i] = first + i - 1 end
  return seats
end

-- The first `count` free units of an area, from a place in it and around, or nil.
local function choose_units(count, start, len, offset)
  if len == 0 then return nil end
  local seats = {}
  local function look(from, past)
    past = min(past, SEATS)
    -- Most find what they need at once; who does not reads more at a time.
    local bytes = FIRST_BYTES
    while from < past and #seats < count do
      local first = floor(from / 4)
      local map = packed_map(first, min(first + bytes, floor((past + 3) / 4)) - 1)
      local map_past = min(4 * (first + #map), past)
      while from < map_past and #seats < count do
        local at = string.find(map, SOME_FREE, floor(from / 4) - first + 1)
        if not at then break end
        local byte, byte_past = string.byte(map, at), 4 * (first + at)
        from = max(from, byte_past - 4)
        while from < min(map_past, byte_past) and #seats < count do
          if floor(byte / 4 ^ (3 - from % 4)) % 4 == FREE then seats[#seats + 1] = from end
          from = from + 1
        end
      end
      if #seats < count then from = map_past end
      bytes = min(2 * bytes, MAX_BYTES)
    end
  end
  look(start + offset % len, start + len)
  look(start, start + offset % len)
  return #seats == count and seats or nil
end
