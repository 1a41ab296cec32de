-- leave: gives up a place or an admission.
-- KEYS  prelude
-- ARGV  prelude  4 user  5 fence, or '' for whatever admission there is
-- OUT   0 nothing to leave | 1 a place in line was left | 2 an admission was left | -1 | -2 | -8 another fence
local refusal = open_room()
if refusal then return refusal end

local user, fence = ARGV[4], ARGV[5]
local lease = live_lease(user)
local code = ABSENT
if lease then
  if fence ~= '' and fence ~= lease.fence then return {OTHER_FENCE} end -- guard: leave-fence
  drop_lease(user)
  end_places({user}, {'left:' .. lease.fence})
  code = ADMITTED
else
  local lane = waits(user)
  if lane then
    call('ZREM', line(lane), user)
    end_places({user}, {'left:0'})
    code = WAITING
  end
end
if code ~= ABSENT then put('left', R.left + 1) end
flush()
return {code}
