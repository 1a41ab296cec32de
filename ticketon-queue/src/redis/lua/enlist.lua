-- enlist: adds a room to the set of all rooms, before it is created. Without the prelude: the set is in another slot.
-- KEYS  1 rooms
-- ARGV  1 event  2 the most rooms there may be
-- OUT   0 it is in the set | -11 the set is full
if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 1 then return {0} end
if redis.call('SCARD', KEYS[1]) >= tonumber(ARGV[2]) then return {-11} end
redis.call('SADD', KEYS[1], ARGV[1])
return {0}
