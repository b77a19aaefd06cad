/*
 * The Lua scripts. Redis runs each of them atomically. Keys, all below the prefix, which every script gets as its first
 * argument:
 *
 * - `nodes`: sorted set of node ids by the end of their lease. `dead`: nodes whose members are being removed.
 *   `removed:ID`: a node whose members were removed.
 * - `node:ID`: the node's memberships, as `NAMESPACE\nCONNECTION\nROOM`; without a room, the connection itself.
 * - `connections:NAMESPACE`: the node and the user of each connection. `user:NAMESPACE\nUSER`: the node of each of the
 *   user's connections.
 * - `lost`: sorted set of users in their grace period, as `NAMESPACE\nROOM\nUSER`, by its end.
 * - `id:NAMESPACE\nUSER\nID`: the receipt of a message with an id of the client's own.
 * - `{NAMESPACE ROOM}` is also the channel of a room. `…:head`: its epoch, the number of its last message, and the number of
 *   its last change. `…:log`: stream of its messages with the ids `SEQ-TIME`. `…:changes`: its last changes.
 *   `…:members`: the user of each connection. `…:users`: the number of connections of each user, 0 in the grace period.
 *
 * On a room's channel, `M` are logged messages, `T` is a transient one; `J` and `L` are a connection that joined or left, and
 * `P` a change of presence. The last three are numbered, so that a node which lost its connection can catch up.
 *
 * Times are in milliseconds by the clock of Redis. Names and ids contain no control characters.
 */

/** Keys and presence entries that are not refreshed are removed after this time, in seconds. */
const keptSeconds = 86_400;

/** The changes of membership and presence that a room keeps. */
const keptChanges = 256;

const common = `
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

/**
 * Logs and publishes messages; those to one room that follow each other are published together. Arguments: prefix, node,
 * deadline, history size, history age, epoch, dedup time, then for each message the dedup key or "", what to remember for it,
 * `M` or `T`, the namespace, the number of rooms, and for each room its name and the JSON of its copy, without the offset and
 * what follows it if it is logged.
 *
 * @returns for each message what was remembered, or the recipients and each room's offset
 */
export const publish = `${common}
local node, size, age, epoch, dedup_ms = ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6], ARGV[7]
if is_late(ARGV[3]) then return late end
if not has_lease(node) then return no_lease end
local run
local function end_run()
  if not run then return end
  if #run.messages > 0 then
    redis.call('HSET', run.key .. ':head', 'seq', run.seq)
    if now - run.kept > age / 10 then
      redis.call('HSET', run.key .. ':head', 'kept', now)
      redis.call('PEXPIRE', run.key .. ':head', ${keptSeconds} * 1000 + age * 2)
      if size > 0 then
        trim(run.key .. ':log', age)
        redis.call('PEXPIRE', run.key .. ':log', age * 2)
      end
    end
    redis.call('PUBLISH', run.key, 'M' .. table.concat(run.messages, '\\n'))
  end
  run = nil
end
local function begin_run(key)
  if run and run.key == key then return end
  end_run()
  run = { key = key, messages = {}, recipients = redis.call('HLEN', key .. ':members') }
  run.epoch, run.seq, run.kept = head_of(key, epoch)
end
local function append(json)
  run.seq = run.seq + 1
  local offset = run.epoch .. ':' .. run.seq
  json = json .. offset .. '"}'
  if size > 0 then redis.call('XADD', run.key .. ':log', 'MAXLEN', size, run.seq .. '-' .. now, 'm', json) end
  run.messages[#run.messages + 1] = offset .. '\\n' .. json
  return offset
end
local replies = {}
local at = 8
while at <= #ARGV do
  local id, remembered, kind, ns, rooms = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], tonumber(ARGV[at + 4])
  at = at + 5
  local known = id ~= '' and redis.call('GET', prefix .. 'id:' .. id)
  if known then
    replies[#replies + 1] = known
  else
    local reply = { 0 }
    for room = 1, rooms do
      local key = room_key(ns, ARGV[at + room * 2 - 2])
      local json = ARGV[at + room * 2 - 1]
      begin_run(key)
      reply[1] = reply[1] + run.recipients
      if kind == 'M' then
        reply[room + 1] = append(json)
        remembered = remembered .. '\\n' .. reply[room + 1]
      else
        end_run()
        redis.call('PUBLISH', key, 'T' .. json)
      end
    end
    if id ~= '' then redis.call('SET', prefix .. 'id:' .. id, remembered, 'PX', dedup_ms) end
    replies[#replies + 1] = reply
  end
  at = at + rooms * 2
end
end_run()
return replies
`;

/** The receipt that is remembered for an id. Arguments: prefix, the key. */
export const remembered = `return redis.call('GET', ARGV[1] .. ':id:' .. ARGV[2])`;

/** Whether a connection is registered. Arguments: prefix, namespace, connection. */
export const connected = `return redis.call('HEXISTS', ARGV[1] .. ':connections:' .. ARGV[2], ARGV[3])`;

/**
 * Registers a connection and makes it a member of rooms. Arguments: prefix, node, deadline, epoch, whether presence
 * is reported (1 or 0), namespace, connection, user, then for each room its name and the JSON of its announcement or "".
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
  if redis.call('HSETNX', key .. ':members', connection, user) == 1 then
    announcement = ARGV[at + 1]
    redis.call('SADD', registry, ns .. '\\n' .. connection .. '\\n' .. room)
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
local changes = {}
for at = 6, #ARGV, 6 do
  local ns, connection, user, is_lost, room = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3] == '1', ARGV[at + 4]
  local change = 0
  redis.call('SREM', prefix .. 'node:' .. node, ns .. '\\n' .. connection .. '\\n' .. room)
  if room == '' then
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

/**
 * Reads messages after a position (`after`), or the last ones (`last`). Arguments: prefix, namespace, room, mode, epoch to
 * create, the position's epoch, its number or the number of messages, the most bytes, history age, and, for a node that
 * lost its connection, the number of the last change that it knows or "".
 *
 * If that node knows messages that the log does not, Redis has lost data: the log starts again.
 *
 * @returns epoch, number of the last message, whether nothing is missing, number of the last message that was read, the
 * messages, and for a node that lost its connection the number of members, the number of the last change, and the changes
 */
export const read = `${common}
local ns, room, mode, from_epoch, from, most, age, known = ARGV[2], ARGV[3], ARGV[4], ARGV[6], tonumber(ARGV[7]),
  tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10]
local key = room_key(ns, room)
local log = key .. ':log'
local epoch, seq = head_of(key, ARGV[5])
if known ~= '' and epoch == from_epoch and seq < from then
  epoch, seq = ARGV[5] .. 'n', 0
  redis.call('HSET', key .. ':head', 'epoch', epoch, 'seq', 0)
  redis.call('DEL', log)
end
local first = trim(log, age)
local oldest = first and first - 1 or seq
local is_complete = mode == 'last' or (epoch == from_epoch and from >= oldest and from <= seq)
local after = oldest
if mode == 'last' then after = seq - math.min(from, seq - oldest) elseif is_complete then after = from end
local entries, bytes = {}, 0
while after < seq and (#entries == 0 or bytes < most) do
  local page = redis.call('XRANGE', log, (after + 1) .. '-0', '+', 'COUNT', 32)
  if #page == 0 then break end
  for _, entry in ipairs(page) do
    if #entries > 0 and bytes >= most then break end
    entries[#entries + 1] = entry[2][2]
    bytes = bytes + #entry[2][2]
    after = seq_of(entry[1])
  end
end
local reply = { epoch, seq, is_complete and 1 or 0, after, entries }
if known ~= '' then
  reply[6] = redis.call('HLEN', key .. ':members')
  reply[7] = tonumber(redis.call('HGET', key .. ':head', 'change') or 0)
  reply[8] = {}
  if reply[7] > tonumber(known) then
    reply[8] = redis.call('LRANGE', key .. ':changes', math.max(tonumber(known) - reply[7], -${keptChanges}), -1)
  end
end
return reply
`;

/**
 * Reads messages backwards. Arguments: prefix, namespace, room, epoch to create, the epoch and number of the position to
 * start at or "", limit, most bytes, history age.
 *
 * @returns epoch, number of the last message, whether there are older messages, and the messages, newest first
 */
export const history = `${common}
local from_epoch, limit, most = ARGV[5], tonumber(ARGV[7]), tonumber(ARGV[8])
local key = room_key(ARGV[2], ARGV[3])
local log = key .. ':log'
local epoch, seq = head_of(key, ARGV[4])
local entries, bytes, is_more = {}, 0, 0
if from_epoch ~= '' and from_epoch ~= epoch then return { epoch, seq, 0, entries } end
trim(log, tonumber(ARGV[9]))
local before = seq + 1
if from_epoch ~= '' then before = math.min(before, tonumber(ARGV[6])) end
while is_more == 0 and before > 0 do
  local page = redis.call('XREVRANGE', log, '(' .. before .. '-0', '-', 'COUNT', 64)
  if #page == 0 then break end
  for _, entry in ipairs(page) do
    if #entries >= limit or (#entries > 0 and bytes >= most) then
      is_more = 1
      break
    end
    entries[#entries + 1] = entry[2][2]
    bytes = bytes + #entry[2][2]
    before = seq_of(entry[1])
  end
end
return { epoch, seq, is_more, entries }
`;

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

/**
 * Sends a message to the nodes of a user's connections (`user`), or of one connection (`connection`). Arguments: prefix,
 * deadline, mode, namespace, user or connection, and what the nodes receive.
 *
 * @returns the number of connections
 */
export const tell = `${common}
if is_late(ARGV[2]) then return late end
local mode, ns, to = ARGV[3], ARGV[4], ARGV[5]
local nodes = {}
if mode == 'user' then
  nodes = redis.call('HVALS', prefix .. 'user:' .. ns .. '\\n' .. to)
else
  local found = redis.call('HGET', prefix .. 'connections:' .. ns, to)
  if found then nodes[1] = string.match(found, '^[^\\n]*') end
end
local reached = {}
for _, node in ipairs(nodes) do
  if not reached[node] then redis.call('PUBLISH', prefix .. 'node:' .. node, ARGV[6]) end
  reached[node] = true
end
return #nodes
`;

/**
 * Renews the lease of a node, and ends the grace periods that are over. Arguments: prefix, node, lease.
 *
 * @returns `kept`, `new` or `removed`; the time; whether more grace periods are over; the nodes that are dead or whose
 * lease is over
 */
export const renew = `${common}
local node, lease = ARGV[2], tonumber(ARGV[3])
local nodes = prefix .. 'nodes'
local state = redis.call('ZSCORE', nodes, node) and 'kept' or 'new'
if state == 'new' and redis.call('EXISTS', prefix .. 'removed:' .. node) == 1 then return { 'removed', now, 0 } end
redis.call('ZADD', nodes, now + lease, node)
keep(nodes)
local ended = redis.call('ZRANGEBYSCORE', prefix .. 'lost', '-inf', now, 'LIMIT', 0, 256)
for _, entry in ipairs(ended) do
  redis.call('ZREM', prefix .. 'lost', entry)
  local ns, room, user = string.match(entry, '^([^\\n]*)\\n([^\\n]*)\\n(.*)$')
  local key = room_key(ns, room)
  if redis.call('HGET', key .. ':users', user) == '0' then
    redis.call('HDEL', key .. ':users', user)
    announce(key, 'P', '0 ' .. redis.call('HLEN', key .. ':users') .. '\\n' .. user)
  end
end
local reply = { state, now, #ended == 256 and 1 or 0 }
for _, other in ipairs(redis.call('SMEMBERS', prefix .. 'dead')) do reply[#reply + 1] = other end
for _, other in ipairs(redis.call('ZRANGEBYSCORE', nodes, '-inf', '(' .. now, 'LIMIT', 0, 16)) do
  reply[#reply + 1] = other
end
return reply
`;

/**
 * Declares a node dead if its lease is over, and reads some of its memberships. Arguments: prefix, node, the most
 * memberships.
 *
 * @returns memberships as `NAMESPACE\nCONNECTION\nROOM` and their users; empty if the node is alive or nothing is left
 */
export const bury = `${common}
local node, most = ARGV[2], ARGV[3]
local lease = redis.call('ZSCORE', prefix .. 'nodes', node)
if lease then
  if tonumber(lease) >= now then return {} end
  redis.call('ZREM', prefix .. 'nodes', node)
  redis.call('SADD', prefix .. 'dead', node)
  keep(prefix .. 'dead')
  redis.call('SET', prefix .. 'removed:' .. node, 1, 'EX', ${keptSeconds})
end
if redis.call('SISMEMBER', prefix .. 'dead', node) == 0 then return {} end
local reply = {}
for _, entry in ipairs(redis.call('SRANDMEMBER', prefix .. 'node:' .. node, most)) do
  local ns, connection, room = string.match(entry, '^([^\\n]*)\\n([^\\n]*)\\n(.*)$')
  local user
  if room ~= '' then
    user = redis.call('HGET', room_key(ns, room) .. ':members', connection)
  else
    local found = redis.call('HGET', prefix .. 'connections:' .. ns, connection)
    user = found and string.match(found, '\\n(.*)$')
  end
  reply[#reply + 1] = entry
  reply[#reply + 1] = user or ''
end
if #reply == 0 then redis.call('SREM', prefix .. 'dead', node) end
return reply
`;

/**
 * Keeps the keys of rooms and users from expiring. Arguments: prefix, node, then `room` or `user`, the namespace, and the
 * name.
 */
export const touch = `${common}
keep(prefix .. 'node:' .. ARGV[2])
for at = 3, #ARGV, 3 do
  local kind, ns, name = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  keep(prefix .. 'connections:' .. ns)
  if kind == 'user' then
    keep(prefix .. 'user:' .. ns .. '\\n' .. name)
  else
    for _, part in ipairs({ ':members', ':users', ':changes' }) do keep(room_key(ns, name) .. part) end
    local head, kept_ms = room_key(ns, name) .. ':head', ${2 * 1_000 * keptSeconds}
    if redis.call('PTTL', head) < kept_ms then redis.call('PEXPIRE', head, kept_ms) end
  end
end
return 1
`;

/**
 * Ends the lease of a node that has no members any more, or makes others remove those it has. Arguments: prefix, node.
 */
export const retire = `${common}
local node = ARGV[2]
if redis.call('ZREM', prefix .. 'nodes', node) == 1 and redis.call('EXISTS', prefix .. 'node:' .. node) == 1 then
  redis.call('SADD', prefix .. 'dead', node)
  keep(prefix .. 'dead')
end
return 1
`;
