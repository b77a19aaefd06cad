import { common, keptSeconds } from "./common.ts";

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
