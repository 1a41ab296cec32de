-- register_broker: registers a broker's incarnation.
-- KEYS  prelude
-- ARGV  prelude  4 broker
-- OUT   0 | -1 | -2
local refusal = open_room()
if refusal then return refusal end
call('ZADD', BROKERS, NOW + BROKER_LEASE_MS, ARGV[4])
return {0}
