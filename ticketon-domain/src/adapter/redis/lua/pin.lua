-- pin: takes the deadline off a hold, because it is being paid for.
-- KEYS  prelude
-- ARGV  prelude  3 id  4 user  5 fence
-- OUT   0 {fence, hold} | -1 | -2 | -3 | -8 {reason} has ended | -10 unknown | -11 not the caller's
local refusal = open_map()
if refusal then return refusal end
local hold, refused = hold_asked_for(true)
if not hold then return committed(refused) end
hold.deadline = 0
put_hold(hold)
return committed(done(hold))
