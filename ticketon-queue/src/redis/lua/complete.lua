-- complete: ends an admission whose purpose is fulfilled.
-- KEYS  prelude
-- ARGV  prelude  4 user  5 fence
-- OUT   0 completed, now or before | -1 | -2 | -7 {ending} | -8 no lease with this fence
local refusal = open_room()
if refusal then return refusal end

local user, fence = ARGV[4], ARGV[5]
local lease = live_lease(user)
local out = {OTHER_FENCE}
if lease
  and lease.fence == fence -- guard: complete-fence
then
  drop_lease(user)
  end_places({user}, {'completed:' .. fence})
  put('completed', R.completed + 1)
  out = {0}
elseif not lease then
  local ending = gone_of(user)
  if ending and string.match(ending, ':(%d+)$') == fence then out = {ENDED, ending} end
  if ending == 'completed:' .. fence then out = {0} end -- guard: complete-again
end
flush()
return out
