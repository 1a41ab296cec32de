-- extend: lets a hold last longer, never shorter.
-- KEYS  prelude
-- ARGV  prelude  3 id  4 user  5 fence or ''  6 how long from now in ms  7 how long from when it was taken at most in ms
-- OUT   0 {fence, hold} | -1 | -2 | -3 | -8 {reason} has ended | -10 unknown | -11 not the caller's | -12 pinned
local refusal = open_map()
if refusal then return refusal end
local hold, refused = hold_asked_for(false)
if not hold then return committed(refused) end
if hold.deadline == 0 then return {PINNED} end -- guard: pinned
local wanted = NOW + min(tonumber(ARGV[6]), MAX_HOLD_MS)
hold.deadline = max(hold.deadline, min(wanted, hold.taken_at + tonumber(ARGV[7])))
put_hold(hold)
return committed(done(hold))
