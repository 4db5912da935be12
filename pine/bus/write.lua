-- Writes a batch under a fencing token, all of it inside the server.
-- KEYS[1]   fencing counter of the writer's role
-- KEYS[2..] keys that are written
-- ARGV[1]   the writer's token; then operations, each with the index of its key in KEYS:
--   X key id count field value ...   append; an equal entry under this id counts as a repeat
--   H key field value                set a hash field once; an equal value counts as a repeat
--   A key group id                   acknowledge
--   G key group id entries_read      set a group forward
-- Returns {0, added, repeated}, {1, current token} when fenced off, or {2, key, id, text} at the first conflict.
local current = redis.call('GET', KEYS[1])
if current and current ~= ARGV[1] then
  return {1, current}
end

local function as_map(flat)
  local map, size = {}, 0
  for i = 1, #flat, 2 do
    if flat[i] ~= 'fence' then
      map[flat[i]] = flat[i + 1]
      size = size + 1
    end
  end
  return map, size
end

local function same(left, right)
  local a, n = as_map(left)
  local b, m = as_map(right)
  if n ~= m then return false end
  for k, v in pairs(a) do
    if b[k] ~= v then return false end
  end
  return true
end

local added, repeated = 0, 0
local i = 2
while i <= #ARGV do
  local op, key = ARGV[i], KEYS[tonumber(ARGV[i + 1])]
  if op == 'X' then
    local id, count = ARGV[i + 2], tonumber(ARGV[i + 3])
    local fields = {}
    for j = 1, count do fields[j] = ARGV[i + 3 + j] end
    local reply = redis.pcall('XADD', key, id, unpack(fields))
    if type(reply) == 'table' and reply.err then
      if not string.find(reply.err, 'equal or smaller', 1, true) then return redis.error_reply(reply.err) end
      local found = redis.call('XRANGE', key, id, id)
      if #found == 0 then
        local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)
        if #last == 0 then return {2, key, id, reply.err} end
        return {2, key, id, 'the stream is already at ' .. last[1][1] .. ' and holds nothing under this id'}
      end
      if not same(found[1][2], fields) then
        return {2, key, id, 'another entry stands there: ' .. table.concat(found[1][2], ' ')}
      end
      repeated = repeated + 1
    else
      added = added + 1
    end
    i = i + 4 + count
  elseif op == 'H' then
    local field, value = ARGV[i + 2], ARGV[i + 3]
    if redis.call('HSETNX', key, field, value) == 1 then
      added = added + 1
    else
      local found = redis.call('HGET', key, field)
      if found ~= value then return {2, key, field, 'another value stands there: ' .. found} end
      repeated = repeated + 1
    end
    i = i + 4
  elseif op == 'A' then
    redis.call('XACK', key, ARGV[i + 2], ARGV[i + 3])
    i = i + 4
  else
    redis.call('XGROUP', 'SETID', key, ARGV[i + 2], ARGV[i + 3], 'ENTRIESREAD', ARGV[i + 4])
    i = i + 5
  end
end
return {0, added, repeated}
