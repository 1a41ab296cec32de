-- unpin: gives a pinned hold a deadline again, or ends it. One that is not pinned stays as it is.
-- KEYS  prelude
-- ARGV  prelude  3 id  4 user  5 fence  6 how long from now in ms; zero or less ends it
-- OUT   0 {fence, hold, or as it was} | -1 | -2 | -3 | -8 {reason} has ended | -10 unknown | -11 not the caller's
local refusal = open_map()
if refusal then return refusal end
local hold, refused = hold_asked_for(true)
if not hold then return committed(refused) end
if hold.deadline ~= 0 then return done(hold) end
local ttl = tonumber(ARGV[6])
if ttl > 0 then
  hold.deadline = NOW + min(ttl, MAX_HOLD_MS)
  put_hold(hold)
else
  end_hold(hold, RELEASED)
end
return committed(done(hold))
