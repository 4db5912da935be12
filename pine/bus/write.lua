-- Writes a batch under a fencing token, all of it inside the server.
-- KEYS[1]   fencing counter of the writer's role
-- KEYS[2..] keys that are written
-- ARGV[1]   the writer's token; then operations, each with the index of its key in KEYS:
--   X key id count field value ...   append; an equal entry under this id counts as a repeat
--   H key field value                set a hash field once; an equal value counts as a repeat
--   A key group id                   acknowledge
--   G key group id entries_read      set a group forward
--   R                                write something, even if all others are repeats; stands last
--   T key id                         the stream must have come as far as this id; stands before any writing
--   N key group id                   this must be next for the group to acknowledge; stands before any writing
-- Returns {0, added, repeated}, {1, current token} when fenced off, {2, key, id, text} at the first conflict, or
-- {3, key, id, found} when the server does not hold what it once acknowledged.
local current = redis.call('GET', KEYS[1])
if current and current ~= ARGV[1] then
  if tonumber(current) < tonumber(ARGV[1]) then return {3, KEYS[1], ARGV[1], current} end
  return {1, current}
end

local function older(left, right)
  local a, n = string.match(left, '^(%d+)-(%d+)$')
  local b, m = string.match(right, '^(%d+)-(%d+)$')
  a, b = tonumber(a), tonumber(b)
  return a < b or (a == b and tonumber(n) < tonumber(m))
end

local function value_of(flat, name)
  for i = 1, #flat, 2 do
    if flat[i] == name then return flat[i + 1] end
  end
end

local function last_of(key)
  local about = redis.pcall('XINFO', 'STREAM', key)
  return about.err and '0-0' or value_of(about, 'last-generated-id')
end

local function delivered_of(key, group)
  local groups = redis.pcall('XINFO', 'GROUPS', key)
  if not groups.err then
    for _, about in ipairs(groups) do
      if value_of(about, 'name') == group then return value_of(about, 'last-delivered-id') end
    end
  end
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
  local op, key = ARGV[i], KEYS[tonumber(ARGV[i + 1] or 1)]
  if op == 'R' then
    redis.call('SET', KEYS[1], ARGV[1])
    i = i + 1
  elseif op == 'X' then
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
  elseif op == 'T' then
    local last = last_of(key)
    if older(last, ARGV[i + 2]) then return {3, key, ARGV[i + 2], last} end
    i = i + 3
  elseif op == 'N' then
    local group, id = ARGV[i + 2], ARGV[i + 3]
    local delivered = delivered_of(key, group)
    if not delivered then return {3, key, id, 'no group ' .. group} end
    if older(delivered, id) then return {3, key, id, delivered .. ' as the last one that group ' .. group .. ' read'} end
    local pending = redis.call('XPENDING', key, group, '-', '+', 1)
    if #pending > 0 and older(pending[1][1], id) then
      return {3, key, id, pending[1][1] .. ' not acknowledged in group ' .. group}
    end
    i = i + 4
  else
    redis.call('XGROUP', 'SETID', key, ARGV[i + 2], ARGV[i + 3], 'ENTRIESREAD', ARGV[i + 4])
    i = i + 5
  end
end
return {0, added, repeated}
