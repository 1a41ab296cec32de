-- finish_rebuild: the map is ready.
-- KEYS  prelude
-- ARGV  prelude
-- OUT   0 now, or before | -13 another rebuild has begun
if not read_meta() or EPOCH ~= ARGV[1] then return {SUPERSEDED} end -- guard: finish-epoch
call('HSET', META, 'state', 'ready')
return {0}
