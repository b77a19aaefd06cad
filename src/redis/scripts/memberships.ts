import { common } from "./common.ts";

/**
 * Registers a connection and makes it a member of rooms. Arguments: prefix, node, deadline, epoch, whether presence is
 * reported (1 or 0), namespace, connection, user, then for each room its name and the JSON of its announcement or "".
 *
 * @returns the number of the change in each room
 */
export const enter = `${common}
local node, epoch, reports_presence, ns, connection, user = ARGV[2], ARGV[4], ARGV[5] == '1', ARGV[6], ARGV[7], ARGV[8]
if is_late(ARGV[3]) then return late end
if not has_lease(node) then return no_lease end
local registry = prefix .. 'node:' .. node
redis.call('HSET', prefix .. 'connections:' .. ns, connection, node .. '\\n' .. user)
redis.call('HSET', prefix .. 'user:' .. ns .. '\\n' .. user, connection, node)
redis.call('SADD', registry, ns .. '\\n' .. connection .. '\\n')
keep(registry)
keep(prefix .. 'connections:' .. ns)
keep(prefix .. 'user:' .. ns .. '\\n' .. user)
local changes = {}
for at = 9, #ARGV, 2 do
  local room = ARGV[at]
  local key = room_key(ns, room)
  local epoch, seq = head_of(key, epoch)
  local announcement = ''
  redis.call('SADD', registry, ns .. '\\n' .. connection .. '\\n' .. room)
  if redis.call('HSETNX', key .. ':members', connection, user) == 1 then
    announcement = ARGV[at + 1]
    local connections = redis.call('HGET', key .. ':users', user)
    redis.call('HINCRBY', key .. ':users', user, 1)
    keep(key .. ':members')
    keep(key .. ':users')
    if connections == '0' then redis.call('ZREM', prefix .. 'lost', ns .. '\\n' .. room .. '\\n' .. user) end
    if not connections and reports_presence then
      announce(key, 'P', '1 ' .. redis.call('HLEN', key .. ':users') .. '\\n' .. user)
    end
  end
  local place = redis.call('HLEN', key .. ':members') .. ' ' .. epoch .. ':' .. seq
  changes[#changes + 1] = announce(key, 'J', place .. ' ' .. node .. ' ' .. connection .. '\\n' .. announcement)
end
return changes
`;

/**
 * Removes memberships, and connections from the register. Arguments: prefix, deadline or 0, the node they belong to, whether
 * that node must be dead (1 or 0), grace period, then for each membership the namespace, connection, user, whether it was
 * lost (1 or 0), the room ("" for the connection itself), and the JSON of the announcement or "".
 *
 * @returns the number of the change for each membership; 0 if there was none
 */
export const exit = `${common}
local node, grace = ARGV[3], tonumber(ARGV[5])
if ARGV[2] ~= '0' and is_late(ARGV[2]) then return late end
if ARGV[4] == '1' and redis.call('SISMEMBER', prefix .. 'dead', node) == 0 then return {} end
local function remove_user(key, ns, room, user, is_lost)
  if redis.call('HINCRBY', key .. ':users', user, -1) > 0 then return end
  if is_lost and grace > 0 then
    redis.call('HSET', key .. ':users', user, 0)
    redis.call('ZADD', prefix .. 'lost', now + grace, ns .. '\\n' .. room .. '\\n' .. user)
    keep(prefix .. 'lost')
  else
    redis.call('HDEL', key .. ':users', user)
    announce(key, 'P', '0 ' .. redis.call('HLEN', key .. ':users') .. '\\n' .. user)
  end
end
local function is_elsewhere(ns, connection, entry)
  local found = redis.call('HGET', prefix .. 'connections:' .. ns, connection)
  local other = found and string.match(found, '^[^\\n]*')
  return other and other ~= node and redis.call('SISMEMBER', prefix .. 'node:' .. other, entry) == 1
end
local changes = {}
for at = 6, #ARGV, 6 do
  local ns, connection, user, is_lost, room = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3] == '1', ARGV[at + 4]
  local change = 0
  local entry = ns .. '\\n' .. connection .. '\\n' .. room
  redis.call('SREM', prefix .. 'node:' .. node, entry)
  if ARGV[4] == '1' and is_elsewhere(ns, connection, entry) then
    -- Its node has registered it again under another name.
  elseif room == '' then
    redis.call('HDEL', prefix .. 'connections:' .. ns, connection)
    redis.call('HDEL', prefix .. 'user:' .. ns .. '\\n' .. user, connection)
  else
    local key = room_key(ns, room)
    local member = redis.call('HGET', key .. ':members', connection)
    if member then
      redis.call('HDEL', key .. ':members', connection)
      local members = redis.call('HLEN', key .. ':members')
      change = announce(key, 'L', members .. ' ' .. node .. ' ' .. connection .. '\\n' .. ARGV[at + 5])
      remove_user(key, ns, room, member, is_lost)
    end
  end
  changes[#changes + 1] = change
end
return changes
`;

/** Whether a connection is registered. Arguments: prefix, namespace, connection. */
export const connected = `return redis.call('HEXISTS', ARGV[1] .. ':connections:' .. ARGV[2], ARGV[3])`;

/**
 * The users of a room. Arguments: prefix, namespace, room, the most users.
 *
 * @returns the number of the last change, the number of all users, then users and their connections
 */
export const who = `${common}
local key = room_key(ARGV[2], ARGV[3])
local most = tonumber(ARGV[4])
local total = redis.call('HLEN', key .. ':users')
local reply = { tonumber(redis.call('HGET', key .. ':head', 'change') or 0), total }
local cursor = '0'
repeat
  local page = redis.call('HSCAN', key .. ':users', cursor, 'COUNT', most)
  cursor = page[1]
  for at = 1, #page[2], 2 do
    if #reply >= 2 + most * 2 then break end
    reply[#reply + 1] = page[2][at]
    reply[#reply + 1] = page[2][at + 1]
  end
until cursor == '0' or #reply >= 2 + most * 2
return reply
`;
