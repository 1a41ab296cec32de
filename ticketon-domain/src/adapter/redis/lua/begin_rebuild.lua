-- begin_rebuild: starts over under a newer epoch. What was in the map is gone; the last fence stays.
-- KEYS  prelude
-- ARGV  prelude (1 unused)  3 layout  4 number of seats  5 what the caller saw: any, absent, rebuilding or ready
--       6 its epoch or ''  7 what no other call has: the same call again is answered what it was
-- OUT   0 {epoch} | -13 the map is not what the caller saw
local phase = read_meta()
local last = call('HMGET', META, 'epoch', 'last_fence', 'begun_by')
if phase == 'rebuilding' and last[3] == ARGV[7] then return {0, tonumber(EPOCH)} end
-- guard: over
local is_so = ARGV[5] == 'any' or (phase or 'absent') == ARGV[5] and (not phase or EPOCH == ARGV[6])
if not is_so then return {SUPERSEDED} end
-- end guard
local epoch = (tonumber(last[1]) or 0) + 1
epoch = max(epoch, NOW * 1024) -- guard: epoch-floor
local seats = tonumber(ARGV[4])
call(
  'HSET', META, 'state', 'rebuilding', 'epoch', int(epoch), 'version', 0, 'layout', ARGV[3], 'seats', int(seats),
  'free', int(seats), 'held', 0, 'sold', 0, 'blocked', 0, 'last_fence', last[2] or '0', 'begun_by', ARGV[7]
)
call('UNLINK', unpack(KEYS, 2))
if seats > 0 then
  call('SETRANGE', MAP, floor((seats + 3) / 4) - 1, '\0')
  call('SETRANGE', OWNERS, 8 * seats - 1, '\0')
end
return {0, epoch}
