-- numbers: a room's numbers at one moment.
-- KEYS  prelude
-- ARGV  prelude
-- OUT   0 {numbers} | -1 | -2
local refusal = open_room()
if refusal then return refusal end
return {0, numbers()}
