-- records: hashes and sorted sets whose fields a verb reads once, changes, and writes back at its end; it stands after
-- seats. Of a field that is put to false nothing stays.

-- The fields of a hash; `read` and `write` turn a field's text into a value and back.
local function hash(key, read, write)
  return {key = key, read = read, write = write, known = {}, changed = {}}
end

local function get(part, field)
  local value = part.known[field]
  if value == nil then
    local text = call('HGET', part.key, field)
    value = text and part.read(text, field) or false
    part.known[field] = value
  end
  return value
end

local function put(part, field, value)
  part.known[field], part.changed[field] = value, true
end

-- The members of a sorted set; only what changes is kept.
local function scores(key)
  return {key = key, changed = {}}
end

local function put_score(part, member, score)
  part.changed[member] = score
end

-- Members with a score up to this bound that were not changed, the lowest first, and whether there are more.
local function up_to(part, bound, limit)
  local touched = 0
  for _ in pairs(part.changed) do touched = touched + 1 end
  local members = {}
  for _, member in ipairs(call('ZRANGEBYSCORE', part.key, '-inf', bound, 'LIMIT', 0, limit + touched + 1)) do
    if part.changed[member] == nil then
      if #members == limit then return members, true end
      members[#members + 1] = member
    end
  end
  return members, false
end

local function write_hash(part)
  if not next(part.changed) then return end
  local written, gone = {}, {}
  for field in pairs(part.changed) do
    local value = part.known[field]
    if value then
      written[#written + 1] = field
      written[#written + 1] = part.write(value)
    else
      gone[#gone + 1] = field
    end
  end
  in_chunks('HSET', part.key, written)
  in_chunks('HDEL', part.key, gone)
end

local function write_scores(part)
  if not next(part.changed) then return end
  local written, gone = {}, {}
  for member, score in pairs(part.changed) do
    if score then
      written[#written + 1] = int(score)
      written[#written + 1] = member
    else
      gone[#gone + 1] = member
    end
  end
  in_chunks('ZADD', part.key, written)
  in_chunks('ZREM', part.key, gone)
end
