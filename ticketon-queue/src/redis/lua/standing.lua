-- standing: where a user is. Changes nothing.
-- KEYS  prelude
-- ARGV  prelude  4 user
-- OUT   0 {state, standing} | -1 | -2
local refusal = open_room()
if refusal then return refusal end
return {0, R.state, standing(ARGV[4], true)}
