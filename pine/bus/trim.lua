-- Cuts off a stream's oldest entries unless somebody needs one of them, looked at inside the server.
-- KEYS[1]   the stream
-- KEYS[2..] keys that must not exist: ledgers of strategies that had not begun when the cut was decided
-- ARGV[1]   the first id that stays
-- ARGV[2]   a group that must be there
-- ARGV[3]   how many groups count; then their names: each must have acknowledged everything that goes
-- ARGV[..]  groups that do not count; one that is in neither list is new, and stops the cut
-- Returns {0, entries removed}, or {1, why nothing was.}
local stream, first, required = KEYS[1], ARGV[1], ARGV[2]

for i = 2, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 1 then return {1, KEYS[i] .. ' has begun'} end
end

local counted, uncounted = {}, {}
local last_counted = 3 + tonumber(ARGV[3])
for i = 4, #ARGV do
  if i <= last_counted then counted[ARGV[i]] = true else uncounted[ARGV[i]] = true end
end

local groups = redis.pcall('XINFO', 'GROUPS', stream)
if groups.err then return {1, 'the stream is gone'} end
local found = false
for _, flat in ipairs(groups) do
  local info = {}
  for i = 1, #flat, 2 do info[flat[i]] = flat[i + 1] end
  if info.name == required then found = true end
  if counted[info.name] then
    local from = '(' .. info['last-delivered-id']
    if info.pending > 0 then from = redis.call('XPENDING', stream, info.name)[2] end
    if #redis.call('XRANGE', stream, from, '(' .. first, 'COUNT', 1) > 0 then
      return {1, info.name .. ' has not acknowledged everything'}
    end
  elseif not uncounted[info.name] then
    return {1, info.name .. ' is new'}
  end
end
if not found then return {1, 'there is no group ' .. required} end

return {0, redis.call('XTRIM', stream, 'MINID', first)}
