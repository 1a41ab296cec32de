-- owners: what seats are and whose, from one on. Writes nothing.
-- KEYS  prelude
-- ARGV  prelude  3 the first seat
-- OUT   0 {the first seat whose state follows, two bits a seat, 8 bytes a seat from the one asked for} | -1 | -2 | -3
local refusal = open_map()
if refusal then return refusal end
local from = tonumber(ARGV[3])
local to = min(from + MAX_OWNED, SEATS) - 1
if from > to then return {0, from, '', ''} end
local first = floor(from / 4)
return {
  0, first * 4, call('GETRANGE', MAP, first, floor(to / 4)), call('GETRANGE', OWNERS, 8 * from, 8 * to + 7),
}
