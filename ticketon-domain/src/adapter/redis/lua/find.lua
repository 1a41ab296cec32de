-- find: the hold of an id, while it lives. Writes nothing.
-- KEYS  prelude
-- ARGV  prelude  3 id  4 user  5 fence or ''
-- OUT   0 {fence, hold} | -1 | -2 | -3 | -8 {reason} has ended | -10 unknown | -11 not the caller's
local refusal = open_map()
if refusal then return refusal end
local hold, refused = hold_asked_for(false)
return hold and done(hold) or refused
