/** Keys and presence entries that are not refreshed are removed after this time, in seconds. */
export const keptSeconds = 86_400;

/** The changes of membership and presence that a room keeps. */
export const keptChanges = 256;

/** The functions that the scripts share. */
export const common = `
local prefix = ARGV[1] .. ':'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function room_key(ns, room) return prefix .. '{' .. ns .. ' ' .. room .. '}' end
local function keep(key) redis.call('EXPIRE', key, ${keptSeconds}) end
local function is_late(deadline) return now > tonumber(deadline) end
local function has_lease(node) return redis.call('ZSCORE', prefix .. 'nodes', node) end
local late = redis.error_reply('LATE the deadline is over')
local no_lease = redis.error_reply('LEASE the node has lost its lease')
local epochs = 0
local function head_of(key, epoch)
  local head = redis.call('HMGET', key .. ':head', 'epoch', 'seq', 'kept')
  if head[1] then return head[1], tonumber(head[2]), tonumber(head[3]) end
  epochs = epochs + 1
  local created = epoch .. epochs
  redis.call('HSET', key .. ':head', 'epoch', created, 'seq', 0, 'kept', 0)
  keep(key .. ':head')
  return created, 0, 0
end
local function announce(key, kind, payload)
  local change = redis.call('HINCRBY', key .. ':head', 'change', 1)
  local text = kind .. change .. ' ' .. payload
  redis.call('RPUSH', key .. ':changes', text)
  redis.call('LTRIM', key .. ':changes', -${keptChanges}, -1)
  keep(key .. ':changes')
  redis.call('PUBLISH', key, text)
  return change
end
local function time_of(id) return tonumber(string.match(id, '-(%d+)$')) end
local function seq_of(id) return tonumber(string.match(id, '^(%d+)')) end
local function trim(log, age)
  local from, count, is_stale = '-', 1, false
  while true do
    local entries = redis.call('XRANGE', log, from, '+', 'COUNT', count)
    for _, entry in ipairs(entries) do
      if time_of(entry[1]) >= now - age then
        if is_stale then redis.call('XTRIM', log, 'MINID', entry[1]) end
        return seq_of(entry[1])
      end
      is_stale = true
    end
    if #entries < count then
      if is_stale then redis.call('DEL', log) end
      return nil
    end
    from, count = '(' .. entries[#entries][1], 64
  end
end
`;
