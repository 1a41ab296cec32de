-- sweep: ends holds past their deadline, and forgets ends that are old.
-- KEYS  prelude
-- ARGV  prelude
-- OUT   0 {holds, seats, 1 when more is due} | -1 | -2
local refusal = open_map()
if refusal then return refusal end
local ended, seats, more_due = end_due()
local old, more_old = up_to(endings, '(' .. int(NOW - ENDED_TTL_MS), MAX_FORGOTTEN)
for _, id in ipairs(old) do
  put(ids, id, false)
  put_score(endings, id, false)
end
return committed({0, ended, seats, (more_due or more_old) and 1 or 0})
