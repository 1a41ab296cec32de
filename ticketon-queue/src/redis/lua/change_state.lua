-- change_state: asks for another state.
-- KEYS  prelude
-- ARGV  prelude, then pairs: a state, and the state that the verb leads to from it
-- OUT   0 {state now} | -1 | -2 | -5 {state}: the verb makes no sense in it
local refusal = open_room()
if refusal then return refusal end

local after
for i = 4, #ARGV, 2 do
  if ARGV[i] == R.state then after = ARGV[i + 1] end
end
if not after then return {REFUSED, R.state} end
if after ~= R.state then
  read_lanes('mark:')
  enter(after)
  flush()
  record(0, 0, 0)
end
return {0, after}
