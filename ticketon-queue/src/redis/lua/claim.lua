-- claim: claims an admission, and may let it last longer.
-- KEYS  prelude
-- ARGV  prelude  4 user  5 fence  6 ms from now that it must last at least, or '' to leave its end as it is
-- OUT   0 {lease} | -1 | -2 | -7 {ending} | -8 no lease with this fence
local refusal = open_room()
if refusal then return refusal end

local user, fence = ARGV[4], ARGV[5]
local lease = live_lease(user)
local out = {OTHER_FENCE}
if lease
  and lease.fence == fence -- guard: claim-fence
then
  lease.claimed = true
  if ARGV[6] ~= '' then
    lease.expires_at = math.max(lease.expires_at, NOW + tonumber(ARGV[6]))
  end
  write_lease(user, lease)
  out = {0, lease.text}
elseif not lease then
  local ending = gone_of(user)
  if ending and string.match(ending, ':(%d+)$') == fence then out = {ENDED, ending} end
end
flush()
return out
