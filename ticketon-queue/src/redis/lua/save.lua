-- save: creates a room, or changes its config.
-- KEYS  prelude (lanes: those of the present config, none for a new room), then a line for each lane of the new config
-- ARGV  prelude (stamp '' for a new room)  4 config, JSON  5 lanes and 6 their strides, comma-separated
--       7 capacity  8 admissions a second  9 burst  10 claim, 11 entry and 12 away time in ms  13 most waiting
--       14 opening time in ms or ''  15 fifo or draw  16 a key for a new draw
--       17 the setting of the draw that changes, or ''
-- OUT   0 created | 1 changed | -2 stale stamp | -10 {the lane that is left out is not empty}
--       | -12 somebody has joined, so the draw stays as it is
local refusal = open_room()
local is_new = refusal and refusal[1] == NO_ROOM and ARGV[1] == ''
if refusal and not is_new then return refusal end

local opens_at = tonumber(ARGV[14])
local is_draw = ARGV[15] == 'draw'
local redrawn = not is_new and ARGV[17] ~= ''
if redrawn and R.joined > 0 then return {FROZEN} end -- guard: draw-frozen

local lanes = split(ARGV[5])
local wanted = {}
for _, name in ipairs(lanes) do wanted[name] = true end
-- guard: save-lane
for i = 1, LANES do
  if not wanted[NAMES[i]] and call('ZCARD', line(i)) > 0 then
    return {LANE_NOT_EMPTY, NAMES[i]}
  end
end
-- end guard

local burst_milli = tonumber(ARGV[9]) * 1000
if is_new then
  put('state', opens_at and opens_at > NOW and 'scheduled' or 'open')
  put('epoch', math.abs(NOW))
  put('version', 1)
  for _, field in ipairs({'last_fence', 'guard_until', 'joined', 'admitted', 'completed', 'expired', 'left'}) do
    put(field, 0)
  end
  put('budget_milli', burst_milli)
  put('budget_at', NOW)
  put('tick_at', NOW)
  if is_draw then put('draw_key', ARGV[16]) end
  for i, name in ipairs(lanes) do
    put('seq:' .. name, 0)
    -- Places that outlived their room's hash stay before the newcomers.
    -- guard: save-outlived
    local last = call('ZREVRANGE', KEYS[FIXED + LANES + i], 0, 0, 'WITHSCORES')
    put('seq:' .. name, math.max(tonumber(last[2]) or 0, 0))
    -- end guard
  end
else
  settle_budget()
  put('budget_milli', math.min(R.budget_milli, burst_milli))
  put('version', tonumber(R.version) + 1)
  if redrawn and not is_draw then call('HDEL', ROOM, 'draw_key') end
  if redrawn and is_draw then
    -- A key that was made known, or none, is replaced.
    if R.opening ~= 'draw' then put('draw_key', ARGV[16]) end
    if R.state ~= 'scheduled' then put('draw_key', ARGV[16]) end -- guard: draw-known-key
    if R.state == 'open' and opens_at > NOW then put('state', 'scheduled') end
  end
end
put('saved_at', NOW)
for _, name in ipairs(lanes) do put('pass:' .. name, 0) end
put('pass', 0)
local fields = {
  'config', 'lanes', 'strides', 'capacity', 'rate', 'burst', 'claim_ttl', 'entry_ttl', 'away_grace',
  'max_waiting', 'opens_at', 'opening',
}
for i, field in ipairs(fields) do put(field, ARGV[3 + i]) end
flush()
return {is_new and 0 or 1}
