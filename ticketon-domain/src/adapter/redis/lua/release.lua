-- release: gives the seats of a hold back.
-- KEYS  prelude
-- ARGV  prelude  3 id  4 user  5 fence or ''
-- OUT   0 {fence, hold as it was} | -1 | -2 | -3 | -8 {reason} has ended | -10 unknown | -11 not the caller's | -12 pinned
local refusal = open_map()
if refusal then return refusal end
local hold, refused = hold_asked_for(false)
if not hold then return committed(refused) end
if hold.deadline == 0 then return {PINNED} end -- guard: pinned
end_hold(hold, RELEASED)
return committed(done(hold))
