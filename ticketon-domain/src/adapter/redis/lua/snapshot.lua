-- snapshot: the head and the seats of the same moment.
-- KEYS  prelude
-- ARGV  prelude
-- OUT   0 {epoch, version, layout, seats, free, held, sold, blocked, two bits a seat} | -1 | -2 | -3
local refusal, layout = open_map()
if refusal then return refusal end
local out = head(layout)
out[#out + 1] = call('GET', MAP) or ''
return out
