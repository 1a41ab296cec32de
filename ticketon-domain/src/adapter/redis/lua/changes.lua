-- changes: what happened after a version.
-- KEYS  prelude
-- ARGV  prelude  3 version
-- OUT   0 {stream id, packed seats and states, ...}: in order, some of them where all would be large | -1 | -2 | -3
--       -14 some of it is forgotten
local refusal = open_map()
if refusal then return refusal end
local after = tonumber(ARGV[3])
if after > VERSION then return {GAP} end
local out, bytes = {0}, 0
while after < VERSION and #out < 2 * MAX_CHANGES and bytes < MAX_CHANGES_BYTES do
  local wanted = min(CHANGES_STEP, MAX_CHANGES - (#out - 1) / 2)
  local found = call('XRANGE', KEYS[10], int(after + 1) .. '-1', '+', 'COUNT', wanted)
  if #found == 0 or found[1][1] ~= int(after + 1) .. '-1' then return {GAP} end
  for _, entry in ipairs(found) do
    out[#out + 1] = entry[1]
    out[#out + 1] = entry[2][2]
    bytes = bytes + #entry[2][2]
  end
  after = after + #found
end
return out
