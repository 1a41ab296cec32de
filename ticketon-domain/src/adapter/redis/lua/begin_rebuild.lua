-- begin_rebuild: starts over under a newer epoch. What was in the map is gone; the last fence stays.
-- KEYS  prelude
-- ARGV  prelude (1 unused)  3 layout  4 number of seats
-- OUT   0 {epoch}
read_time()
local last = call('HMGET', META, 'epoch', 'last_fence')
local epoch = (tonumber(last[1]) or 0) + 1
epoch = max(epoch, NOW * 1024) -- guard: epoch-floor
local seats = tonumber(ARGV[4])
call(
  'HSET', META, 'state', 'rebuilding', 'epoch', int(epoch), 'version', 0, 'layout', ARGV[3], 'seats', int(seats),
  'free', int(seats), 'held', 0, 'sold', 0, 'blocked', 0, 'last_fence', last[2] or '0'
)
call('UNLINK', unpack(KEYS, 2))
if seats > 0 then
  call('SETRANGE', MAP, floor((seats + 3) / 4) - 1, '\0')
  call('SETRANGE', OWNERS, 8 * seats - 1, '\0')
end
return {0, epoch}
