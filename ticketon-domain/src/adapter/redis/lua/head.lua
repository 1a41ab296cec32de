-- head: everything but the seats.
-- KEYS  prelude
-- ARGV  prelude
-- OUT   0 {epoch, version, layout, seats, free, held, sold, blocked} | -1 | -2 | -3
local refusal, layout = open_map()
if refusal then return refusal end
return head(layout)
