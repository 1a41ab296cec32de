-- pinned: the holds that are pinned, the oldest first. Writes nothing.
-- KEYS  prelude
-- ARGV  prelude  3 how many of the oldest are left out
-- OUT   0 {fence, hold, ...} | -1 | -2 | -3
local refusal = open_map()
if refusal then return refusal end
local out = {0}
-- Of the same score the order is that of the fences.
for _, fence in ipairs(call('ZRANGEBYSCORE', KEYS[6], '+inf', '+inf', 'LIMIT', ARGV[3], MAX_PINNED)) do
  local hold = get(holds, fence)
  assert(hold, 'a pinned fence has no hold')
  out[#out + 1] = fence
  out[#out + 1] = write_hold(hold)
end
return out
